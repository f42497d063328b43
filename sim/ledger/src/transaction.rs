//! The transaction of one session: blocks, implicit transactions, savepoints, failure.

use std::sync::Arc;

use crate::{
    data::Value,
    engine::{Engine, Given, Ran, Writer},
    error::{Result, SqlError, state},
    patience::Patience,
    settings::Settings,
    sql::{Answer, Plan, Prepared, Progress, Remembered, Statement, not_available},
    store::{Mark, TableLock},
    wire::backend::Status,
};

/// Where a plan came from, to bind it again when the schema has changed.
#[derive(Clone, Copy)]
pub(crate) enum Origin<'a> {
    Text(&'a str),
    Tree(&'a Statement),
}

/// What a statement did to the transaction.
pub(crate) struct Ended {
    /// The command tag.
    pub(crate) tag: &'static str,
    pub(crate) warning: Option<Box<SqlError>>,
}

/// Without a block, statements form an implicit transaction up to the next [`Transaction::finish`].
pub(crate) struct Transaction {
    engine: Arc<Engine>,
    /// The number of the session's process.
    process: u32,
    block: Status,
    read_only: bool,
    /// When it started: the value of `now()`.
    started: Option<i64>,
    /// Since its first change or lock.
    writer: Option<Writer>,
    savepoints: Vec<Savepoint>,
    /// What the session has drawn from sequences.
    remembered: Remembered,
    pub(crate) settings: Settings,
}

/// A place in a transaction to go back to.
struct Savepoint {
    name: String,
    /// None when the transaction had done nothing.
    mark: Option<Mark>,
    settings: usize,
}

impl Transaction {
    pub(crate) fn new(engine: Arc<Engine>, process: u32, settings: Settings) -> Self {
        Self {
            engine,
            process,
            block: Status::Idle,
            read_only: false,
            started: None,
            writer: None,
            savepoints: Vec::new(),
            remembered: Remembered::default(),
            settings,
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.block
    }

    /// Whether it has tables that others do not see yet.
    pub(crate) fn owns_schema(&self) -> bool {
        self.writer.as_ref().is_some_and(Writer::owns_schema)
    }

    /// Fails unless `statement` may run in the state the transaction is in.
    pub(crate) fn admit(&self, statement: &Statement) -> Result<()> {
        let ends = matches!(statement, Statement::Commit { .. } | Statement::Rollback { .. });
        if self.block == Status::Failed && !ends {
            return Err(aborted());
        }
        Ok(())
    }

    /// What it says when a text cannot be parsed: after a failure, only what the grammar refuses is looked at.
    pub(crate) fn unparsed(&self, error: Box<SqlError>) -> Box<SqlError> {
        if self.block == Status::Failed && error.state == state::UNDEFINED_OBJECT { aborted() } else { error }
    }

    /// Runs a statement that is not about the transaction itself.
    pub(crate) async fn run(
        &mut self,
        prepared: &Arc<Prepared>,
        origin: Origin<'_>,
        params: &[Value],
        patience: &Patience<'_>,
    ) -> Result<Answer> {
        let plan = &prepared.plan;
        let (writes, locks) = (plan.writes(), plan.locks());
        let writing = if writes { Some(plan.command()) } else { prepared.draws };
        if let Some(what) = writing.filter(|_| self.read_only) {
            return Err(SqlError::new(
                state::READ_ONLY_TRANSACTION,
                format!("cannot execute {what} in a read-only transaction"),
            ));
        }
        if writes || locks {
            self.engine.strike_statement()?;
        }
        let now = *self.started.get_or_insert_with(|| self.engine.now());
        let given = Given { params, now, process: self.process };
        // A block that has read a table keeps others from changing it.
        if writing.is_some() || locks || (self.block == Status::Open && !prepared.tables.is_empty()) {
            self.writer()?;
        }
        let mut progress = Progress::of(std::mem::take(&mut self.remembered));
        let outcome = self.go_on(prepared, origin, given, &mut progress, patience).await;
        self.remembered = progress.remembered();
        outcome
    }

    /// Runs a statement as often as it is held up.
    async fn go_on(
        &self,
        prepared: &Arc<Prepared>,
        origin: Origin<'_>,
        given: Given<'_>,
        progress: &mut Progress,
        patience: &Patience<'_>,
    ) -> Result<Answer> {
        let mut current = prepared.clone();
        loop {
            let ran = match &self.writer {
                Some(writer) => writer.run(&current, given, progress)?,
                None => self.engine.read(&current, given, progress)?,
            };
            match ran {
                Ran::Done(answer) => return Ok(answer),
                Ran::Stale => current = self.bind_again(prepared, origin)?,
                Ran::Waits(wait) => patience.wait(wait, self.writer.as_ref().map(Writer::id)).await?,
            }
        }
    }

    /// The own hold on the engine, taken with the first change or lock.
    fn writer(&mut self) -> Result<&Writer> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.engine.begin(self.process)?,
        };
        Ok(self.writer.insert(writer))
    }

    /// `LOCK TABLE`.
    pub(crate) async fn lock_tables(
        &mut self,
        tables: &[(usize, String)],
        mode: TableLock,
        nowait: bool,
        patience: &Patience<'_>,
    ) -> Result<()> {
        self.block_only("LOCK TABLE")?;
        for (table, name) in tables {
            let writer = self.writer()?;
            while let Some(wait) = writer.lock_table(*table, mode)? {
                if nowait {
                    return Err(not_available("relation", name));
                }
                patience.wait(wait, Some(writer.id())).await?;
            }
        }
        Ok(())
    }

    fn bind_again(&self, stale: &Prepared, origin: Origin<'_>) -> Result<Arc<Prepared>> {
        let own = self.owns_schema();
        let fresh = match origin {
            Origin::Text(text) => self.engine.prepare(text, &stale.declared, own)?,
            Origin::Tree(statement) => Some(self.engine.bind(statement, &stale.declared, own)?),
        };
        match fresh {
            Some(fresh) if fresh.columns == stale.columns && fresh.params == stale.params => Ok(fresh),
            _ => Err(SqlError::new(state::FEATURE_NOT_SUPPORTED, "cached plan must not change result type")),
        }
    }

    fn block_only(&self, command: &str) -> Result<()> {
        if self.block == Status::Idle {
            let message = format!("{command} can only be used in transaction blocks");
            return Err(SqlError::new(state::NO_ACTIVE_TRANSACTION, message));
        }
        Ok(())
    }

    /// `SAVEPOINT`.
    pub(crate) fn savepoint(&mut self, name: &str) -> Result<Ended> {
        self.block_only("SAVEPOINT")?;
        let mark = self.writer.as_ref().and_then(Writer::mark);
        self.savepoints.push(Savepoint { name: name.to_owned(), mark, settings: self.settings.mark() });
        Ok(Ended { tag: "SAVEPOINT", warning: None })
    }

    /// `RELEASE SAVEPOINT`: what has been done since belongs to what is around it.
    pub(crate) fn release(&mut self, name: &str) -> Result<Ended> {
        self.block_only("RELEASE SAVEPOINT")?;
        let position = self.find(name)?;
        self.savepoints.truncate(position);
        Ok(Ended { tag: "RELEASE", warning: None })
    }

    /// `ROLLBACK TO SAVEPOINT`: the savepoint stays.
    pub(crate) fn rollback_to(&mut self, name: &str) -> Result<Ended> {
        self.block_only("ROLLBACK TO SAVEPOINT")?;
        let position = self.find(name)?;
        self.savepoints.truncate(position + 1);
        self.undo_to_savepoint();
        self.block = Status::Open;
        Ok(Ended { tag: "ROLLBACK", warning: None })
    }

    fn find(&self, name: &str) -> Result<usize> {
        self.savepoints.iter().rposition(|savepoint| savepoint.name == name).ok_or_else(|| {
            SqlError::new(state::INVALID_SAVEPOINT, format!("savepoint \"{name}\" does not exist"))
        })
    }

    /// Takes back what has been done since the innermost savepoint, or everything.
    fn undo_to_savepoint(&mut self) {
        let (mark, settings) = self.savepoints.last().map_or((None, 0), |it| (it.mark, it.settings));
        self.settings.undo_to(settings);
        match (mark, &self.writer) {
            (Some(mark), Some(writer)) => writer.undo_to(mark),
            _ => self.writer = None,
        }
    }

    /// `SET TRANSACTION`.
    pub(crate) fn set_modes(&mut self, read_only: Option<bool>) -> Ended {
        let warning = (self.block == Status::Idle).then(|| {
            let message = "SET TRANSACTION can only be used in transaction blocks";
            SqlError::new(state::NO_ACTIVE_TRANSACTION, message)
        });
        if warning.is_none() {
            self.read_only = read_only.unwrap_or(self.read_only);
        }
        Ended { tag: "SET", warning }
    }

    /// `SET` and `RESET`.
    pub(crate) fn set(&mut self, name: &str, value: Option<String>, local: bool) -> Result<Ended> {
        let warning = (local && self.block == Status::Idle).then(|| {
            let message = "SET LOCAL can only be used in transaction blocks";
            SqlError::new(state::NO_ACTIVE_TRANSACTION, message)
        });
        let tag = if value.is_none() && !local { "RESET" } else { "SET" };
        self.settings.set(name, value, local)?;
        Ok(Ended { tag, warning })
    }

    /// `BEGIN`.
    pub(crate) fn begin(&mut self, read_only: bool) -> Ended {
        let warning = (self.block == Status::Open)
            .then(|| SqlError::new(state::ACTIVE_TRANSACTION, "there is already a transaction in progress"));
        if warning.is_none() {
            self.block = Status::Open;
            self.read_only = read_only;
            self.started.get_or_insert_with(|| self.engine.now());
        }
        Ended { tag: "BEGIN", warning }
    }

    /// `COMMIT`: when it returns, the transaction is durable or has been undone.
    pub(crate) async fn commit(&mut self) -> Result<Ended> {
        if self.block == Status::Failed {
            return Ok(self.rollback());
        }
        let warning = self.no_block();
        self.block = Status::Idle;
        self.finish().await?;
        Ok(Ended { tag: "COMMIT", warning })
    }

    /// `ROLLBACK`.
    pub(crate) fn rollback(&mut self) -> Ended {
        let warning = self.no_block();
        self.block = Status::Idle;
        self.settings.undo_to(0);
        self.reset();
        Ended { tag: "ROLLBACK", warning }
    }

    fn no_block(&self) -> Option<Box<SqlError>> {
        (self.block == Status::Idle)
            .then(|| SqlError::new(state::NO_ACTIVE_TRANSACTION, "there is no transaction in progress"))
    }

    /// Commits an implicit transaction and waits until it is durable. Does nothing in a block.
    pub(crate) async fn finish(&mut self) -> Result<()> {
        if self.block != Status::Idle {
            return Ok(());
        }
        let ticket = match self.writer.take().map(Writer::commit).transpose() {
            Ok(ticket) => ticket,
            Err(error) => {
                self.settings.undo_to(0);
                self.reset();
                return Err(error);
            }
        };
        self.settings.commit();
        self.reset();
        match ticket {
            Some(ticket) => {
                let wrote = ticket.durable().await?;
                if wrote { self.engine.strike_after_commit() } else { Ok(()) }
            }
            None => Ok(()),
        }
    }

    /// A statement failed: undoes the transaction, or what has been done since its innermost savepoint.
    pub(crate) fn fail(&mut self) {
        if self.block == Status::Idle {
            self.settings.undo_to(0);
            self.reset();
        } else if self.block == Status::Open {
            self.undo_to_savepoint();
            self.block = Status::Failed;
        }
    }

    fn reset(&mut self) {
        self.writer = None;
        self.savepoints.clear();
        self.started = None;
        self.read_only = false;
    }
}

/// The command tag of a statement that is not about the transaction (PostgreSQL 16 docs, §55.7, CommandComplete).
pub(crate) fn tag(plan: &Plan, count: u64) -> String {
    match plan {
        Plan::Insert(_) => format!("INSERT 0 {count}"),
        Plan::Delete(_) | Plan::Select { .. } | Plan::Update(_) => format!("{} {count}", plan.command()),
        _ => plan.command().to_owned(),
    }
}

fn aborted() -> Box<SqlError> {
    SqlError::new(
        state::FAILED_TRANSACTION,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}
