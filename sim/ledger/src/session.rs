//! The conversation with one client after it has been let in.

use std::{collections::BTreeMap, io, sync::Arc, vec};

use env::BoxStream;

use crate::{
    connection::Connection,
    data::{Value, binary, text},
    engine::Engine,
    error::{Result, Severity, SqlError, state},
    settings::Settings,
    sql::{Answer, Plan, Prepared},
    transaction::{Ended, Origin, Transaction, tag},
    wire::{
        backend::{self, Format, Status},
        frontend::{self, Bind, Frame, Message, Target},
    },
};

/// Named statements, and portals, of one session.
const MAX_NAMED: usize = 1_024;

/// One client's session.
pub(crate) struct Session {
    engine: Arc<Engine>,
    connection: Connection<BoxStream>,
    settings: Settings,
    transaction: Transaction,
    statements: BTreeMap<String, Option<Stored>>,
    portals: BTreeMap<String, Option<Portal>>,
    /// An extended-protocol message failed: everything is skipped up to the next `Sync`.
    skipping: bool,
    scratch: String,
}

/// A prepared statement; the map holds none for an empty one.
#[derive(Clone)]
struct Stored {
    sql: Arc<str>,
    prepared: Arc<Prepared>,
}

struct Portal {
    stored: Stored,
    params: Vec<Value>,
    formats: Vec<i16>,
    /// What is left to send once it has run.
    rows: Option<vec::IntoIter<Vec<Value>>>,
    finished: bool,
}

/// Whether the session goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Close,
    Go,
}

impl Session {
    pub(crate) fn new(engine: Arc<Engine>, connection: Connection<BoxStream>, settings: Settings) -> Self {
        Self {
            transaction: Transaction::new(engine.clone()),
            engine,
            connection,
            settings,
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            skipping: false,
            scratch: String::new(),
        }
    }

    /// Serves the client until it leaves, breaks the protocol or the engine crashes.
    ///
    /// # Errors
    /// Those of the stream.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        loop {
            let next = match self.connection.next_frame(self.engine.crashed()).await? {
                Ok(Some(frame)) => self.handle(&frame).await?,
                Ok(None) => return Ok(()),
                Err(error) => self.report(error.severity(Severity::Fatal), false).await?,
            };
            if next == Next::Close {
                return Ok(());
            }
        }
    }

    async fn handle(&mut self, frame: &Frame) -> io::Result<Next> {
        if self.skipping && frame.kind != b'S' && frame.kind != b'X' {
            return Ok(Next::Go);
        }
        let extended = frontend::is_extended(frame.kind);
        let result = match Message::parse(frame) {
            Ok(Message::Terminate) => return Ok(Next::Close),
            Ok(Message::Flush) => {
                return self
                    .connection
                    .flush(self.engine.crashed())
                    .await
                    .map(|()| Next::Go);
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
        backend::error(&error, &mut self.connection.out);
        if error.severity != Severity::Error {
            self.connection.flush(self.engine.crashed()).await?;
            return Ok(Next::Close);
        }
        if extended {
            self.skipping = true;
            Ok(Next::Go)
        } else {
            self.ready().await
        }
    }

    async fn ready(&mut self) -> io::Result<Next> {
        if self.transaction.status() == Status::Idle {
            self.portals.clear();
        }
        backend::ready(self.transaction.status(), &mut self.connection.out);
        self.connection.flush(self.engine.crashed()).await?;
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

    async fn run_text(&mut self, sql: &str) -> Result<()> {
        let statements = self.engine.parse(sql)?;
        if statements.is_empty() {
            backend::empty_query(&mut self.connection.out);
        }
        let alone = statements.len() == 1;
        for (index, statement) in statements.iter().enumerate() {
            self.transaction.admit(statement)?;
            let own = self.transaction.owns_changes();
            let (prepared, origin) = if alone {
                let Some(prepared) = self.engine.prepare(sql, &[], own)? else {
                    continue;
                };
                (prepared, Origin::Text(sql))
            } else {
                (self.engine.bind(statement, &[], own)?, Origin::Tree(statement))
            };
            if !prepared.params.is_empty() {
                return Err(SqlError::new(
                    state::UNDEFINED_PARAMETER,
                    "there is no parameter $1",
                ));
            }
            let (answer, tag) = self.run_plan(&prepared, origin, &[], alone).await?;
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

    /// Runs any plan and gives its answer and command tag.
    async fn run_plan(
        &mut self,
        prepared: &Arc<Prepared>,
        origin: Origin<'_>,
        params: &[Value],
        alone: bool,
    ) -> Result<(Answer, String)> {
        let ended = match &prepared.plan {
            Plan::Begin { read_only } => self.transaction.begin(*read_only),
            Plan::Commit => self.transaction.commit().await?,
            Plan::Rollback => self.transaction.rollback(),
            Plan::Set { name, value } => {
                if let Some((name, value)) = self.settings.set(name, value.clone())? {
                    backend::parameter_status(name, &value, &mut self.connection.out);
                }
                Ended {
                    tag: "SET",
                    warning: None,
                }
            }
            Plan::Show { name } => {
                let row = vec![Value::from(self.settings.show(name)?)];
                return Ok((
                    Answer {
                        rows: vec![row],
                        count: 1,
                    },
                    "SHOW".to_owned(),
                ));
            }
            plan => {
                let answer = self.transaction.run(prepared, origin, params, alone).await?;
                let tag = tag(plan, answer.count);
                return Ok((answer, tag));
            }
        };
        if let Some(warning) = ended.warning {
            backend::warning(&warning, &mut self.connection.out);
        }
        Ok((Answer::default(), ended.tag.to_owned()))
    }

    fn parse(&mut self, name: &str, sql: &str, types: &[u32]) -> Result<()> {
        if let [statement] = &*self.engine.parse(sql)? {
            self.transaction.admit(statement)?;
        }
        let prepared = self.engine.prepare(sql, types, self.transaction.owns_changes())?;
        if !name.is_empty() && self.statements.contains_key(name) {
            return Err(SqlError::new(
                state::DUPLICATE_PREPARED,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        if self.statements.len() >= MAX_NAMED {
            return Err(SqlError::new(
                state::CONFIGURATION_LIMIT,
                "too many prepared statements",
            ));
        }
        let stored = prepared.map(|prepared| Stored {
            sql: sql.into(),
            prepared,
        });
        self.statements.insert(name.to_owned(), stored);
        backend::parse_complete(&mut self.connection.out);
        Ok(())
    }

    fn statement(&self, name: &str) -> Result<&Option<Stored>> {
        self.statements.get(name).ok_or_else(|| {
            let what = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            SqlError::new(state::INVALID_STATEMENT_NAME, what)
        })
    }

    fn bind(&mut self, bind: &Bind<'_>) -> Result<()> {
        let stored = self.statement(bind.statement)?;
        let types = stored.as_ref().map_or(&[][..], |stored| &stored.prepared.params);
        let (given, wanted) = (bind.params.len(), types.len());
        if given != wanted {
            return Err(SqlError::protocol(format!(
                "bind message supplies {given} parameters, but prepared statement \"{}\" requires {wanted}",
                bind.statement
            )));
        }
        let formats = &bind.param_formats;
        if formats.len() > 1 && formats.len() != given {
            return Err(SqlError::protocol(format!(
                "bind message has {} parameter formats but {given} parameters",
                formats.len()
            )));
        }
        check_formats(formats.iter().chain(&bind.result_formats))?;
        let params = bind
            .params
            .iter()
            .zip(types)
            .enumerate()
            .map(|(index, (param, ty))| match param {
                None => Ok(Value::Null),
                Some(bytes) if format(formats, index) == Format::Binary => binary::read(bytes, *ty),
                Some(bytes) => text::parse(binary::utf8(bytes)?, *ty),
            });
        let params = params.collect::<Result<Vec<_>>>()?;
        let portal = match stored {
            None => None,
            Some(stored) => {
                let columns = stored.prepared.columns.len();
                if bind.result_formats.len() > 1 && bind.result_formats.len() != columns {
                    return Err(SqlError::protocol(format!(
                        "bind message has {} result formats but query has {columns} columns",
                        bind.result_formats.len()
                    )));
                }
                let (stored, formats) = (stored.clone(), bind.result_formats.clone());
                Some(Portal {
                    stored,
                    params,
                    formats,
                    rows: None,
                    finished: false,
                })
            }
        };
        if !bind.portal.is_empty() && self.portals.contains_key(bind.portal) {
            return Err(SqlError::new(
                state::DUPLICATE_PORTAL,
                format!("cursor \"{}\" already exists", bind.portal),
            ));
        }
        if self.portals.len() >= MAX_NAMED {
            return Err(SqlError::new(state::CONFIGURATION_LIMIT, "too many portals"));
        }
        self.portals.insert(bind.portal.to_owned(), portal);
        backend::bind_complete(&mut self.connection.out);
        Ok(())
    }

    fn describe(&mut self, target: &Target<'_>) -> Result<()> {
        let (stored, formats) = match target {
            Target::Statement(name) => {
                let stored = self.statement(name)?.clone();
                let types = stored.as_ref().map_or(&[][..], |stored| &stored.prepared.params);
                backend::parameter_description(types, &mut self.connection.out);
                (stored, Vec::new())
            }
            Target::Portal(name) => match self.portals.get(*name).ok_or_else(|| no_portal(name))? {
                Some(portal) => (Some(portal.stored.clone()), portal.formats.clone()),
                None => (None, Vec::new()),
            },
        };
        match stored {
            Some(stored) if stored.prepared.plan.returns_rows() => {
                let format = |index| format(&formats, index);
                backend::row_description(&stored.prepared.columns, format, &mut self.connection.out);
            }
            _ => backend::no_data(&mut self.connection.out),
        }
        Ok(())
    }

    async fn execute(&mut self, name: &str, max_rows: usize) -> Result<()> {
        let (name, mut portal) = self.portals.remove_entry(name).ok_or_else(|| no_portal(name))?;
        let result = match &mut portal {
            None => {
                backend::empty_query(&mut self.connection.out);
                Ok(())
            }
            Some(portal) => self.execute_portal(portal, max_rows).await,
        };
        self.portals.insert(name, portal);
        result
    }

    async fn execute_portal(&mut self, portal: &mut Portal, max_rows: usize) -> Result<()> {
        let Stored { sql, prepared } = portal.stored.clone();
        let returns_rows = prepared.plan.returns_rows();
        if portal.rows.is_none() {
            if portal.finished {
                return Err(SqlError::new("55000", "portal cannot be run"));
            }
            self.admit_text(&sql)?;
            let alone = self.connection.next_is_sync();
            let (answer, tag) = self
                .run_plan(&prepared, Origin::Text(&sql), &portal.params, alone)
                .await?;
            portal.finished = true;
            if !returns_rows {
                backend::command_complete(&tag, &mut self.connection.out);
                return Ok(());
            }
            portal.rows = Some(answer.rows.into_iter());
        }
        let Some(rows) = &mut portal.rows else {
            return Ok(());
        };
        let mut sent = 0;
        for row in rows.by_ref().take(max_rows) {
            let format = |index| format(&portal.formats, index);
            backend::data_row(
                &row,
                &prepared.columns,
                format,
                &mut self.scratch,
                &mut self.connection.out,
            );
            sent += 1;
        }
        if rows.len() > 0 {
            backend::portal_suspended(&mut self.connection.out);
        } else {
            backend::command_complete(&tag(&prepared.plan, sent), &mut self.connection.out);
        }
        Ok(())
    }

    fn admit_text(&self, sql: &str) -> Result<()> {
        if self.transaction.status() != Status::Failed {
            return Ok(());
        }
        self.engine
            .parse(sql)?
            .iter()
            .try_for_each(|statement| self.transaction.admit(statement))
    }

    /// Closing what does not exist is no error.
    fn close(&mut self, target: &Target<'_>) {
        match target {
            Target::Portal(name) => drop(self.portals.remove(*name)),
            Target::Statement(name) => drop(self.statements.remove(*name)),
        }
        backend::close_complete(&mut self.connection.out);
    }
}

fn no_portal(name: &str) -> Box<SqlError> {
    SqlError::new(state::INVALID_CURSOR, format!("portal \"{name}\" does not exist"))
}

/// No code means text for all, one code is for all.
fn format(codes: &[i16], index: usize) -> Format {
    let code = if codes.len() == 1 {
        codes.first()
    } else {
        codes.get(index)
    };
    if code == Some(&1) {
        Format::Binary
    } else {
        Format::Text
    }
}

fn check_formats<'a>(mut codes: impl Iterator<Item = &'a i16>) -> Result<()> {
    match codes.find(|code| !matches!(code, 0 | 1)) {
        Some(code) => Err(SqlError::new(
            state::INVALID_PARAMETER_VALUE,
            format!("unsupported format code: {code}"),
        )),
        None => Ok(()),
    }
}
