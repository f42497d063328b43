//! Connections to the peers, through the client libraries that production uses, over streams of `env`.
//!
//! Each client has bounded waits, and reconnects with a growing, jittered delay. None of them decides anything about trading.

pub mod backoff;
pub mod broker;
pub mod bus;
mod http;
pub mod ledger;
pub mod market;
pub mod process;
pub mod user_stream;
mod websocket;

use std::{io, time::Duration};

use env::{BoxStream, Env};
pub use websocket::SocketError;

/// How long a connection may take to be established: two lost SYN packets are repeated within 3 s (RFC 6298, initial
/// timeout 1 s, doubled).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A peer's role name and port.
type Endpoint = (&'static str, u16);

const BROKER: Endpoint = ("broker", 80);
const BUS: Endpoint = ("bus", 6379);
const LEDGER: Endpoint = ("ledger", 5432);

async fn connect(env: &Env, (host, port): Endpoint) -> io::Result<BoxStream> {
    tokio::time::timeout(CONNECT_TIMEOUT, env.net.connect(host, port))
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "connecting timed out")))
}
