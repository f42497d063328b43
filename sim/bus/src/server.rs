//! Accepts clients, and keeps what they share.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use env::{BoxListener, Env};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::{
    blocking::Waiters,
    connection::Connection,
    db::{Db, WallMs},
    resp::Limits,
    script::Scripts,
};

/// How long the server waits after the system refused to accept a connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// The port to listen on; 0 lets the system choose.
    pub port: u16,
    /// The largest argument and the largest string, in bytes. Redis: `proto-max-bulk-len`, 512 MiB.
    pub max_bulk: usize,
    /// The largest request, in bytes on the wire. Redis: `client-query-buffer-limit`, 1 GiB.
    pub max_request: usize,
}

impl Default for Config {
    /// Redis's port; limits that suit a system of small messages.
    fn default() -> Self {
        Self { port: 6379, max_bulk: 16 << 20, max_request: 64 << 20 }
    }
}

/// Serves until the task is dropped: [`Server::bind`] and [`Server::run`].
///
/// # Errors
/// When the port cannot be bound.
pub async fn serve(env: Env, config: Config) -> io::Result<()> {
    Server::bind(env, config).await?.run().await;
    Ok(())
}

/// A server that has its port.
pub struct Server {
    listener: BoxListener,
    pub(crate) shared: Arc<Shared>,
}

impl Server {
    /// Binds the port; clients are accepted once [`Server::run`] runs. The data is empty.
    ///
    /// # Errors
    /// As [`env::Net::listen`].
    pub async fn bind(env: Env, config: Config) -> io::Result<Self> {
        let listener = env.net.listen(config.port).await?;
        let port = listener.local_addr()?.port();
        let limits = Limits { bulk: config.max_bulk, request: config.max_request };
        let shared = Shared {
            env,
            port,
            limits,
            started: Instant::now(),
            state: Mutex::default(),
            deadline_moved: Notify::new(),
        };
        Ok(Self { listener, shared: Arc::new(shared) })
    }

    /// The port, also when the system chose it.
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// Accepts clients for ever.
    pub async fn run(self) {
        let shared = self.shared;
        let _expiry = shared.env.spawn("bus.expiry", expire_on_time(shared.clone())).abort_on_drop();
        env::fact!("bus.listening", port = u64::from(shared.port));
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let connection = Connection::new(shared.clone(), stream);
                    shared.env.spawn("bus.connection", connection.serve());
                }
                Err(error) => {
                    env::fact!("bus.accept_failed", error = %error);
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) port: u16,
    pub(crate) limits: Limits,
    pub(crate) started: Instant,
    state: Mutex<State>,
    deadline_moved: Notify,
}

/// What changes, under one lock that is never held across an await.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) db: Db,
    pub(crate) waiters: Waiters,
    pub(crate) scripts: Scripts,
    pub(crate) statistics: Statistics,
}

/// Counters for INFO.
#[derive(Default)]
pub(crate) struct Statistics {
    /// Connections ever accepted; the last one's id.
    pub(crate) connections: i64,
    /// Connections that are open.
    pub(crate) connected: usize,
    /// Commands ever executed.
    pub(crate) commands: u64,
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
}

/// Removes keys at their deadlines also when nobody sends commands.
async fn expire_on_time(shared: Arc<Shared>) {
    loop {
        let now = shared.env.clock.now().as_millis();
        let next = {
            let state = &mut *shared.state();
            state.db.expire(now);
            state.waiters.serve(&mut state.db, now);
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
