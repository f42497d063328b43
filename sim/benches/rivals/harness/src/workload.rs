//! The workload: one host answers every message with itself, every other host sends one `rate` times a second and awaits
//! the answer. Written on tokio's stream traits; the engine brings the stream and the clock.

use std::future::{Future, pending};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The port the server listens on.
pub const PORT: u16 = 7;

/// One-way delay of a message, drawn uniformly where the engine can do that.
pub const LATENCY: Range<Duration> = Duration::from_millis(1)..Duration::from_millis(5);

const MESSAGE: [u8; 11] = *b"hello world";

/// How far the number of echoes may be from what the workload asks for: messages in flight at the end, engines that
/// round timers to milliseconds.
const TOLERANCE: f64 = 0.02;

/// The world every engine simulates.
#[derive(Clone, Debug)]
pub struct World {
    /// Hosts, the server among them.
    pub hosts: u64,
    /// Messages a client sends per simulated second; 0 means connected but silent.
    pub rate: u64,
    /// Simulated time; whole seconds.
    pub length: Duration,
}

impl World {
    /// Hosts that are not the server.
    pub fn clients(&self) -> u64 {
        self.hosts - 1
    }
}

/// What the clients of one run got done. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    connected: AtomicU64,
    echoes: AtomicU64,
}

impl Tally {
    /// Clients that have connected.
    pub fn connected(&self) -> u64 {
        self.0.connected.load(Relaxed)
    }

    /// Messages that came back as they were sent.
    pub fn echoes(&self) -> u64 {
        self.0.echoes.load(Relaxed)
    }

    pub(crate) fn count_connection(&self) {
        self.0.connected.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_echo(&self) {
        self.0.echoes.fetch_add(1, Relaxed);
    }
}

/// The server's half of one connection, until the client closes it.
///
/// # Errors
///
/// Those of the stream.
pub async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read]).await?;
        stream.flush().await?;
    }
}

/// A client's half of one connection; runs until the engine drops it. A late answer delays no later message but the next.
///
/// `until(offset)` completes when the given time has passed since the call of this function.
///
/// # Errors
///
/// Those of the stream, and `InvalidData` for an answer that is not the message.
pub async fn ask<F: Future<Output = ()>>(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    rate: u64,
    tally: Tally,
    until: impl Fn(Duration) -> F,
) -> io::Result<()> {
    tally.count_connection();
    if rate == 0 {
        // Holds the stream open.
        return pending().await;
    }
    let mut answer = [0; MESSAGE.len()];
    for sent in 0.. {
        until(Duration::from_nanos(sent * 1_000_000_000 / rate)).await;
        stream.write_all(&MESSAGE).await?;
        stream.flush().await?;
        stream.read_exact(&mut answer).await?;
        if answer != MESSAGE {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        tally.count_echo();
    }
    Ok(())
}

/// Whether the work was done.
///
/// # Errors
///
/// What was done instead, in words.
pub fn check(world: &World, tally: &Tally) -> Result<(), String> {
    if tally.connected() != world.clients() {
        return Err(format!("{} of {} clients connected", tally.connected(), world.clients()));
    }
    let wanted = world.clients() * world.rate * world.length.as_secs();
    if tally.echoes().abs_diff(wanted) as f64 > wanted as f64 * TOLERANCE {
        return Err(format!("{} echoes instead of {wanted}", tally.echoes()));
    }
    Ok(())
}
