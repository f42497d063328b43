//! Transactions: one writer at a time, READ COMMITTED, group commit.
//!
//! A statement changes tables in place while it holds the right to write. Its transaction's [`Layer`] then waits, together
//! with those of other committers, for the log; the statement's client is answered when the record is durable. Readers never
//! wait and see only what is durable, or their own transaction.
//!
//! A statement that is a whole transaction may build on changes that are not durable yet: its record comes after theirs, so
//! it is durable only if they are, and nobody hears of its result before. A transaction of several statements talks to its
//! client in between, so it waits until everything before it is durable.
//!
//! Deliberately absent: row locks. A second writer waits for the first even if they touch different rows.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use env::WallClock;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    connection::crash_of_another,
    data::{Value, timestamp},
    error::{Result, SqlError},
    sql::{self, Answer, Plan, Prepared, Statement},
    store::{self, Catalog, Failure, Layer, Log, Tables, View},
};

/// Texts of statements that are remembered in parsed form.
const CACHED_TEXTS: usize = 512;
/// Longer texts are parsed every time.
const CACHED_TEXT_BYTES: usize = 16 * 1024;

/// Tables, transactions and statements between a recovery and the next.
pub(crate) struct Engine {
    state: Mutex<State>,
    cache: Mutex<BTreeMap<Arc<str>, Cached>>,
    /// One permit: the right to write.
    writer: Arc<Semaphore>,
    /// There is something to write into the log.
    work: Notify,
    clock: Arc<dyn WallClock>,
    /// The log failed in a way that only recovery can mend.
    crashed: CancellationToken,
}

struct State {
    tables: Tables,
    /// Committed in memory, not durable yet; oldest first.
    pending: VecDeque<Pending>,
    /// Of the transaction that holds the right to write.
    open: Option<Layer>,
}

struct Pending {
    layer: Layer,
    /// Taken when the batch is written; empty if there is nothing to write.
    redo: Vec<u8>,
    done: oneshot::Sender<Result<()>>,
}

struct Cached {
    statements: Arc<[Statement]>,
    /// One for each list of declared parameter types that has been used, if the text is one statement.
    bound: Vec<Arc<Prepared>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds a lock leaves its content half-changed when it panics: statements are undone by their caller.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    pub(crate) fn new(tables: Tables, clock: Arc<dyn WallClock>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { tables, pending: VecDeque::new(), open: None }),
            cache: Mutex::default(),
            writer: Arc::new(Semaphore::new(1)),
            work: Notify::new(),
            clock,
            crashed: CancellationToken::new(),
        })
    }

    /// Resolves when the engine can no longer be used.
    pub(crate) fn crashed(&self) -> &CancellationToken {
        &self.crashed
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
        let version = lock(&self.state).tables.version();
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
        let prepared = self.bind(statement, declared, own)?;
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

    /// Runs a `SELECT` for someone who is not writing: sees what is durable. None when the plan belongs to another version
    /// of the schema.
    pub(crate) fn read(&self, prepared: &Prepared, params: &[Value], now: i64) -> Result<Option<Answer>> {
        let state = self.alive()?;
        if is_stale(prepared, &state.tables) {
            return Ok(None);
        }
        let hidden = state.pending.iter().map(|pending| &pending.layer).chain(&state.open);
        run_query(
            prepared,
            &state.tables,
            View::without(&state.tables, hidden),
            params,
            now,
            &*self.clock,
            false,
        )
        .map(Some)
    }

    /// Waits for the right to write. With `alone` the transaction is the next statement only, and commits before anything
    /// is sent; otherwise everything that was committed before is durable when this returns.
    pub(crate) async fn writer(self: &Arc<Self>, alone: bool) -> Result<Writer> {
        let permit = self.writer.clone().acquire_owned().await.map_err(|_| crash_of_another())?;
        let writer = Writer { engine: self.clone(), _permit: permit };
        if !alone {
            let barrier = self.enqueue(Layer::default(), Vec::new());
            // A refusal concerned others and has been undone; a crash is met again by whatever comes next.
            let _ = barrier.durable().await;
        }
        Ok(writer)
    }

    fn enqueue(&self, layer: Layer, redo: Vec<u8>) -> Ticket {
        let mut state = lock(&self.state);
        self.enqueue_in(&mut state, layer, redo)
    }

    fn enqueue_in(&self, state: &mut State, layer: Layer, redo: Vec<u8>) -> Ticket {
        if self.crashed.is_cancelled() {
            return Ticket(Some(Err(crash_of_another())), None);
        }
        if redo.is_empty() && state.pending.is_empty() {
            return Ticket(Some(Ok(())), None);
        }
        let (done, wait) = oneshot::channel();
        state.pending.push_back(Pending { layer, redo, done });
        self.work.notify_one();
        Ticket(None, Some(wait))
    }

    /// Writes what is committed into the log until the log fails for good; returns why.
    pub(crate) async fn write_log(&self, log: &mut Log) -> Box<SqlError> {
        loop {
            self.work.notified().await;
            loop {
                let batch: Vec<Vec<u8>> = lock(&self.state)
                    .pending
                    .iter_mut()
                    .map(|pending| std::mem::take(&mut pending.redo))
                    .collect();
                if batch.is_empty() {
                    break;
                }
                match log.append(&batch).await {
                    Ok(()) => self.complete(&batch),
                    Err(Failure::Refused { kept, error }) => {
                        self.complete(&batch[..kept]);
                        self.refuse(&error);
                    }
                    Err(Failure::Panic { error }) => {
                        self.crash(&error);
                        return error;
                    }
                }
            }
        }
    }

    fn complete(&self, batch: &[Vec<u8>]) {
        let mut state = lock(&self.state);
        for redo in batch {
            let Some(Pending { layer, done, .. }) = state.pending.pop_front() else {
                break;
            };
            state.tables.publish(&layer);
            if !redo.is_empty() {
                env::detail!("ledger.committed", bytes = redo.len() as u64);
            }
            // A client that has gone does not hear of it.
            let _ = done.send(Ok(()));
        }
    }

    /// Undoes everything that is not durable: later transactions were built on the refused one.
    fn refuse(&self, error: &SqlError) {
        let mut state = lock(&self.state);
        let pending = std::mem::take(&mut state.pending);
        let mut refused = Vec::with_capacity(pending.len());
        for Pending { layer, done, .. } in pending.into_iter().rev() {
            state.tables.undo(layer);
            refused.push(done);
        }
        env::fact!("ledger.write_refused", sqlstate = error.state, reason = %error.message);
        for done in refused.into_iter().rev() {
            let _ = done.send(Err(Box::new(error.clone())));
        }
    }

    /// Ends everything: nobody may see the tables any more, for what is durable in them is unknown.
    fn crash(&self, error: &SqlError) {
        let mut state = lock(&self.state);
        self.crashed.cancel();
        self.writer.close();
        for Pending { done, .. } in std::mem::take(&mut state.pending) {
            let _ = done.send(Err(Box::new(error.clone())));
        }
    }

    /// The tables, unless the engine has crashed.
    fn alive(&self) -> Result<MutexGuard<'_, State>> {
        let state = lock(&self.state);
        if self.crashed.is_cancelled() { Err(crash_of_another()) } else { Ok(state) }
    }
}

/// The right to write, and the transaction that uses it. Dropping it rolls the transaction back.
pub(crate) struct Writer {
    engine: Arc<Engine>,
    _permit: OwnedSemaphorePermit,
}

impl Writer {
    /// Runs a statement. After an error the whole transaction has been undone. None when the plan belongs to another
    /// version of the schema; then nothing has happened.
    pub(crate) fn run(&self, prepared: &Prepared, params: &[Value], now: i64) -> Result<Option<Answer>> {
        let mut state = self.engine.alive()?;
        let State { tables, open, .. } = &mut *state;
        if is_stale(prepared, tables) {
            return Ok(None);
        }
        let plan = &prepared.plan;
        let mut layer = open.take().unwrap_or_default();
        let result = if plan.writes() {
            check_tables(prepared, tables, true)
                .and_then(|()| sql::write(plan, tables, &mut layer, params, now, &*self.engine.clock))
        } else {
            run_query(prepared, tables, View::latest(tables), params, now, &*self.engine.clock, true)
        };
        match &result {
            Ok(_) => *open = Some(layer),
            Err(_) => tables.undo(layer),
        }
        result.map(Some)
    }

    /// Commits in memory; the ticket says when it is durable.
    pub(crate) fn commit(self) -> Ticket {
        let mut state = lock(&self.engine.state);
        let layer = state.open.take().unwrap_or_default();
        let redo = store::redo(&state.tables, &layer);
        self.engine.enqueue_in(&mut state, layer, redo)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = lock(&self.engine.state);
        if let Some(layer) = state.open.take() {
            state.tables.undo(layer);
        }
    }
}

/// A commit on its way to the disk.
pub(crate) struct Ticket(Option<Result<()>>, Option<oneshot::Receiver<Result<()>>>);

impl Ticket {
    /// Waits until the commit is durable.
    ///
    /// # Errors
    /// 53100 and 58030: it has been undone. With severity PANIC: whether it is durable is unknown.
    pub(crate) async fn durable(self) -> Result<()> {
        match self {
            Self(Some(result), _) => result,
            Self(None, Some(wait)) => wait.await.unwrap_or_else(|_| Err(crash_of_another())),
            Self(None, None) => Ok(()),
        }
    }
}

fn run_query(
    prepared: &Prepared,
    tables: &Tables,
    view: View<'_>,
    params: &[Value],
    now: i64,
    clock: &dyn WallClock,
    own: bool,
) -> Result<Answer> {
    check_tables(prepared, tables, own)?;
    match &prepared.plan {
        Plan::Select(query) => sql::query(query, view, params, now, clock),
        _ => Ok(Answer::default()),
    }
}

fn is_stale(prepared: &Prepared, tables: &Tables) -> bool {
    !prepared.tables.is_empty() && prepared.schema != tables.version()
}

fn check_tables(prepared: &Prepared, tables: &Tables, own: bool) -> Result<()> {
    prepared.tables.iter().try_for_each(|table| Catalog { tables, own }.check(*table))
}
