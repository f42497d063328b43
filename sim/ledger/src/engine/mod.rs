//! Transactions: READ COMMITTED, row locks, group commit.
//!
//! A statement changes tables in place. A row that it changes or locks stays its transaction's until that is over; whoever
//! wants it too waits ([`waits`]). A committed [`Layer`](crate::store::Layer) waits, together with those of other committers, for the log; its
//! client is answered, its rows become visible and its locks are given back when the record is durable. So nothing is ever
//! built on what may still be lost, and layers can be undone in any order. Readers never wait for writers.
//!
//! One transaction at a time changes the schema; a second waits for it.

mod backends;
mod checkpoint;
mod commit;
mod open;
mod strike;
#[cfg(test)]
mod tests;
mod waits;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use env::{Entropy, Env, WallClock};
use faults::Board;
use tokio::{select, sync::Notify};
use tokio_util::sync::CancellationToken;

pub(crate) use backends::{Backend, Backends, administrator};
pub(crate) use commit::Ticket;
pub(crate) use open::{Ran, Writer};
pub(crate) use waits::Wait;

use self::{commit::Pending, open::Open, waits::Waits};
use crate::{
    connection::crash_of_another,
    data::{Value, timestamp},
    error::{Result, SqlError},
    fault::Fault,
    sql::{self, Answer, Inputs, Memo, Plan, Prepared, Progress, Statement},
    store::{Catalog, TableLock, Tables, TransactionId, View},
};

/// Texts of statements that are remembered in parsed form.
const CACHED_TEXTS: usize = 512;
/// Longer texts are parsed every time.
const CACHED_TEXT_BYTES: usize = 16 * 1024;

/// Tables, transactions and statements between a recovery and the next.
pub(crate) struct Engine {
    state: Mutex<State>,
    cache: Mutex<BTreeMap<Arc<str>, Cached>>,
    /// There is something to write into the log.
    work: Notify,
    clock: Arc<dyn WallClock>,
    entropy: Arc<dyn Entropy>,
    faults: Arc<Board<Fault>>,
    /// The log failed in a way that only recovery can mend.
    crashed: CancellationToken,
    /// The server has been asked to end.
    stopping: CancellationToken,
    backends: Backends,
}

struct State {
    tables: Tables,
    /// Committed in memory, not durable yet; oldest first.
    pending: VecDeque<Pending>,
    /// Those that have changed or locked something and have not committed.
    open: BTreeMap<TransactionId, Open>,
    /// The number given last.
    last: u64,
    /// Who is changing the schema.
    reformer: Option<TransactionId>,
    /// Table locks that exclude readers or writers; while there are none, taking a weak one needs no look at others.
    strong_locks: usize,
    waits: Waits,
    /// Who wants a checkpoint.
    checkpoints: Vec<checkpoint::Request>,
}

struct Cached {
    statements: Arc<[Statement]>,
    /// One for each list of declared parameter types that has been used, if the text is one statement.
    bound: Vec<Arc<Prepared>>,
}

/// What a statement is given by its session.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) params: &'a [Value],
    /// The start of the transaction.
    pub(crate) now: i64,
    /// The number of the session's process.
    pub(crate) process: u32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds a lock leaves its content half-changed when it panics: statements are undone by their caller.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    pub(crate) fn new(
        tables: Tables,
        env: &Env,
        faults: Arc<Board<Fault>>,
        stopping: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                tables,
                pending: VecDeque::new(),
                open: BTreeMap::new(),
                last: 0,
                reformer: None,
                strong_locks: 0,
                waits: Waits::default(),
                checkpoints: Vec::new(),
            }),
            cache: Mutex::default(),
            work: Notify::new(),
            clock: env.clock.clone(),
            entropy: env.entropy.clone(),
            faults,
            crashed: CancellationToken::new(),
            stopping,
            backends: Backends::default(),
        })
    }

    /// Resolves when the engine can no longer be used.
    pub(crate) fn crashed(&self) -> &CancellationToken {
        &self.crashed
    }

    /// Resolves when the server has been asked to end.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Resolves when the engine can no longer be used or the server has been asked to end.
    pub(crate) async fn over(&self) {
        select! {
            biased;
            () = self.crashed.cancelled() => {}
            () = self.stopping.cancelled() => {}
        }
    }

    /// Who is connected.
    pub(crate) fn backends(&self) -> &Backends {
        &self.backends
    }

    /// The wall clock, as a database value.
    pub(crate) fn now(&self) -> i64 {
        timestamp::from_wall(self.clock.now())
    }

    /// The statements of a text.
    pub(crate) fn parse(&self, text: &str) -> Result<Arc<[Statement]>> {
        if let Some(cached) = lock(&self.cache).get(text) {
            return Ok(cached.statements.clone());
        }
        let statements: Arc<[Statement]> = sql::parse(text)?.into();
        if text.len() <= CACHED_TEXT_BYTES {
            let mut cache = lock(&self.cache);
            if cache.len() >= CACHED_TEXTS {
                cache.clear();
            }
            cache.insert(text.into(), Cached { statements: statements.clone(), bound: Vec::new() });
        }
        Ok(statements)
    }

    /// The plan of a text that is at most one statement; none when it is empty.
    pub(crate) fn prepare(&self, text: &str, declared: &[u32], own: bool) -> Result<Option<Arc<Prepared>>> {
        let version = lock(&self.state).tables.version(own);
        let fits = |prepared: &&Arc<Prepared>| prepared.schema == version && *prepared.declared == *declared;
        if let Some(found) = lock(&self.cache).get(text).and_then(|cached| cached.bound.iter().find(fits)) {
            return Ok(Some(found.clone()));
        }
        let statements = self.parse(text)?;
        let statement = match &*statements {
            [] => return Ok(None),
            [statement] => statement,
            _ => {
                return Err(SqlError::syntax("cannot insert multiple commands into a prepared statement"));
            }
        };
        let prepared = self.bind(statement, declared, own).map_err(|error| sql::locate(error, text))?;
        if let Some(cached) = lock(&self.cache).get_mut(text) {
            cached.bound.retain(|bound| bound.schema == prepared.schema);
            if cached.bound.len() < 8 {
                cached.bound.push(prepared.clone());
            }
        }
        Ok(Some(prepared))
    }

    /// The plan of one statement.
    pub(crate) fn bind(&self, statement: &Statement, declared: &[u32], own: bool) -> Result<Arc<Prepared>> {
        let state = lock(&self.state);
        sql::bind(statement, declared, &Catalog { tables: &state.tables, own }).map(Arc::new)
    }

    /// Runs a statement of someone who has changed and locked nothing: it sees what is durable.
    pub(crate) fn read(&self, prepared: &Prepared, given: Given<'_>, progress: &Progress) -> Result<Ran> {
        let mut state = self.alive()?;
        if is_stale(prepared, &state.tables, false) {
            return Ok(Ran::Stale);
        }
        if state.strong_locks > 0
            && let Some(holder) = prepared
                .tables
                .iter()
                .find_map(|table| state.table_lock_holder(*table, TableLock::AccessShare, None))
        {
            return Ok(Ran::Waits(state.waits.wait(None, holder)));
        }
        let view = View::new(&state.tables, None, false);
        run_query(prepared, &state.tables, view, self.inputs(given), progress.memo()).map(Ran::Done)
    }

    /// What a statement is given from outside.
    fn inputs<'a>(&'a self, given: Given<'a>) -> Inputs<'a> {
        let Given { params, now, process } = given;
        Inputs { params, now, process, clock: &*self.clock, backends: &self.backends }
    }

    /// The tables, unless the engine has crashed.
    fn alive(&self) -> Result<MutexGuard<'_, State>> {
        let state = lock(&self.state);
        if self.crashed.is_cancelled() { Err(crash_of_another()) } else { Ok(state) }
    }
}

fn run_query(
    prepared: &Prepared,
    tables: &Tables,
    view: View<'_>,
    inputs: Inputs<'_>,
    memo: &Memo,
) -> Result<Answer> {
    check_tables(prepared, tables, view.own())?;
    match &prepared.plan {
        Plan::Select { query, .. } => sql::query(query, view, inputs, memo),
        _ => Ok(Answer::default()),
    }
}

fn is_stale(prepared: &Prepared, tables: &Tables, own: bool) -> bool {
    let depends = !prepared.tables.is_empty() || prepared.plan.changes_schema();
    depends && prepared.schema != tables.version(own)
}

fn check_tables(prepared: &Prepared, tables: &Tables, own: bool) -> Result<()> {
    prepared.tables.iter().try_for_each(|table| Catalog { tables, own }.check(*table))
}
