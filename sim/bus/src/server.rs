//! Accepts clients, keeps what they share, and ends in order.

use std::{
    io, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use env::{BoxListener, BoxStream, Env};
use tokio::{
    io::AsyncWriteExt,
    sync::{Notify, watch},
    time::{Instant, sleep},
};

use crate::{
    aof::{AofError, Journal, Recorder},
    blocking::Waiters,
    clients::Clients,
    command,
    config::Config,
    connection::Connection,
    db::{Db, WallMs},
    epoch,
    fault::Fault,
    pubsub::PubSub,
    resp::{Args, Limits},
    script::Scripts,
};

/// How long the server waits after the system refused to accept a connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Why the server cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port cannot be bound.
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
    /// The append-only file cannot be read or written.
    #[error(transparent)]
    Aof(#[from] AofError),
}

/// Serves until the process is asked to stop, or SHUTDOWN asks: [`Server::bind`] and [`Server::run`].
///
/// # Errors
/// When the port cannot be bound, or the append-only file cannot be read or written.
pub async fn serve(env: Env, config: Config) -> Result<(), Error> {
    Server::bind(env, config).await?.run().await
}

/// A server that has its port and its data.
pub struct Server {
    listener: BoxListener,
    recorder: Recorder,
    pub(crate) shared: Arc<Shared>,
}

impl Server {
    /// Loads the append-only file, if there shall be one, and binds the port; clients are accepted once [`Server::run`] runs.
    ///
    /// # Errors
    /// When the file is damaged or cannot be read or written, and as [`env::Net::listen`].
    pub async fn bind(env: Env, config: Config) -> Result<Self, Error> {
        let limits = Limits { bulk: config.max_bulk, request: config.max_request };
        let shared = Arc::new(Shared {
            limits,
            started: Instant::now(),
            started_at: env.clock.now().as_millis(),
            state: Mutex::new(State::new(config)),
            deadline_moved: Notify::new(),
            kick: Notify::new(),
            settled: watch::Sender::new(0),
            env,
        });
        let recorder = Recorder::open(shared.clone()).await?;
        let port = shared.state().config.port;
        let listener = shared.env.net.listen(port).await?;
        shared.state().config.port = listener.local_addr()?.port();
        Ok(Self { listener, recorder, shared })
    }

    /// The port, also when the system chose it.
    pub fn port(&self) -> u16 {
        self.shared.state().config.port
    }

    /// Accepts and answers clients until the process is asked to stop, or SHUTDOWN asks.
    ///
    /// # Errors
    /// When data that must not be lost cannot be written to the append-only file.
    pub async fn run(self) -> Result<(), Error> {
        let Self { listener, mut recorder, shared } = self;
        let _expiry = shared.env.spawn("bus.expiry", expire_on_time(shared.clone())).abort_on_drop();
        let _faults = shared.env.spawn("bus.faults", act_on_faults(shared.clone())).abort_on_drop();
        let _stop = shared.env.spawn("bus.stop", stop_when_asked(shared.clone())).abort_on_drop();
        env::fact!("bus.listening", port = u64::from(shared.state().config.port));
        loop {
            let order = tokio::select! {
                biased;
                order = recorder.run() => order?,
                () = accept(&shared, &*listener) => continue,
            };
            match order {
                Order::Stop => {
                    shared.state().clients.send_all_away("shutdown");
                    recorder.close().await?;
                    env::fact!("bus.stopped");
                    return Ok(());
                }
                Order::FailOver { losing } => {
                    shared.state().clients.send_all_away("failover");
                    recorder.go_back(losing).await?;
                }
            }
        }
    }
}

/// Something that the server does between all commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Make everything durable and end.
    Stop,
    /// Come back with the data as it was so long ago.
    FailOver { losing: Duration },
}

/// Accepts clients; never ends.
async fn accept(shared: &Arc<Shared>, listener: &dyn env::Listener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => match Connection::new(shared.clone(), stream, peer) {
                Ok(connection) => drop(shared.env.spawn("bus.connection", connection.serve())),
                Err(stream) => drop(shared.env.spawn("bus.refusal", turn_away(stream))),
            },
            Err(error) => {
                env::fact!("bus.accept_failed", error = %error);
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Tells a client that there are too many.
async fn turn_away(mut stream: BoxStream) {
    env::detail!("bus.turned_away");
    // A client that does not wait for its refusal needs none.
    if stream.write_all(b"-ERR max number of clients reached\r\n").await.is_ok() {
        let _ = stream.shutdown().await;
    }
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) limits: Limits,
    pub(crate) started: Instant,
    pub(crate) started_at: WallMs,
    state: Mutex<State>,
    deadline_moved: Notify,
    /// Wakes the recorder: there is something to record, or an order.
    pub(crate) kick: Notify,
    /// How much of what was recorded is as safe as the policy wants it.
    pub(crate) settled: watch::Sender<u64>,
}

/// What changes, under one lock that is never held across an await.
pub(crate) struct State {
    pub(crate) db: Db,
    pub(crate) waiters: Waiters,
    pub(crate) clients: Clients,
    pub(crate) pubsub: PubSub,
    pub(crate) config: Config,
    /// What waits to be written to the append-only file; none without the file.
    pub(crate) journal: Option<Journal>,
    /// CLIENT PAUSE: until when, and whether reads are held back too.
    pub(crate) paused: Option<(Instant, bool)>,
    pub(crate) order: Option<Order>,
    pub(crate) scripts: Scripts,
    pub(crate) statistics: Statistics,
}

impl State {
    fn new(config: Config) -> Self {
        Self {
            db: Db::default(),
            waiters: Waiters::default(),
            clients: Clients::default(),
            pubsub: PubSub::default(),
            scripts: Scripts::default(),
            config,
            journal: None,
            paused: None,
            order: None,
            statistics: Statistics::default(),
        }
    }

    /// Until when a request must wait because clients are paused.
    pub(crate) fn paused_until(&self, args: &Args<'_>) -> Option<Instant> {
        let (until, all) = self.paused?;
        (until > Instant::now() && (all || command::writes(args))).then_some(until)
    }
}

/// Counters for INFO.
#[derive(Default)]
pub(crate) struct Statistics {
    /// The newest client's id.
    pub(crate) issued_ids: i64,
    /// Connections accepted.
    pub(crate) connections: u64,
    /// Connections refused because there were too many.
    pub(crate) rejected: u64,
    /// Commands executed.
    pub(crate) commands: u64,
    /// Errors replied.
    pub(crate) errors: u64,
    /// Keys evicted.
    pub(crate) evicted: u64,
    pub(crate) input_bytes: u64,
    pub(crate) output_bytes: u64,
}

impl Statistics {
    /// CONFIG RESETSTAT: all but the ids, which are not given twice.
    pub(crate) fn reset(&mut self) {
        *self = Self { issued_ids: self.issued_ids, ..Self::default() };
    }
}

impl Shared {
    /// The lock. A panic elsewhere is reported there and leaves data that can still be served.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that the timer task sleeps no longer than until the next deadline.
    pub(crate) fn check_timer(&self, state: &State) {
        if state.db.timer_is_late() {
            self.deadline_moved.notify_one();
        }
    }

    /// Hands what was done to the recorder; returns how much must be recorded before anybody may hear of it.
    pub(crate) fn record(&self, state: &mut State) -> u64 {
        let Some(journal) = &mut state.journal else {
            return 0;
        };
        if journal.append(state.db.effects.take()) {
            self.kick.notify_one();
        }
        journal.appended()
    }

    /// How much had been recorded, or waits to be.
    pub(crate) fn appended(&self) -> u64 {
        self.state().journal.as_ref().map_or(0, Journal::appended)
    }

    /// Resolves when so much is as safe as the policy wants it.
    pub(crate) async fn recorded(&self, position: u64) {
        if *self.settled.borrow() < position {
            // The sender lives in `self`.
            let _ = self.settled.subscribe().wait_for(|settled| *settled >= position).await;
        }
    }

    /// Gives the server an order; one that stands already comes first.
    pub(crate) fn order(&self, order: Order) {
        let state = &mut *self.state();
        if state.order != Some(Order::Stop) {
            state.order = Some(order);
        }
        self.kick.notify_one();
    }

    /// Removes the keys that shall be evicted and are there, as `maxmemory` would: the data is no longer what clients made
    /// it, and the epoch says so.
    pub(crate) fn evict(&self, state: &mut State) {
        let faults = state.config.faults.clone();
        while let Some(key) = faults.strike(|fault| match fault {
            Fault::Evict(key) if state.db.remove(key.as_bytes()) => Some(mem::take(key)),
            Fault::Evict(_) | Fault::Slow { .. } | Fault::Failover { .. } => None,
        }) {
            env::fact!("bus.evicted", key = %key);
            state.db.effects.push(&[b"DEL", key.as_bytes()]);
            state.db.effects.commit();
            state.statistics.evicted += 1;
            epoch::renew(self, state, "evicted");
            self.record(state);
        }
    }

    /// How long the next command must wait, if the server is slow.
    pub(crate) fn slowness(&self, state: &State) -> Option<Duration> {
        let (least, most) = state.config.faults.strike(|fault| match fault {
            Fault::Slow { least, most } => Some((*least, *most)),
            Fault::Evict(_) | Fault::Failover { .. } => None,
        })?;
        let spread = (most - least).as_millis() as u64 + 1;
        Some(least + Duration::from_millis(self.env.entropy.below("bus.slow", spread)))
    }
}

/// Does what posted faults want done at once.
async fn act_on_faults(shared: Arc<Shared>) {
    let faults = shared.state().config.faults.clone();
    let mut posted = faults.subscribe();
    loop {
        shared.evict(&mut shared.state());
        while let Some(losing) = faults.strike(|fault| match fault {
            Fault::Failover { losing } => Some(*losing),
            Fault::Slow { .. } | Fault::Evict(_) => None,
        }) {
            shared.order(Order::FailOver { losing });
        }
        if posted.changed().await.is_err() {
            return;
        }
    }
}

/// Orders the end when the process is asked to stop.
async fn stop_when_asked(shared: Arc<Shared>) {
    shared.env.processes.stop_requested().await;
    shared.order(Order::Stop);
}

/// Removes keys at their deadlines also when nobody sends commands.
async fn expire_on_time(shared: Arc<Shared>) {
    loop {
        let now = shared.env.clock.now().as_millis();
        let next = {
            let state = &mut *shared.state();
            state.db.expire(now);
            state.waiters.serve(&mut state.db, now);
            shared.record(state);
            state.db.arm_timer()
        };
        match next {
            None => shared.deadline_moved.notified().await,
            Some(deadline) => {
                tokio::select! {
                    biased;
                    () = shared.deadline_moved.notified() => {}
                    () = sleep(until_after(deadline, now)) => {}
                }
            }
        }
    }
}

/// From `now` to the first millisecond in which the deadline has passed.
fn until_after(deadline: WallMs, now: WallMs) -> Duration {
    Duration::from_millis(deadline.abs_diff(now).saturating_add(1))
}
