//! The network as the processes of one host see it: sockets of `turmoil-net`, each pinned to its host.

mod fabric;
mod flow;
mod packet;
mod pair;
mod queue;

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use env::{BoxListener, BoxStream, Listener, Net};
pub(crate) use fabric::{Fabric, Node};
use packet::FlowKey;
pub(crate) use packet::address;
pub(crate) use pair::LinkProfile;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
    time::timeout,
};
use turmoil_net::shim::tokio::net::{TcpListener, TcpStream};

use crate::{
    host::Host,
    kernel::{Command, Kernel},
};

/// How long Linux keeps sending SYNs: six retries, 1 + 2 + … + 64 s (tcp(7), tcp_syn_retries).
const SYN_TIMEOUT: Duration = Duration::from_secs(127);

/// The network of one host.
pub(crate) struct HostNet {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) host: Arc<Host>,
}

/// Runs a socket call as the host, also when it is dropped halfway.
struct Pinned<F: Future> {
    host: Arc<Host>,
    call: Option<Pin<Box<F>>>,
}

impl<F: Future> Pinned<F> {
    fn new(host: &Arc<Host>, call: F) -> Self {
        Self { host: host.clone(), call: Some(Box::pin(call)) }
    }
}

impl<F: Future> Future for Pinned<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        turmoil_net::set_current(self.host.net);
        let call = self.call.as_mut().expect("only dropping takes the call away");
        call.as_mut().poll(cx)
    }
}

impl<F: Future> Drop for Pinned<F> {
    fn drop(&mut self) {
        turmoil_net::set_current(self.host.net);
        self.call = None;
    }
}

#[async_trait]
impl Net for HostNet {
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream> {
        let ip = self.resolve(host)?;
        let call = Pinned::new(&self.host, TcpStream::connect(SocketAddr::new(ip, port)));
        self.kernel.signal.raise();
        let attempt = timeout(SYN_TIMEOUT, Woken { call, kernel: self.kernel.clone() });
        let stream = attempt.await.map_err(|_| io::Error::from_raw_os_error(libc::ETIMEDOUT))??;
        Ok(Box::new(SimStream::new(self, stream)?))
    }

    async fn listen(&self, port: u16) -> io::Result<BoxListener> {
        let bind = || {
            Pinned::new(
                &self.host,
                TcpListener::bind(("0.0.0.0".parse::<std::net::IpAddr>().expect("an address"), port)),
            )
        };
        let listener = match bind().await {
            // Sockets of an earlier listener may linger. A real server's SO_REUSEADDR lets it pass them.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let (done, reaped) = oneshot::channel();
                self.kernel.ask(Command::Reap { host: self.host.index, port, done });
                let _ = reaped.await;
                bind().await?
            }
            other => other?,
        };
        let net = Self { kernel: self.kernel.clone(), host: self.host.clone() };
        Ok(Box::new(SimListener { net, listener: Some(listener) }))
    }
}

impl HostNet {
    fn resolve(&self, name: &str) -> io::Result<std::net::IpAddr> {
        let blocked = self.kernel.fabric.lock().expect("no fault panics").unresolvable(name);
        if let Some(entry) = blocked {
            self.kernel.recorder.bite(entry);
            // EAI_AGAIN as std reports it (gai_strerror(3)).
            let text = "failed to lookup address information: Temporary failure in name resolution";
            return Err(io::Error::other(text));
        }
        match self.kernel.host(name) {
            Some(host) => Ok(host.ip),
            None => Err(io::Error::other("failed to lookup address information: Name or service not known")),
        }
    }
}

/// A connect that tells the driver of the packets it causes.
struct Woken<F> {
    call: F,
    kernel: Arc<Kernel>,
}

impl<F: Future + Unpin> Future for Woken<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let outcome = Pin::new(&mut self.call).poll(cx);
        self.kernel.signal.raise();
        outcome
    }
}

impl<F> Drop for Woken<F> {
    fn drop(&mut self) {
        self.kernel.signal.raise();
    }
}

struct SimListener {
    net: HostNet,
    listener: Option<TcpListener>,
}

#[async_trait]
impl Listener for SimListener {
    async fn accept(&self) -> io::Result<(BoxStream, SocketAddr)> {
        let (stream, peer) = Pinned::new(&self.net.host, self.listener().accept()).await?;
        Ok((Box::new(SimStream::new(&self.net, stream)?), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        turmoil_net::set_current(self.net.host.net);
        self.listener().local_addr()
    }
}

impl SimListener {
    fn listener(&self) -> &TcpListener {
        self.listener.as_ref().expect("only dropping takes the listener away")
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        turmoil_net::set_current(self.net.host.net);
        self.listener = None;
        self.net.kernel.signal.raise();
    }
}

/// A connected socket that knows its host.
struct SimStream {
    kernel: Arc<Kernel>,
    host: Arc<Host>,
    /// The direction in which it sends.
    flow: FlowKey,
    stream: Option<TcpStream>,
}

impl SimStream {
    fn new(net: &HostNet, stream: TcpStream) -> io::Result<Self> {
        turmoil_net::set_current(net.host.net);
        let flow = FlowKey::between(stream.local_addr()?, stream.peer_addr()?)
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { kernel: net.kernel.clone(), host: net.host.clone(), flow, stream: Some(stream) })
    }

    fn pinned(&mut self) -> Pin<&mut TcpStream> {
        turmoil_net::set_current(self.host.net);
        Pin::new(self.stream.as_mut().expect("only dropping takes the stream away"))
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = self.pinned().poll_read(cx, buf);
        let read = buf.filled().len() - before;
        if read > 0 {
            let mut fabric = self.kernel.fabric.lock().expect("no fault panics");
            if fabric.read_by_process(self.flow, read) {
                self.kernel.signal.raise();
            }
        }
        outcome
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = self.pinned().poll_write(cx, data);
        self.kernel.signal.raise();
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = self.pinned().poll_shutdown(cx);
        self.kernel.signal.raise();
        outcome
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        turmoil_net::set_current(self.host.net);
        self.stream = None;
        self.kernel.fabric.lock().expect("no fault panics").closed_by_process(self.flow);
        self.kernel.signal.raise();
    }
}
