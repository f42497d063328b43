//! One run of the broker process: it listens, plays the markets, and ends with its connections and subscriptions.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use env::{BoxListener, BoxStream, Env};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Notify;

use crate::{
    exchange::{Exchange, State, Update},
    rest,
    stream::{self, Hub},
};

/// A client that takes longer to send a request's head is cut off; so is one that sends nothing at all for so long.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// The pause after a failed accept, which is usually a shortage that passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `exchange` on its port until the process ends.
///
/// # Errors
/// When the port cannot be bound.
pub async fn serve(env: Env, exchange: Arc<Exchange>) -> io::Result<()> {
    match Server::bind(env, exchange).await?.run().await {}
}

/// A server that has its port but does not accept yet.
pub struct Server {
    venue: Arc<Venue>,
    listener: BoxListener,
}

/// What all tasks of one run share.
pub(crate) struct Venue {
    pub env: Env,
    pub exchange: Arc<Exchange>,
    pub hub: Hub,
    /// Signalled when a listen key was created.
    pub key_created: Notify,
}

impl Venue {
    /// Tells the owners; holding the state keeps the order of events that of the changes.
    pub fn tell(&self, state: &State, updates: &[Update]) {
        for update in updates {
            if let Some(key) = state.keys.active(update.account) {
                self.hub.publish(key, || stream::render_update(update));
            }
        }
    }
}

impl Server {
    /// Binds the exchange's port.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub async fn bind(env: Env, exchange: Arc<Exchange>) -> io::Result<Self> {
        let listener = env.net.listen(exchange.port).await?;
        let venue = Venue { env, exchange, hub: Hub::default(), key_created: Notify::new() };
        Ok(Self { venue: Arc::new(venue), listener })
    }

    /// The bound address.
    ///
    /// # Errors
    /// As [`env::Listener::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts and serves. Dropping the future stops the markets, too.
    pub async fn run(self) -> Infallible {
        let venue = self.venue;
        let env = &venue.env;
        venue.exchange.lock().seed(|| env.entropy.bits("broker.market.seed"));
        let markets = venue.exchange.lock().markets.len();
        let _markets: Vec<_> = (0..markets)
            .map(|market| env.spawn("broker.market", stream::play(venue.clone(), market)).abort_on_drop())
            .collect();
        let _keys = env.spawn("broker.listen_keys", stream::expire_keys(venue.clone())).abort_on_drop();
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    env.spawn("broker.connection", connection(venue.clone(), stream, peer));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

async fn connection(venue: Arc<Venue>, stream: BoxStream, peer: SocketAddr) {
    let service = service_fn(move |request| {
        let venue = venue.clone();
        async move { Ok::<_, Infallible>(rest::respond(&venue, peer.ip(), request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a client's connection broke");
    }
}
