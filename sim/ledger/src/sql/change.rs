//! Statements that change or lock rows, a row at a time.
//!
//! Where another transaction is in the way, a statement stops; once that transaction has ended it goes on where it was, with
//! what it has done so far. The rows it concerns are those that it saw when it began; one that has changed since is taken as
//! it is now if it still meets the condition (PostgreSQL 16 docs, §13.2.1).

use std::{collections::BTreeSet, sync::Arc, vec};

use super::{
    bind::schema_from_sql,
    constraint::{check_row, unique_violation},
    eval::Scope,
    plan::{
        ConflictAction, Delete, Expr, Insert, Locking, OnConflict, Plan, Select, Source, Update, WaitPolicy,
    },
    run::{Answer, found, holds, limits, matching, project},
};
use crate::{
    data::{Row, Value},
    error::{Result, SqlError, state},
    store::{Conflict, Layer, RowLock, Schema, Tables, TransactionId, View},
};

/// The tables and the transaction that changes them.
pub(crate) struct Change<'a> {
    pub(crate) tables: &'a mut Tables,
    pub(crate) layer: &'a mut Layer,
}

/// How far a statement has come.
#[derive(Default)]
pub(crate) struct Progress {
    /// The rows that are left, the one at hand first; none before the statement has begun.
    targets: Option<vec::IntoIter<(u64, Row)>>,
    /// How many rows of an `INSERT` are done.
    inserted: usize,
    /// Rows that an `INSERT` has stored: it may not change one of them a second time.
    stored: BTreeSet<u64>,
    /// Rows that a `SELECT` has locked.
    locked: Vec<Row>,
    answer: Answer,
}

/// What became of a statement.
pub(crate) enum Step {
    Done(Answer),
    /// It can go on when this transaction has ended.
    Wait(TransactionId),
}

/// What became of a row that a statement wants.
enum Taken {
    /// It is as this says, and nobody else holds it.
    Row(Row),
    /// It no longer concerns the statement.
    Gone,
    Held(TransactionId),
}

/// What is known, or the transaction after whose end it will be.
type Settled<T> = Result<std::result::Result<T, TransactionId>>;

/// Runs a statement that changes tables or locks rows, from where `progress` says. After an error the transaction, or its
/// innermost savepoint, must be undone.
pub(crate) fn change(
    plan: &Plan,
    change: &mut Change<'_>,
    scope: Scope<'_>,
    progress: &mut Progress,
) -> Result<Step> {
    let held = match plan {
        Plan::CreateTable { name, if_not_exists, sql } => {
            progress.answer.notice = change.create_table(name, *if_not_exists, sql)?;
            None
        }
        Plan::Delete(delete) => change.delete(delete, scope, progress)?,
        Plan::Insert(insert) => change.insert(insert, scope, progress)?,
        Plan::Select(select) => change.lock(select, scope, progress)?,
        Plan::Update(update) => change.update(update, scope, progress)?,
        _ => None,
    };
    Ok(match held {
        Some(holder) => Step::Wait(holder),
        None => Step::Done(std::mem::take(&mut progress.answer)),
    })
}

/// Ends the method with the transaction that a row waits for, or passes over a row that is gone.
macro_rules! take {
    ($taken:expr, $gone:block) => {
        match $taken {
            Taken::Row(row) => row,
            Taken::Gone => $gone,
            Taken::Held(holder) => return Ok(Some(holder)),
        }
    };
}

impl Change<'_> {
    /// Creates a table, unless there is one and that is no error; then the client is told.
    fn create_table(&mut self, name: &str, if_not_exists: bool, sql: &str) -> Result<Option<Box<SqlError>>> {
        if self.tables.number(name).is_none() {
            self.tables.create_in(self.layer, schema_from_sql(sql)?);
            return Ok(None);
        }
        let message = format!("relation \"{name}\" already exists");
        if if_not_exists {
            Ok(Some(SqlError::new(state::DUPLICATE_TABLE, format!("{message}, skipping"))))
        } else {
            Err(SqlError::new(state::DUPLICATE_TABLE, message))
        }
    }

    fn update(
        &mut self,
        update: &Update,
        scope: Scope<'_>,
        progress: &mut Progress,
    ) -> Result<Option<TransactionId>> {
        let Update { table, source, assignments, returning } = update;
        let lock = lock_of(&self.tables.table(*table).schema, assignments);
        self.begin(*table, source, scope, progress)?;
        while let Some((id, seen)) = progress.target() {
            let current = take!(self.take(*table, id, &seen, lock, source, scope)?, {
                progress.pass();
                continue;
            });
            let row = match self.assigned(*table, id, &current, assignments, &scope.over(&current))? {
                Ok(row) => row,
                Err(holder) => return Ok(Some(holder)),
            };
            progress.answer.count += 1;
            if let Some(returning) = returning {
                progress.answer.rows.push(project(returning, &scope.over(&row))?);
            }
            self.tables.put_in(self.layer, *table, id, row);
            progress.pass();
        }
        Ok(None)
    }

    fn delete(
        &mut self,
        delete: &Delete,
        scope: Scope<'_>,
        progress: &mut Progress,
    ) -> Result<Option<TransactionId>> {
        let Delete { table, source, returning } = delete;
        self.begin(*table, source, scope, progress)?;
        while let Some((id, seen)) = progress.target() {
            let current = take!(self.take(*table, id, &seen, RowLock::Update, source, scope)?, {
                progress.pass();
                continue;
            });
            progress.answer.count += 1;
            if let Some(returning) = returning {
                progress.answer.rows.push(project(returning, &scope.over(&current))?);
            }
            self.tables.remove_in(self.layer, *table, id);
            progress.pass();
        }
        Ok(None)
    }

    fn insert(
        &mut self,
        insert: &Insert,
        scope: Scope<'_>,
        progress: &mut Progress,
    ) -> Result<Option<TransactionId>> {
        for exprs in &insert.rows[progress.inserted..] {
            let proposed = project(exprs, &scope)?;
            check_row(&self.tables.table(insert.table).schema, &proposed, &scope)?;
            let stored = match &insert.on_conflict {
                None => self.free(insert.table, &proposed)?.map(|()| Some((None, Row::from(proposed)))),
                Some(handler) => self.merged(insert.table, handler, proposed, scope, &progress.stored)?,
            };
            let stored = match stored {
                Ok(stored) => stored,
                Err(holder) => return Ok(Some(holder)),
            };
            progress.inserted += 1;
            let Some((id, row)) = stored else {
                continue;
            };
            let id = id.unwrap_or_else(|| self.tables.table(insert.table).next_id());
            progress.answer.count += 1;
            if let Some(returning) = &insert.returning {
                progress.answer.rows.push(project(returning, &scope.over(&row))?);
            }
            if insert.on_conflict.is_some() {
                progress.stored.insert(id);
            }
            self.tables.put_in(self.layer, insert.table, id, row);
        }
        Ok(None)
    }

    /// Whether no unique index has the keys of a new row; the transaction to wait for when that is not decided yet.
    fn free(&self, table: usize, proposed: &[Value]) -> Settled<()> {
        let table = self.tables.table(table);
        match table.conflict(proposed, self.layer.owner, None, None) {
            None => Ok(Ok(())),
            Some(Conflict::Undecided(holder)) => Ok(Err(holder)),
            Some(Conflict::Row { index, .. }) => Err(unique_violation(&table.schema, index, proposed)),
        }
    }

    /// The row that `INSERT … ON CONFLICT` stores, with its number if it is there already; none when nothing is to be done.
    fn merged(
        &mut self,
        number: usize,
        handler: &OnConflict,
        proposed: Vec<Value>,
        scope: Scope<'_>,
        stored: &BTreeSet<u64>,
    ) -> Settled<Option<(Option<u64>, Row)>> {
        let table = self.tables.table(number);
        let id = match table.conflict(&proposed, self.layer.owner, None, handler.index) {
            // The handler speaks of one index only; the others must be free.
            None => return Ok(self.free(number, &proposed)?.map(|()| Some((None, Row::from(proposed))))),
            Some(Conflict::Undecided(holder)) => return Ok(Err(holder)),
            Some(Conflict::Row { id, .. }) => id,
        };
        let ConflictAction::Update { assignments, filter } = &handler.action else {
            return Ok(Ok(None));
        };
        if stored.contains(&id) {
            return Err(second_time());
        }
        let lock = lock_of(&table.schema, assignments);
        if let Some(holder) = table.lock_holder(id, lock, self.layer.owner) {
            return Ok(Err(holder));
        }
        let Some(current) = table.get(id).cloned() else {
            return Ok(Ok(None));
        };
        let scope = Scope { row: &current, excluded: &proposed, ..scope };
        if !holds(filter.as_ref(), &scope)? {
            // The row stays locked although it stays as it is (PostgreSQL 16 docs, INSERT).
            self.tables.lock_in(self.layer, number, id, lock);
            return Ok(Ok(None));
        }
        Ok(self.assigned(number, id, &current, assignments, &scope)?.map(|row| Some((Some(id), row))))
    }

    /// `SELECT … FOR UPDATE` and its like: locks the rows in the order of the query, no more than it returns.
    fn lock(
        &mut self,
        select: &Select,
        scope: Scope<'_>,
        progress: &mut Progress,
    ) -> Result<Option<TransactionId>> {
        let (Some(table), Some(Locking { lock, wait })) = (select.table, select.locking) else {
            return Ok(None);
        };
        let (limit, offset) = limits(select, &scope)?;
        if progress.targets.is_none() {
            let view = View::new(self.tables, Some(self.layer.owner));
            let rows = found(select, table, &view, scope, if limit == 0 { 0 } else { usize::MAX })?;
            progress.aim(rows.into_iter().map(|(id, row)| (id, row.clone())).collect());
        }
        while progress.locked.len() < limit.saturating_add(offset)
            && let Some((id, seen)) = progress.target()
        {
            match self.take(table, id, &seen, lock, &select.source, scope)? {
                Taken::Row(row) => {
                    self.tables.lock_in(self.layer, table, id, lock);
                    progress.locked.push(row);
                }
                Taken::Gone => {}
                Taken::Held(_) if wait == WaitPolicy::Skip => {}
                Taken::Held(_) if wait == WaitPolicy::Never => {
                    return Err(not_available("row in relation", &self.tables.table(table).schema.name));
                }
                Taken::Held(holder) => return Ok(Some(holder)),
            }
            progress.pass();
        }
        for row in progress.locked.iter().skip(offset) {
            progress.answer.rows.push(project(&select.projection, &scope.over(row))?);
        }
        progress.answer.count = progress.answer.rows.len() as u64;
        Ok(None)
    }

    /// Notes, once, which rows a statement concerns.
    fn begin(&self, table: usize, source: &Source, scope: Scope<'_>, progress: &mut Progress) -> Result<()> {
        if progress.targets.is_some() {
            return Ok(());
        }
        let view = View::new(self.tables, Some(self.layer.owner));
        let mut targets = Vec::new();
        matching(&view, table, source, scope, |id, row| {
            targets.push((id, row.clone()));
            Ok(true)
        })?;
        progress.aim(targets);
        Ok(())
    }

    /// A row as it is now, if it still concerns the statement and nobody else holds it.
    fn take(
        &self,
        table: usize,
        id: u64,
        seen: &Row,
        lock: RowLock,
        source: &Source,
        scope: Scope<'_>,
    ) -> Result<Taken> {
        let (table, owner) = (self.tables.table(table), self.layer.owner);
        if let Some(holder) = table.lock_holder(id, lock, owner) {
            return Ok(Taken::Held(holder));
        }
        Ok(match table.seen(id, Some(owner)) {
            Some(row) if Arc::ptr_eq(row, seen) || holds(source.filter.as_ref(), &scope.over(row))? => {
                Taken::Row(row.clone())
            }
            _ => Taken::Gone,
        })
    }

    /// The row after the assignments, once every constraint holds; the transaction to wait for when a key is undecided.
    fn assigned(
        &self,
        table: usize,
        id: u64,
        current: &Row,
        assignments: &[(usize, Expr)],
        scope: &Scope<'_>,
    ) -> Settled<Row> {
        let table = self.tables.table(table);
        let mut row = current.to_vec();
        for (column, expr) in assignments {
            row[*column] = expr.eval(scope)?;
        }
        check_row(&table.schema, &row, scope)?;
        match table.conflict(&row, self.layer.owner, Some(id), None) {
            None => Ok(Ok(Arc::from(row))),
            Some(Conflict::Undecided(holder)) => Ok(Err(holder)),
            Some(Conflict::Row { index, .. }) => Err(unique_violation(&table.schema, index, &row)),
        }
    }
}

impl Progress {
    /// Whether anything has been done or looked at.
    pub(crate) fn begun(&self) -> bool {
        self.targets.is_some() || self.inserted > 0
    }

    fn aim(&mut self, targets: Vec<(u64, Row)>) {
        self.targets = Some(targets.into_iter());
    }

    /// The row at hand.
    fn target(&self) -> Option<(u64, Row)> {
        self.targets.as_ref()?.as_slice().first().cloned()
    }

    /// The row at hand is done.
    fn pass(&mut self) {
        if let Some(targets) = &mut self.targets {
            targets.next();
        }
    }
}

/// How an update locks its rows: less strongly when no key can change (PostgreSQL 16 docs, §13.3.2).
fn lock_of(schema: &Schema, assignments: &[(usize, Expr)]) -> RowLock {
    let moves_key = |column| schema.uniques.iter().any(|unique| unique.columns.contains(column));
    if assignments.iter().any(|(column, _)| moves_key(column)) {
        RowLock::Update
    } else {
        RowLock::NoKeyUpdate
    }
}

/// What `NOWAIT` answers.
pub(crate) fn not_available(what: &str, name: &str) -> Box<SqlError> {
    SqlError::new(state::LOCK_NOT_AVAILABLE, format!("could not obtain lock on {what} \"{name}\""))
}

fn second_time() -> Box<SqlError> {
    SqlError::new(
        state::CARDINALITY_VIOLATION,
        "ON CONFLICT DO UPDATE command cannot affect row a second time",
    )
    .hint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
}
