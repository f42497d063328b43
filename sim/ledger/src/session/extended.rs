//! The extended protocol: prepared statements and portals (PostgreSQL 16 docs, §55.2.3).

use std::{sync::Arc, vec};

use super::Session;
use crate::{
    data::{Value, binary, text},
    error::{Result, SqlError, state},
    sql::Prepared,
    transaction::{Origin, tag},
    wire::{
        backend::{self, Format, Status},
        frontend::{Bind, Target},
    },
};

/// Named statements, and portals, of one session.
const MAX_NAMED: usize = 1_024;

/// A prepared statement; the map holds none for an empty one.
#[derive(Clone)]
pub(super) struct Stored {
    sql: Arc<str>,
    prepared: Arc<Prepared>,
}

/// A statement with its parameters; the map holds none for an empty statement.
pub(super) struct Portal {
    stored: Stored,
    params: Vec<Value>,
    formats: Vec<i16>,
    /// What is left to send once it has run.
    rows: Option<vec::IntoIter<Vec<Value>>>,
    finished: bool,
}

impl Session {
    pub(super) fn parse(&mut self, name: &str, sql: &str, types: &[u32]) -> Result<()> {
        if let [statement] = &*self.parsed(sql)? {
            self.transaction.admit(statement)?;
        }
        let prepared = self.engine.prepare(sql, types, self.transaction.owns_schema())?;
        if !name.is_empty() && self.statements.contains_key(name) {
            return Err(SqlError::new(
                state::DUPLICATE_PREPARED,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        if self.statements.len() >= MAX_NAMED {
            return Err(SqlError::new(state::CONFIGURATION_LIMIT, "too many prepared statements"));
        }
        let stored = prepared.map(|prepared| Stored { sql: sql.into(), prepared });
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

    pub(super) fn bind(&mut self, bind: &Bind<'_>) -> Result<()> {
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
        let params = bind.params.iter().zip(types).enumerate().map(|(index, (param, ty))| match param {
            None => Ok(Value::Null),
            Some(bytes) if format(formats, index) == Format::Binary => binary::read(bytes, *ty),
            Some(bytes) => text::parse(binary::utf8(bytes)?, *ty),
        });
        let params = params.collect::<Result<Vec<_>>>()?;
        let portal = match stored {
            None => None,
            Some(stored) => {
                stored.prepared.planned()?;
                let columns = stored.prepared.columns.len();
                if bind.result_formats.len() > 1 && bind.result_formats.len() != columns {
                    return Err(SqlError::protocol(format!(
                        "bind message has {} result formats but query has {columns} columns",
                        bind.result_formats.len()
                    )));
                }
                let (stored, formats) = (stored.clone(), bind.result_formats.clone());
                Some(Portal { stored, params, formats, rows: None, finished: false })
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

    pub(super) fn describe(&mut self, target: &Target<'_>) -> Result<()> {
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

    pub(super) async fn execute(&mut self, name: &str, max_rows: usize) -> Result<()> {
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
                return Err(SqlError::new(state::NOT_IN_STATE, "portal cannot be run"));
            }
            self.admit_text(&sql)?;
            let (answer, tag) = self.run_plan(&prepared, Origin::Text(&sql), &portal.params).await?;
            for notice in &answer.notices {
                backend::notice(notice, &mut self.connection.out);
            }
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
            backend::data_row(&row, &prepared.columns, format, &mut self.scratch, &mut self.connection.out);
            sent += 1;
            self.relieve().await?;
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
        self.parsed(sql)?.iter().try_for_each(|statement| self.transaction.admit(statement))
    }

    /// Closing what does not exist is no error.
    pub(super) fn close(&mut self, target: &Target<'_>) {
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
    let code = if codes.len() == 1 { codes.first() } else { codes.get(index) };
    if code == Some(&1) { Format::Binary } else { Format::Text }
}

fn check_formats<'a>(mut codes: impl Iterator<Item = &'a i16>) -> Result<()> {
    match codes.find(|code| !matches!(code, 0 | 1)) {
        Some(code) => {
            Err(SqlError::new(state::INVALID_PARAMETER_VALUE, format!("unsupported format code: {code}")))
        }
        None => Ok(()),
    }
}
