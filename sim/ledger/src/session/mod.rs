//! The conversation with one client after it has been let in.

mod extended;

use std::{collections::BTreeMap, io, sync::Arc};

use env::BoxStream;
use tokio::{select, time::Instant};

use extended::{Portal, Stored};

use crate::{
    connection::{Connection, Key, crash_of_another},
    data::Value,
    engine::{Backend, Engine, administrator},
    error::{Result, Severity, SqlError, state},
    patience::{Patience, reached},
    settings::Settings,
    sql::{Answer, Plan, Prepared, Statement, locate},
    transaction::{Ended, Origin, Transaction, tag},
    wire::{
        backend::{self, Format, Status},
        frontend::{self, Frame, Message},
    },
};

/// One client's session.
pub(crate) struct Session {
    engine: Arc<Engine>,
    backend: Arc<Backend>,
    connection: Connection<BoxStream>,
    transaction: Transaction,
    statements: BTreeMap<String, Option<Stored>>,
    portals: BTreeMap<String, Option<Portal>>,
    /// An extended-protocol message failed: everything is skipped up to the next `Sync`.
    skipping: bool,
    scratch: String,
}

/// Whether the session goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Close,
    Go,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.engine.backends().leave(self.backend.key.process);
    }
}

impl Session {
    pub(crate) fn new(
        engine: Arc<Engine>,
        key: Key,
        connection: Connection<BoxStream>,
        settings: Settings,
    ) -> Self {
        Self {
            transaction: Transaction::new(engine.clone(), key.process, settings),
            backend: engine.backends().enter(key),
            engine,
            connection,
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            skipping: false,
            scratch: String::new(),
        }
    }

    /// Serves the client until it leaves, breaks the protocol, is sent away or the engine crashes.
    ///
    /// # Errors
    /// Those of the stream.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        loop {
            let next = match self.next_frame().await? {
                Ok(Some(frame)) => self.handle(&frame).await?,
                Ok(None) => return Ok(()),
                Err(error) => self.report(error.severity(Severity::Fatal), false).await?,
            };
            if next == Next::Close {
                return Ok(());
            }
        }
    }

    /// The next message, or why the session ends without one.
    async fn next_frame(&mut self) -> io::Result<Result<Option<Frame>>> {
        if let Some(frame) = self.connection.buffered_frame().transpose() {
            return Ok(frame.map(Some));
        }
        let in_block = self.transaction.status() != Status::Idle;
        let idle = self.transaction.settings.timeouts().idle_in_transaction.filter(|_| in_block);
        let dismissed = async {
            select! {
                biased;
                () = self.engine.crashed().cancelled() => crash_of_another(),
                () = self.engine.stopping().cancelled() => administrator(),
                error = self.backend.terminated() => error,
                () = reached(idle.map(|idle| Instant::now() + idle)) => SqlError::new(
                    state::IDLE_IN_TRANSACTION,
                    "terminating connection due to idle-in-transaction timeout",
                ),
            }
        };
        self.connection.next_frame(dismissed).await
    }

    async fn handle(&mut self, frame: &Frame) -> io::Result<Next> {
        if self.skipping && frame.kind != b'S' && frame.kind != b'X' {
            return Ok(Next::Go);
        }
        let extended = frontend::is_extended(frame.kind);
        let result = match Message::parse(frame) {
            Ok(Message::Terminate) => return Ok(Next::Close),
            Ok(Message::Flush) => {
                return self.connection.flush(self.engine.over()).await.map(|()| Next::Go);
            }
            Ok(Message::Sync) => return self.sync().await,
            Ok(Message::Query(sql)) => return self.query(sql).await,
            Ok(Message::Parse { name, sql, types }) => self.parse(name, sql, &types),
            Ok(Message::Bind(bind)) => self.bind(&bind),
            Ok(Message::Describe(target)) => self.describe(&target),
            Ok(Message::Execute { portal, max_rows }) => self.execute(portal, max_rows).await,
            Ok(Message::Close(target)) => {
                self.close(&target);
                Ok(())
            }
            Err(error) if frontend::is_known(frame.kind) => Err(error),
            Err(error) => Err(error.severity(Severity::Fatal)),
        };
        match result {
            Ok(()) => Ok(Next::Go),
            Err(error) => self.report(error, extended).await,
        }
    }

    /// Tells the client of an error, which also fails the transaction.
    async fn report(&mut self, error: Box<SqlError>, extended: bool) -> io::Result<Next> {
        self.transaction.fail();
        if error.severity == Severity::Cut {
            return Ok(Next::Close);
        }
        backend::error(&error, &mut self.connection.out);
        if error.severity != Severity::Error {
            self.connection.flush(self.engine.over()).await?;
            return Ok(Next::Close);
        }
        if extended {
            self.skipping = true;
            // A client that asked for a flush waits for the error: the `Flush` behind it is skipped with the rest.
            self.connection.flush(self.engine.over()).await?;
            Ok(Next::Go)
        } else {
            self.ready().await
        }
    }

    async fn ready(&mut self) -> io::Result<Next> {
        if self.transaction.status() == Status::Idle {
            self.portals.clear();
        }
        for (name, value) in self.transaction.settings.reports() {
            backend::parameter_status(name, &value, &mut self.connection.out);
        }
        backend::ready(self.transaction.status(), &mut self.connection.out);
        self.connection.flush(self.engine.over()).await?;
        Ok(Next::Go)
    }

    async fn sync(&mut self) -> io::Result<Next> {
        self.skipping = false;
        match self.transaction.finish().await {
            Ok(()) => self.ready().await,
            Err(error) => self.report(error, false).await,
        }
    }

    /// The simple protocol: every statement of a text, as one transaction unless it says otherwise.
    async fn query(&mut self, sql: &str) -> io::Result<Next> {
        match self.run_text(sql).await {
            Ok(()) => self.ready().await,
            Err(error) => self.report(error, false).await,
        }
    }

    fn parsed(&self, sql: &str) -> Result<Arc<[Statement]>> {
        self.engine.parse(sql).map_err(|error| self.transaction.unparsed(error))
    }

    async fn run_text(&mut self, sql: &str) -> Result<()> {
        let statements = self.parsed(sql)?;
        if statements.is_empty() {
            backend::empty_query(&mut self.connection.out);
        }
        let alone = statements.len() == 1;
        for (index, statement) in statements.iter().enumerate() {
            self.transaction.admit(statement)?;
            let own = self.transaction.owns_schema();
            let (prepared, origin) = if alone {
                let Some(prepared) = self.engine.prepare(sql, &[], own)? else {
                    continue;
                };
                (prepared, Origin::Text(sql))
            } else {
                let bound = self.engine.bind(statement, &[], own).map_err(|error| locate(error, sql))?;
                (bound, Origin::Tree(statement))
            };
            if !prepared.params.is_empty() {
                return Err(SqlError::new(state::UNDEFINED_PARAMETER, "there is no parameter $1"));
            }
            prepared.planned()?;
            let (answer, tag) = self.run_plan(&prepared, origin, &[]).await?;
            for notice in &answer.notices {
                backend::notice(notice, &mut self.connection.out);
            }
            if prepared.plan.returns_rows() {
                backend::row_description(&prepared.columns, |_| Format::Text, &mut self.connection.out);
                for row in &answer.rows {
                    backend::data_row(
                        row,
                        &prepared.columns,
                        |_| Format::Text,
                        &mut self.scratch,
                        &mut self.connection.out,
                    );
                    self.relieve().await?;
                }
            }
            // The last statement is reported once the implicit transaction is durable.
            if index + 1 == statements.len() {
                self.transaction.finish().await?;
            }
            backend::command_complete(&tag, &mut self.connection.out);
        }
        Ok(())
    }

    /// Sends what has gathered when it is much.
    async fn relieve(&mut self) -> Result<()> {
        if self.connection.is_full() {
            self.connection.flush(self.engine.over()).await.map_err(|_| SqlError::cut())?;
        }
        Ok(())
    }

    /// Runs any plan and gives its answer and command tag.
    async fn run_plan(
        &mut self,
        prepared: &Arc<Prepared>,
        origin: Origin<'_>,
        params: &[Value],
    ) -> Result<(Answer, String)> {
        self.backend.runs(true);
        let result = self.run_any(prepared, origin, params).await;
        self.backend.runs(false);
        result
    }

    async fn run_any(
        &mut self,
        prepared: &Arc<Prepared>,
        origin: Origin<'_>,
        params: &[Value],
    ) -> Result<(Answer, String)> {
        let Self { engine, backend, transaction, .. } = self;
        let patience = Patience::new(engine, backend, transaction.settings.timeouts());
        let ended = match &prepared.plan {
            Plan::Begin { read_only } => transaction.begin(*read_only),
            Plan::Checkpoint => {
                engine.checkpoint().await?;
                Ended { tag: "CHECKPOINT", warning: None }
            }
            Plan::Commit => transaction.commit().await?,
            Plan::LockTable { tables, mode, nowait } => {
                transaction.lock_tables(tables, *mode, *nowait, &patience).await?;
                Ended { tag: "LOCK TABLE", warning: None }
            }
            Plan::Release { savepoint } => transaction.release(savepoint)?,
            Plan::Rollback => transaction.rollback(),
            Plan::RollbackTo { savepoint } => transaction.rollback_to(savepoint)?,
            Plan::Savepoint { name } => transaction.savepoint(name)?,
            Plan::Set { name, value, local } => transaction.set(name, value.clone(), *local)?,
            Plan::SetTransaction { read_only } => transaction.set_modes(*read_only),
            Plan::Show { name } => {
                let row = vec![Value::from(transaction.settings.show(name)?)];
                return Ok((Answer { rows: vec![row], count: 1, notices: Vec::new() }, "SHOW".to_owned()));
            }
            plan => {
                if let Some(delay) = engine.slowness() {
                    patience.sleep(delay).await?;
                }
                let answer = transaction.run(prepared, origin, params, &patience).await?;
                let tag = tag(plan, answer.count);
                return Ok((answer, tag));
            }
        };
        if let Some(warning) = ended.warning {
            backend::warning(&warning, &mut self.connection.out);
        }
        Ok((Answer::default(), ended.tag.to_owned()))
    }
}
