//! Listening, recovery, and the way back after a crash.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use env::{BoxListener, BoxStream, Env};
use tokio::{select, sync::Semaphore, time::sleep};

use crate::{
    connection::{Connection, Key},
    engine::Engine,
    error::{SqlError, state},
    session::Session,
    store::{Log, OpenError},
};

/// How to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// The TCP port; 0 lets the system choose.
    pub port: u16,
    /// Clients at a time (`max_connections` of PostgreSQL); the next is turned away with 53300.
    pub max_connections: usize,
}

impl Default for Config {
    /// PostgreSQL's port and limit.
    fn default() -> Self {
        Self { port: 5432, max_connections: 100 }
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

/// Binds, recovers the log and serves for ever.
///
/// # Errors
/// When the port cannot be bound or the log cannot be recovered, now or after the log failed in operation.
pub async fn serve(env: Env, config: Config) -> Result<(), ServeError> {
    match Server::bind(env, config).await?.run().await? {}
}

/// A server that has its port and does not serve yet.
pub struct Server {
    env: Env,
    listener: BoxListener,
    places: Arc<Semaphore>,
}

impl Server {
    /// Binds the port.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub async fn bind(env: Env, config: Config) -> Result<Self, ServeError> {
        let listener = env.net.listen(config.port).await.map_err(ServeError::Listen)?;
        Ok(Self { env, listener, places: Arc::new(Semaphore::new(config.max_connections)) })
    }

    /// The bound port.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub fn port(&self) -> Result<u16, ServeError> {
        self.listener.local_addr().map(|address| address.port()).map_err(ServeError::Listen)
    }

    /// Recovers the log and serves for ever. When the log fails (PANIC), every connection is closed and the log is
    /// recovered again, as after a crash of the process.
    ///
    /// # Errors
    /// [`ServeError::Open`]: the process cannot go on, as PostgreSQL cannot when its recovery fails.
    pub async fn run(self) -> Result<Infallible, ServeError> {
        let mut clients = 0;
        let mut excuse = "the database system is starting up";
        loop {
            let recovered = select! {
                biased;
                recovered = Log::open(&self.env) => recovered?,
                never = self.turn_away(excuse) => match never {},
            };
            env::fact!(
                "ledger.recovered",
                records = recovered.records,
                truncated_bytes = recovered.truncated
            );
            let mut log = recovered.log;
            let engine = Engine::new(recovered.tables, self.env.clock.clone());
            // Sessions end with the server as they do with a crash.
            let _end = engine.crashed().clone().drop_guard();
            let error = select! {
                biased;
                error = engine.write_log(&mut log) => error,
                never = self.accept(&engine, &mut clients) => match never {},
            };
            env::fact!("ledger.panicked", reason = %error.message);
            excuse = "the database system is in recovery mode";
        }
    }

    async fn accept(&self, engine: &Arc<Engine>, clients: &mut u32) -> Infallible {
        loop {
            let stream = self.next_client().await;
            *clients = clients.wrapping_add(1);
            let key = Key { process: *clients, secret: self.env.entropy.bits("ledger.cancel_key") as u32 };
            let engine = engine.clone();
            match self.places.clone().try_acquire_owned() {
                Ok(place) => {
                    self.env.spawn("ledger.session", async move {
                        // How a connection ends is the client's affair; the transaction ends with the session.
                        let _ = session(engine, stream, key).await;
                        drop(place);
                    });
                }
                Err(_) => self.refuse(
                    stream,
                    SqlError::new(state::TOO_MANY_CONNECTIONS, "sorry, too many clients already"),
                ),
            }
        }
    }

    async fn turn_away(&self, excuse: &'static str) -> Infallible {
        loop {
            let stream = self.next_client().await;
            self.refuse(stream, SqlError::new(state::CANNOT_CONNECT_NOW, excuse));
        }
    }

    fn refuse(&self, stream: BoxStream, error: Box<SqlError>) {
        self.env.spawn("ledger.refusal", async move {
            let _ = Connection::new(stream).let_in(Err(error)).await;
        });
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

async fn session(engine: Arc<Engine>, stream: BoxStream, key: Key) -> io::Result<()> {
    let mut connection = Connection::new(stream);
    match connection.let_in(Ok(key)).await? {
        Some(settings) => Session::new(engine, connection, settings).run().await,
        None => Ok(()),
    }
}
