//! Stream sockets by host name.

use std::{io, net::SocketAddr};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connected byte stream. `Sync` because the PostgreSQL server library demands it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static> Stream for T {}

/// A stream of whichever world the process runs in.
pub type BoxStream = Box<dyn Stream>;

/// A listener of whichever world the process runs in.
pub type BoxListener = Box<dyn Listener>;

/// The network as one process sees it.
#[async_trait]
pub trait Net: Send + Sync {
    /// Connects to `port` of the host with the role name `host`.
    ///
    /// # Errors
    /// As `connect(2)` and name resolution: refused, timed out, unreachable, unknown name. There is no time limit of its
    /// own: a caller wraps it in `tokio::time::timeout`.
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream>;

    /// Listens on `port` of this host; port 0 lets the system choose.
    ///
    /// # Errors
    /// `AddrInUse` when another listener of this host has the port.
    async fn listen(&self, port: u16) -> io::Result<BoxListener>;
}

/// A bound socket that accepts connections.
#[async_trait]
pub trait Listener: Send + Sync {
    /// Waits for the next connection.
    ///
    /// # Errors
    /// As `accept(2)`; the listener stays usable, so a server waits a little and tries again.
    async fn accept(&self) -> io::Result<(BoxStream, SocketAddr)>;

    /// The bound address; tells the port that the system chose.
    ///
    /// # Errors
    /// As `getsockname(2)`.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}
