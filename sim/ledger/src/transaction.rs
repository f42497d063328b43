//! The transaction of one session: blocks, implicit transactions, failure.

use std::sync::Arc;

use crate::{
    data::Value,
    engine::{Engine, Ticket, Writer},
    error::{Result, SqlError, state},
    sql::{Answer, Plan, Prepared, Statement},
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
    block: Status,
    read_only: bool,
    /// When it started: the value of `now()`.
    started: Option<i64>,
    /// Since its first change.
    writer: Option<Writer>,
    /// Committed, and to be waited for before the client hears of it.
    ticket: Option<Ticket>,
}

impl Transaction {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, block: Status::Idle, read_only: false, started: None, writer: None, ticket: None }
    }

    pub(crate) fn status(&self) -> Status {
        self.block
    }

    /// Whether it has tables that others do not see yet.
    pub(crate) fn owns_changes(&self) -> bool {
        self.writer.is_some()
    }

    /// Fails unless `statement` may run in the state the transaction is in.
    pub(crate) fn admit(&self, statement: &Statement) -> Result<()> {
        let ends = matches!(statement, Statement::Commit { .. } | Statement::Rollback { .. });
        if self.block == Status::Failed && !ends {
            return Err(SqlError::new(
                state::FAILED_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    /// Runs a statement that is not about the transaction itself. With `alone`, nothing follows it before the next
    /// [`Transaction::finish`].
    pub(crate) async fn run(
        &mut self,
        prepared: &Arc<Prepared>,
        origin: Origin<'_>,
        params: &[Value],
        alone: bool,
    ) -> Result<Answer> {
        let writes = prepared.plan.writes();
        if writes && self.read_only {
            return Err(SqlError::new(
                state::READ_ONLY_TRANSACTION,
                format!("cannot execute {} in a read-only transaction", prepared.plan.command()),
            ));
        }
        let now = *self.started.get_or_insert_with(|| self.engine.now());
        let alone = alone && self.block == Status::Idle && self.writer.is_none();
        if writes && self.writer.is_none() {
            self.writer = Some(self.engine.writer(alone).await?);
        }
        let mut current = prepared.clone();
        let answer = loop {
            let answer = match &self.writer {
                Some(writer) => writer.run(&current, params, now)?,
                None => self.engine.read(&current, params, now)?,
            };
            match answer {
                Some(answer) => break answer,
                None => current = self.bind_again(prepared, origin)?,
            }
        };
        if alone && let Some(writer) = self.writer.take() {
            self.ticket = Some(writer.commit());
        }
        Ok(answer)
    }

    fn bind_again(&self, stale: &Prepared, origin: Origin<'_>) -> Result<Arc<Prepared>> {
        let own = self.owns_changes();
        let fresh = match origin {
            Origin::Text(text) => self.engine.prepare(text, &stale.declared, own)?,
            Origin::Tree(statement) => Some(self.engine.bind(statement, &stale.declared, own)?),
        };
        match fresh {
            Some(fresh) if fresh.columns == stale.columns && fresh.params == stale.params => Ok(fresh),
            _ => Err(SqlError::new(state::FEATURE_NOT_SUPPORTED, "cached plan must not change result type")),
        }
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
        let ticket = match self.writer.take() {
            Some(writer) => Some(writer.commit()),
            None => self.ticket.take(),
        };
        self.reset();
        match ticket {
            Some(ticket) => ticket.durable().await,
            None => Ok(()),
        }
    }

    /// A statement failed: undoes the transaction.
    pub(crate) fn fail(&mut self) {
        self.writer = None;
        if self.block == Status::Idle {
            self.reset();
        } else {
            self.block = Status::Failed;
        }
    }

    fn reset(&mut self) {
        self.writer = None;
        self.ticket = None;
        self.started = None;
        self.read_only = false;
    }
}

/// The command tag of a statement that is not about the transaction (PostgreSQL 16 docs, §55.7, CommandComplete).
pub(crate) fn tag(plan: &Plan, count: u64) -> String {
    match plan {
        Plan::Insert(_) => format!("INSERT 0 {count}"),
        Plan::Delete(_) | Plan::Select(_) | Plan::Update(_) => format!("{} {count}", plan.command()),
        _ => plan.command().to_owned(),
    }
}
