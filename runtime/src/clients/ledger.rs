//! The ledger: a PostgreSQL connection that reconnects, with answers sorted by what they mean for the caller.
//!
//! Only unnamed statements: the client library numbers named ones process-wide. Deliberately absent: the statements
//! themselves, retries, and knowledge of what they store.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use env::{Env, WallTime, fact};
use futures_util::future::join_all;
use rust_decimal::Decimal;
use tokio::sync::Mutex;
use tokio_postgres::{
    Client, Config, NoTls, Row,
    config::SslMode,
    types::{ToSql, Type},
};

use super::{LEDGER, backoff::Backoff, connect};

/// How long the ledger may take to answer: an fsync of a busy disk takes tens of milliseconds.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);

/// The database and the role that owns it.
const NAME: &str = "tradewind";

/// Why a statement has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The ledger answered that it has not done it, and would answer the same again for now.
    #[error("{message} ({sqlstate})")]
    Refused {
        /// PostgreSQL 16 docs, appendix A.
        sqlstate: String,
        /// The ledger's words.
        message: String,
    },
    /// It was not sent.
    #[error("the ledger is not reachable: {0}")]
    Unavailable(String),
    /// It was sent, and may have been done.
    #[error("the ledger's answer is lost: {0}")]
    Unknown(String),
    /// The ledger answered something else than was asked for.
    #[error("the ledger's answer is not understood: {0}")]
    Malformed(String),
}

/// SQLSTATE `disk_full`.
const DISK_FULL: &str = "53100";

impl LedgerError {
    /// The ledger's code for its refusal; empty when it did not refuse.
    pub fn sqlstate(&self) -> &str {
        match self {
            Self::Refused { sqlstate, .. } => sqlstate,
            Self::Unavailable(_) | Self::Unknown(_) | Self::Malformed(_) => "",
        }
    }

    /// The cause in words that an operator looks for.
    pub fn reason(&self) -> String {
        match self {
            Self::Refused { sqlstate, message } if sqlstate == DISK_FULL => format!("disk space: {message}"),
            other => other.to_string(),
        }
    }
}

/// One statement with its parameters, in the order `$1`, `$2`, ….
#[derive(Clone, Debug)]
pub struct Statement {
    sql: &'static str,
    params: Vec<Param>,
}

#[derive(Clone, Debug)]
enum Param {
    Flag(bool),
    Int(i64),
    Number(Decimal),
    OptionalText(Option<String>),
    OptionalTime(Option<SystemTime>),
    Text(String),
    Time(SystemTime),
}

impl Statement {
    /// A statement whose parameters follow.
    pub const fn new(sql: &'static str) -> Self {
        Self { sql, params: Vec::new() }
    }

    /// Adds a BOOLEAN.
    pub fn flag(self, value: bool) -> Self {
        self.with(Param::Flag(value))
    }

    /// Adds a BIGINT.
    pub fn int(self, value: i64) -> Self {
        self.with(Param::Int(value))
    }

    /// Adds a NUMERIC.
    pub fn number(self, value: Decimal) -> Self {
        self.with(Param::Number(value))
    }

    /// Adds a TEXT.
    pub fn text(self, value: impl fmt::Display) -> Self {
        self.with(Param::Text(value.to_string()))
    }

    /// Adds a TEXT or NULL.
    pub fn optional_text(self, value: Option<&str>) -> Self {
        self.with(Param::OptionalText(value.map(str::to_owned)))
    }

    /// Adds a TIMESTAMPTZ; moments before 1970 become 1970.
    pub fn time(self, value: WallTime) -> Self {
        self.with(Param::Time(system_time(value)))
    }

    /// Adds a TIMESTAMPTZ or NULL; moments before 1970 become 1970.
    pub fn optional_time(self, value: Option<WallTime>) -> Self {
        self.with(Param::OptionalTime(value.map(system_time)))
    }

    fn with(mut self, param: Param) -> Self {
        self.params.push(param);
        self
    }

    fn typed(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.params
            .iter()
            .map(|param| -> (&(dyn ToSql + Sync), Type) {
                match param {
                    Param::Flag(value) => (value, Type::BOOL),
                    Param::Int(value) => (value, Type::INT8),
                    Param::Number(value) => (value, Type::NUMERIC),
                    Param::OptionalText(value) => (value, Type::TEXT),
                    Param::OptionalTime(value) => (value, Type::TIMESTAMPTZ),
                    Param::Text(value) => (value, Type::TEXT),
                    Param::Time(value) => (value, Type::TIMESTAMPTZ),
                }
            })
            .collect()
    }
}

fn system_time(time: WallTime) -> SystemTime {
    UNIX_EPOCH + time.since(WallTime::from_micros(0))
}

/// A connection to the ledger that re-establishes itself at the next statement. Cheap to share.
///
/// Reports `ledger.down` when it is lost and `ledger.up` when it stands, with `link` as the name of this connection.
pub struct Ledger {
    env: Env,
    link: &'static str,
    session: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    down: bool,
}

struct Session {
    client: Client,
    /// Ends the connection's background task, and with it the connection, together with the session.
    _driver: Box<dyn Send + Sync>,
}

impl Ledger {
    /// A connection that is made when it is first used. `link` tells this connection from others in facts.
    pub fn new(env: Env, link: &'static str) -> Self {
        Self { env, link, session: Mutex::default() }
    }

    /// Runs a statement; returns how many rows it changed.
    ///
    /// # Errors
    /// See [`LedgerError`]: after `Unknown` only a statement that may be repeated settles what is stored.
    pub async fn execute(&self, statement: &Statement) -> Result<u64, LedgerError> {
        let session = self.session().await?;
        self.answer(&session, session.client.execute_typed(statement.sql, &statement.typed())).await
    }

    /// Runs a statement that returns rows.
    ///
    /// # Errors
    /// As [`Ledger::execute`].
    pub async fn query(&self, statement: &Statement) -> Result<Vec<Row>, LedgerError> {
        let session = self.session().await?;
        self.answer(&session, session.client.query_typed(statement.sql, &statement.typed())).await
    }

    /// Runs several statements without parameters.
    ///
    /// # Errors
    /// As [`Ledger::execute`].
    pub async fn batch(&self, sql: &str) -> Result<(), LedgerError> {
        let session = self.session().await?;
        self.answer(&session, session.client.batch_execute(sql)).await
    }

    /// Runs statements in one transaction and one round trip.
    ///
    /// # Errors
    /// As [`Ledger::execute`], for all of them together.
    pub async fn transaction(&self, statements: &[Statement]) -> Result<(), LedgerError> {
        let session = self.session().await?;
        let client = &session.client;
        let all = async {
            // Each statement is sent when it is first polled: `begin` first, `commit` last, answers awaited together.
            let begin = client.batch_execute("BEGIN");
            let steps = join_all(
                statements.iter().map(|step| async { client.execute_typed(step.sql, &step.typed()).await }),
            );
            let commit = client.batch_execute("COMMIT");
            let (begin, steps, commit) = futures_util::future::join3(begin, steps, commit).await;
            // After a failed step COMMIT rolls back and says so without an error: the steps decide.
            begin?;
            steps.into_iter().try_for_each(|step| step.map(drop))?;
            commit
        };
        self.answer(&session, all).await
    }

    /// Waits until the ledger takes connections, then runs `sql` as [`Ledger::batch`], again and again until it succeeds.
    pub async fn insist_batch(&self, sql: &str) {
        let mut backoff = Backoff::reconnect("ledger.reconnect");
        while self.batch(sql).await.is_err() {
            backoff.wait(&self.env).await;
        }
    }

    async fn session(&self) -> Result<Arc<Session>, LedgerError> {
        let mut state = self.session.lock().await;
        if let Some(session) = state.session.as_ref().filter(|session| !session.client.is_closed()) {
            return Ok(session.clone());
        }
        match tokio::time::timeout(STATEMENT_TIMEOUT, self.connect()).await {
            Ok(Ok(session)) => {
                fact!("ledger.up", link = self.link);
                state.down = false;
                Ok(state.session.insert(Arc::new(session)).clone())
            }
            Ok(Err(reason)) => Err(self.unavailable(&mut state, reason)),
            Err(_) => Err(self.unavailable(&mut state, "connecting timed out".into())),
        }
    }

    fn unavailable(&self, state: &mut State, reason: String) -> LedgerError {
        state.session = None;
        if !state.down {
            fact!("ledger.down", link = self.link, reason = %reason);
            state.down = true;
        }
        LedgerError::Unavailable(reason)
    }

    async fn connect(&self) -> Result<Session, String> {
        let stream = connect(&self.env, LEDGER).await.map_err(|error| error.to_string())?;
        let (client, connection) = Config::new()
            .user(NAME)
            .dbname(NAME)
            .ssl_mode(SslMode::Disable)
            .connect_raw(stream, NoTls)
            .await
            .map_err(|error| with_cause(&error))?;
        let driver = self.env.spawn("ledger.connection", async move {
            // Whoever waits for an answer learns of the loss; there is nobody else to tell.
            let _ = connection.await;
        });
        Ok(Session { client, _driver: Box::new(driver.abort_on_drop()) })
    }

    async fn answer<T>(
        &self,
        session: &Arc<Session>,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, LedgerError> {
        let error = match tokio::time::timeout(STATEMENT_TIMEOUT, work).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => meaning(&error),
            Err(_) => LedgerError::Unknown("no answer in time".into()),
        };
        if !matches!(error, LedgerError::Refused { .. }) {
            self.abandon(session, &error).await;
        }
        Err(error)
    }

    async fn abandon(&self, session: &Arc<Session>, error: &LedgerError) {
        let mut state = self.session.lock().await;
        if state.session.as_ref().is_some_and(|current| Arc::ptr_eq(current, session)) {
            state.session = None;
            state.down = true;
            fact!("ledger.down", link = self.link, reason = %error);
        }
    }
}

/// What an error says about the statement. Refusals are definite; the classes for lost connections (08), conflicts to be
/// repeated (40), shutdowns (57P), I/O errors (58) and internal errors (XX) leave open what is stored or what comes next.
fn meaning(error: &tokio_postgres::Error) -> LedgerError {
    match error.as_db_error() {
        Some(refusal) => {
            let sqlstate = refusal.code().code();
            let open = ["08", "40", "57P", "58", "XX"].iter().any(|class| sqlstate.starts_with(class));
            if open {
                LedgerError::Unknown(format!("{} ({sqlstate})", refusal.message()))
            } else {
                LedgerError::Refused { sqlstate: sqlstate.into(), message: refusal.message().into() }
            }
        }
        None => LedgerError::Unknown(with_cause(error)),
    }
}

fn with_cause(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Reads a column.
///
/// # Errors
/// [`LedgerError::Malformed`] when it is missing or of another type.
pub fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, name: &str) -> Result<T, LedgerError> {
    row.try_get(name).map_err(|error| LedgerError::Malformed(with_cause(&error)))
}

/// Reads a column of TIMESTAMPTZ.
///
/// # Errors
/// As [`column()`].
pub fn time_column(row: &Row, name: &str) -> Result<WallTime, LedgerError> {
    let time: SystemTime = column(row, name)?;
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(WallTime::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX)))
}
