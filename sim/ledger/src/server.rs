//! Listening, recovery, the way back after a crash, and the end.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use env::{BoxListener, BoxStream, Env};
use faults::Board;
use tokio::{select, sync::Semaphore, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    connection::{Admission, Connection, Key},
    engine::Engine,
    error::{SqlError, state},
    fault::Fault,
    session::Session,
    store::{self, OpenError},
};

/// How to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// The TCP port; 0 lets the system choose.
    pub port: u16,
    /// Clients at a time (`max_connections` of PostgreSQL); the next is turned away with 53300.
    pub max_connections: usize,
    /// What every client must know; none lets everybody in.
    pub password: Option<String>,
    /// How many bytes of log make a checkpoint due (`max_wal_size` of PostgreSQL, which has no such small one).
    pub checkpoint_bytes: u64,
    /// The faults that are on.
    pub faults: Arc<Board<Fault>>,
}

impl Default for Config {
    /// PostgreSQL's port and limit; a checkpoint each 16 MiB.
    fn default() -> Self {
        Self {
            port: 5432,
            max_connections: 100,
            password: None,
            checkpoint_bytes: 16 * 1024 * 1024,
            faults: Board::new(),
        }
    }
}

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port could not be bound.
    #[error("the ledger cannot listen: {0}")]
    Listen(io::Error),
    /// The log could not be opened or recovered.
    #[error("the ledger cannot start: {0}")]
    Open(#[from] OpenError),
}

/// Wait before listening again after `accept` failed, e.g. for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const STARTING: &str = "the database system is starting up";
const RECOVERING: &str = "the database system is in recovery mode";
const STOPPING: &str = "the database system is shutting down";

/// Binds, recovers the log and serves until the process is asked to stop.
///
/// # Errors
/// When the port cannot be bound or the log cannot be recovered, now or after the log failed in operation.
pub async fn serve(env: Env, config: Config) -> Result<(), ServeError> {
    Server::bind(env, config).await?.run().await
}

/// A server that has its port and does not serve yet.
pub struct Server {
    env: Env,
    listener: BoxListener,
    places: Arc<Semaphore>,
    config: Config,
    stopping: CancellationToken,
}

impl Server {
    /// Binds the port.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub async fn bind(env: Env, config: Config) -> Result<Self, ServeError> {
        let listener = env.net.listen(config.port).await.map_err(ServeError::Listen)?;
        let places = Arc::new(Semaphore::new(config.max_connections));
        Ok(Self { env, listener, places, config, stopping: CancellationToken::new() })
    }

    /// The bound port.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub fn port(&self) -> Result<u16, ServeError> {
        self.listener.local_addr().map(|address| address.port()).map_err(ServeError::Listen)
    }

    /// Recovers the log and serves until the process is asked to stop; then sends everybody away and makes an orderly end
    /// (PostgreSQL's fast shutdown). When the log fails (PANIC), every connection is closed and the log is recovered again,
    /// as after a crash of the process.
    ///
    /// # Errors
    /// [`ServeError::Open`]: the process cannot go on, as PostgreSQL cannot when its recovery fails.
    pub async fn run(self) -> Result<(), ServeError> {
        let mut clients = 0;
        let mut excuse = STARTING;
        loop {
            let recovered = select! {
                biased;
                () = self.env.processes.stop_requested() => return Ok(()),
                recovered = store::open(&self.env) => recovered?,
                never = self.turn_away(excuse) => match never {},
            };
            env::fact!(
                "ledger.recovered",
                records = recovered.records,
                truncated_bytes = recovered.truncated
            );
            let mut log = recovered.log;
            let faults = self.config.faults.clone();
            let engine = Engine::new(recovered.tables, &self.env, faults, self.stopping.clone());
            // Sessions end with the server as they do with a crash.
            let _end = engine.crashed().clone().drop_guard();
            let over = select! {
                biased;
                over = engine.write_log(&mut log, self.config.checkpoint_bytes, self.emptied()) => over,
                never = self.accept(&engine, &mut clients) => match never {},
            };
            match over {
                Ok(()) => {
                    env::fact!("ledger.stopped");
                    return Ok(());
                }
                Err(error) => env::fact!("ledger.panicked", reason = %error.message),
            }
            excuse = RECOVERING;
        }
    }

    /// Resolves when the process has been asked to stop and the last session has ended.
    async fn emptied(&self) {
        self.env.processes.stop_requested().await;
        self.stopping.cancel();
        let everyone = u32::try_from(self.config.max_connections).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let _ = self.places.acquire_many(everyone).await;
    }

    async fn accept(&self, engine: &Arc<Engine>, clients: &mut u32) -> Infallible {
        loop {
            let stream = self.next_client().await;
            *clients = clients.wrapping_add(1);
            let key = Key { process: *clients, secret: self.env.entropy.bits("ledger.cancel_key") as u32 };
            let place = match self.excuse() {
                Some(excuse) => Err(excuse),
                None => self.places.clone().try_acquire_owned().map_err(|_| too_many_connections()),
            };
            let (engine, password) = (engine.clone(), self.config.password.clone());
            self.env.spawn("ledger.session", async move {
                let (place, admission) = match place {
                    Ok(place) => (Some(place), Ok(key)),
                    Err(excuse) => (None, Err(excuse)),
                };
                // How a connection ends is the client's affair; the transaction ends with the session.
                let _ = session(engine, stream, admission, password.as_deref()).await;
                drop(place);
            });
        }
    }

    /// Why nobody is let in at the moment.
    fn excuse(&self) -> Option<Box<SqlError>> {
        if self.stopping.is_cancelled() {
            return Some(SqlError::new(state::CANNOT_CONNECT_NOW, STOPPING));
        }
        self.config.faults.strike(|fault| match fault {
            Fault::Refuse => Some(SqlError::new(state::CANNOT_CONNECT_NOW, STARTING)),
            Fault::TooManyConnections => Some(too_many_connections()),
            _ => None,
        })
    }

    async fn turn_away(&self, excuse: &'static str) -> Infallible {
        loop {
            let stream = self.next_client().await;
            let error = SqlError::new(state::CANNOT_CONNECT_NOW, excuse);
            self.env.spawn("ledger.refusal", async move {
                let _ = Connection::new(stream).let_in(Err(error), None).await;
            });
        }
    }

    async fn next_client(&self) -> BoxStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

fn too_many_connections() -> Box<SqlError> {
    SqlError::new(state::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
}

async fn session(
    engine: Arc<Engine>,
    stream: BoxStream,
    place: Result<Key, Box<SqlError>>,
    password: Option<&str>,
) -> io::Result<()> {
    let mut connection = Connection::new(stream);
    let is_guest = place.is_ok();
    let admission = select! {
        biased;
        // Who has a place and does not say who he is must not keep the server from ending.
        () = engine.over(), if is_guest => return Ok(()),
        admission = connection.let_in(place, password) => admission?,
    };
    match admission {
        Admission::Cancel(key) => {
            engine.backends().cancel(key.process, Some(key.secret));
            Ok(())
        }
        Admission::None => Ok(()),
        Admission::Session(key, settings) => Session::new(engine, key, connection, settings).run().await,
    }
}
