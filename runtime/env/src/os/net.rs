//! Real sockets.

use std::{collections::BTreeMap, io, net::SocketAddr};

use async_trait::async_trait;
use tokio::net::{TcpListener, TcpStream};

use crate::{BoxListener, BoxStream, Listener, Net};

pub(super) struct OsNet {
    pub(super) listen_ip: String,
    pub(super) ports: BTreeMap<u16, u16>,
    pub(super) hosts: BTreeMap<String, (String, u16)>,
}

#[async_trait]
impl Net for OsNet {
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream> {
        let (host, port) = self.hosts.get(host).map_or((host, port), |(name, port)| (name.as_str(), *port));
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    async fn listen(&self, port: u16) -> io::Result<BoxListener> {
        let port = self.ports.get(&port).copied().unwrap_or(port);
        Ok(Box::new(OsListener(TcpListener::bind((self.listen_ip.as_str(), port)).await?)))
    }
}

struct OsListener(TcpListener);

#[async_trait]
impl Listener for OsListener {
    async fn accept(&self) -> io::Result<(BoxStream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        Ok((Box::new(stream), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
