//! One run of the broker process: it listens, plays the markets, and ends with its connections and subscriptions.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, MutexGuard},
    time::Duration,
};

use env::{BoxListener, BoxStream, Env};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncWriteExt,
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    exchange::{Exchange, State, Update, Which},
    fault::{Fault, Subject},
    limits::Limits,
    linger::Linger,
    patience::Patient,
    replica::{Replica, View},
    rest,
    stream::{self, Courier, Hub},
};

/// A client that takes longer to send a request's head is cut off; so is one that sends nothing at all for so long.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest head of a request, in bytes; hyper reads ahead and may accept up to twice as much.
const MAX_HEAD: usize = 64 * 1024;
/// The pause after a failed accept, which is usually a shortage that passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a client that is one too many may take to read that it is.
const FAREWELL: Duration = Duration::from_secs(1);
/// What it reads: HTTP 503 with the text that means that nothing was done.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json;charset=utf-8\r\n\
    connection: close\r\ncontent-length: 39\r\n\r\n{\"code\":0,\"msg\":\"Service Unavailable.\"}";

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
///
/// Locks are taken in this order: the exchange's state, its replica, the board of faults.
pub(crate) struct Venue {
    pub env: Env,
    pub exchange: Arc<Exchange>,
    pub hub: Hub,
    pub courier: Courier,
    /// Signalled when a listen key was created.
    pub key_created: Notify,
    /// Signalled when a countdown was started or stopped.
    pub countdown_set: Notify,
    /// Signalled when a connection has begun to listen, or a listen key was created: something that a fault may wait for.
    pub stirred: Notify,
}

impl Venue {
    pub fn new(env: Env, exchange: Arc<Exchange>) -> Self {
        Self {
            env,
            exchange,
            hub: Hub::default(),
            courier: Courier::default(),
            key_created: Notify::new(),
            countdown_set: Notify::new(),
            stirred: Notify::new(),
        }
    }

    pub fn limits(&self) -> MutexGuard<'_, Limits> {
        self.exchange.limits.lock().expect("no holder of this lock panics")
    }

    /// Tells the owners; holding the state keeps the order of events that of the changes.
    pub fn tell(&self, state: &State, updates: &[Update]) {
        if updates.is_empty() {
            return;
        }
        let mut replica = self.exchange.replica();
        let now = Instant::now();
        updates.iter().for_each(|update| replica.note(now, state, update));
        drop(replica);
        for update in updates {
            if let Some(key) = state.keys.active(update.account) {
                self.courier.send(self, key, update);
            }
        }
    }

    /// Lets a query look at the exchange as the replica knows it.
    pub fn view<T>(
        &self,
        state: &State,
        account: usize,
        subject: Subject,
        look: impl FnOnce(&View<'_>) -> T,
    ) -> T {
        let replica = self.exchange.replica();
        let now = Instant::now();
        let lag = self.lag(&replica, now, account, subject);
        if lag.is_zero() { look(&View::present(state)) } else { look(&View::past(state, &replica, now, lag)) }
    }

    /// How far the replica is behind for this query. A fault bites only when that changes what the query sees.
    fn lag(&self, replica: &Replica, now: Instant, account: usize, subject: Subject) -> Duration {
        let differs = |lag: Duration| match subject {
            Subject::Queries => replica.orders_differ(now, lag),
            _ => replica.account_differs(now, lag, account),
        };
        let struck = self.exchange.faults().strike(|fault| {
            let lag = match (fault, subject) {
                (Fault::QueryLag(lag), _)
                | (Fault::StaleBalance(lag), Subject::Balances | Subject::Account)
                | (Fault::StalePositions(lag), Subject::Positions | Subject::Account) => *lag,
                _ => return None,
            };
            differs(lag).then_some(lag)
        });
        struck.unwrap_or_default().max(self.exchange.query_lag)
    }
}

impl Server {
    /// Binds the exchange's port.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub async fn bind(env: Env, exchange: Arc<Exchange>) -> io::Result<Self> {
        let listener = env.net.listen(exchange.port).await?;
        Ok(Self { venue: Arc::new(Venue::new(env, exchange)), listener })
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
        let _countdowns = env.spawn("broker.countdowns", run_countdowns(venue.clone())).abort_on_drop();
        let _courier = env.spawn("broker.courier", stream::deliver(venue.clone())).abort_on_drop();
        let _acts = env.spawn("broker.acts", stream::act(venue.clone())).abort_on_drop();
        let room = Arc::new(Semaphore::new(venue.exchange.max_connections));
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => match room.clone().try_acquire_owned() {
                    Ok(place) => {
                        env.spawn("broker.connection", connection(venue.clone(), stream, peer, place));
                    }
                    Err(_) => turn_away(stream).await,
                },
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

/// Cancels the orders of those whose countdown runs out.
async fn run_countdowns(venue: Arc<Venue>) {
    loop {
        let next = venue.exchange.lock().countdowns.next();
        tokio::select! { biased;
            () = venue.countdown_set.notified() => continue,
            () = async { match next {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            } } => {}
        }
        let now = venue.env.clock.now();
        let mut state = venue.exchange.lock();
        while let Some((account, market)) = state.countdowns.pop_over(Instant::now()) {
            let updates = state.cancel_all(now, account, market, Which::Orders);
            env::fact!(
                "broker.countdown_over",
                symbol = %state.markets[market].symbol,
                canceled = updates.len() as u64
            );
            venue.tell(&state, &updates);
        }
    }
}

/// Tells a client that it is one too many. One at a time: as long as that takes, others wait to be accepted.
async fn turn_away(mut stream: BoxStream) {
    let farewell = async {
        stream.write_all(TOO_MANY).await?;
        stream.shutdown().await
    };
    // Whoever does not read it learns it from the closed connection.
    let _ = timeout(FAREWELL, farewell).await;
}

/// A client's place among those who are served.
pub(crate) type Place = Arc<OwnedSemaphorePermit>;

/// Serves a client. A stream keeps the client's place after the upgrade.
async fn connection(venue: Arc<Venue>, stream: BoxStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
    let place: Place = Arc::new(place);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(place.clone());
        let venue = venue.clone();
        async move { rest::respond(&venue, peer.ip(), request).await }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        // Who has said everything may still listen.
        .half_close(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(Linger::new(Patient::new(stream))), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a client's connection broke");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;
    use crate::{Config, patience::WRITE_TIMEOUT};

    /// What fits between client and server.
    const PIPE: usize = 16 * 1024;

    async fn never_reads(request: &[u8]) -> (usize, Duration) {
        let data = tempfile::tempdir().expect("a temporary directory");
        let config = env::os::Config { data_dir: data.path().into(), ..Default::default() };
        let env = env::os::env(config).expect("an environment");
        let venue = Arc::new(Venue::new(env.clone(), Exchange::new(Config::default())));
        let room = Arc::new(Semaphore::new(1));
        let place = room.clone().try_acquire_owned().expect("a place");
        let (mut client, stream) = duplex(PIPE);
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let served = env.spawn("client", connection(venue, Box::new(stream), peer, place));
        let (start, mut sent) = (Instant::now(), 0);
        while client.write_all(request).await.is_ok() {
            sent += request.len();
        }
        served.ended().await;
        assert_eq!(room.available_permits(), 1, "its place is free again");
        (sent, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_for_much_and_never_reads_is_given_up() {
        let depth = b"GET /fapi/v1/depth?symbol=BTCUSDT&limit=1000 HTTP/1.1\r\nhost: x\r\n\r\n";
        let (sent, took) = never_reads(depth).await;
        assert!(sent <= 4 * PIPE, "{sent} bytes of requests were taken from who does not read");
        assert!(took >= WRITE_TIMEOUT && took < 2 * WRITE_TIMEOUT, "{took:?}");
    }
}
