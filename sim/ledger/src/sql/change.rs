//! Statements that change or lock rows, a row at a time.
//!
//! Where another transaction is in the way, a statement stops; once that transaction has ended it goes on where it was, with
//! what it has done so far. The rows it concerns are those that it saw when it began; one that has changed since is taken as
//! it is now if it still meets the condition (PostgreSQL 16 docs, §13.2.1).

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec,
};

use super::{
    constraint::{check_row, unique_violation},
    draw::{Draws, Remembered},
    eval::Scope,
    plan::{
        Body, ConflictAction, Delete, Expr, Insert, Locking, OnConflict, Plan, Query, Rows, Source, Target,
        Update, WaitPolicy,
    },
    reference::{Duties, note},
    run::{
        Answer, Inputs, Memo, Run, compare_keys, each_row, each_stored, holds, limits, project, rows_of,
        sort_keys,
    },
};
use crate::{
    data::{Row, Value},
    error::{Result, SqlError, state},
    store::{Conflict, Drawn, Layer, RowLock, Schema, Tables, TransactionId, View},
};

/// The tables and the transaction that changes them.
pub(crate) struct Change<'a> {
    pub(crate) tables: &'a mut Tables,
    pub(crate) layer: &'a mut Layer,
    /// Whether the transaction is the one that changes the schema.
    pub(crate) own: bool,
}

/// How far a statement has come.
#[derive(Default)]
pub(crate) struct Progress {
    /// The rows that are left, the one at hand first; none before the statement has begun.
    targets: Option<vec::IntoIter<Aim>>,
    /// What a query gave an `INSERT`; none before it has run.
    proposed: Option<Vec<Vec<Value>>>,
    /// The row that an `INSERT` has to wait with: its values are found once.
    at_hand: Option<Vec<Value>>,
    /// How many rows of an `INSERT` are done.
    inserted: usize,
    /// Rows that an `INSERT` has stored: it may not change one of them a second time.
    stored: BTreeSet<u64>,
    /// Rows that a `SELECT` has locked.
    locked: Vec<Row>,
    /// What foreign keys ask for once the statement has done its own part.
    duties: Duties,
    memo: Memo,
    answer: Answer,
}

/// A row that a statement concerns.
#[derive(Clone)]
struct Aim {
    id: u64,
    /// As it was when the statement began.
    seen: Row,
    /// The row that was found with it, which begins with it, because of `FROM` or `USING`.
    joined: Option<Arc<[Value]>>,
    /// The values for the assignments, if they may depend on rows that the statement itself changes.
    values: Option<Arc<[Value]>>,
}

impl Aim {
    /// What expressions read when the row is as `current` says.
    fn whole<'a>(&self, current: &'a [Value]) -> Cow<'a, [Value]> {
        match &self.joined {
            None => Cow::Borrowed(current),
            Some(joined) => Cow::Owned([current, &joined[current.len()..]].concat()),
        }
    }
}

/// What the expressions of a statement are given beside the tables.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    inputs: Inputs<'a>,
    memo: &'a Memo,
}

/// What became of a statement.
pub(crate) enum Step {
    Done(Answer),
    /// It can go on when this transaction has ended.
    Wait(TransactionId),
}

/// What an `INSERT` does with a proposed row.
enum Stored {
    Changed(u64, Row),
    /// A row with the same key is locked, and stays as it is.
    Locked(u64, RowLock),
    New,
    Nothing,
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
    inputs: Inputs<'_>,
    progress: &mut Progress,
) -> Result<Step> {
    let memo = std::mem::take(&mut progress.memo);
    let held = held(plan, change, Given { inputs, memo: &memo }, progress);
    progress.memo = memo;
    Ok(match held? {
        Some(holder) => Step::Wait(holder),
        None => Step::Done(std::mem::take(&mut progress.answer)),
    })
}

/// Goes on with a statement; the transaction in the way, if there is one.
fn held(
    plan: &Plan,
    change: &mut Change<'_>,
    given: Given<'_>,
    progress: &mut Progress,
) -> Result<Option<TransactionId>> {
    Ok(match plan {
        Plan::CreateSequence(create) | Plan::CreateTable(create) => {
            progress.answer.notices.extend(change.create(create)?);
            None
        }
        Plan::AlterTable { reform, notices }
        | Plan::CreateIndex { reform, notices }
        | Plan::DropIndex { reform, notices } => {
            if let Some(reform) = reform {
                change.reform(reform, given)?;
            }
            progress.answer.notices.clone_from(notices);
            None
        }
        Plan::Drop { tables, reforms, notices, .. } => {
            reforms.iter().try_for_each(|reform| change.reform(reform, given))?;
            tables.iter().for_each(|table| change.tables.drop_in(change.layer, *table));
            progress.answer.notices.clone_from(notices);
            None
        }
        Plan::Truncate { tables, notices } => {
            tables.iter().for_each(|table| change.begin_anew(*table));
            progress.answer.notices.clone_from(notices);
            None
        }
        Plan::Delete(delete) => match change.delete(delete, given, progress)? {
            None => change.settle(&delete.integrity, given, &mut progress.duties)?,
            held => held,
        },
        Plan::Insert(insert) => match change.insert(insert, given, progress)? {
            None => change.settle(&insert.integrity, given, &mut progress.duties)?,
            held => held,
        },
        Plan::Select { query, locking: Some(locking) } => change.lock(query, *locking, given, progress)?,
        Plan::Update(update) => match change.update(update, given, progress)? {
            None => change.settle(&update.integrity, given, &mut progress.duties)?,
            held => held,
        },
        _ => None,
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
    /// The tables as the statement may see them.
    pub(super) fn run<'a>(&'a self, given: Given<'a>) -> Run<'a> {
        Run::new(View::new(self.tables, Some(self.layer.owner), self.own), given.inputs, given.memo)
    }

    fn update(
        &mut self,
        update: &Update,
        given: Given<'_>,
        progress: &mut Progress,
    ) -> Result<Option<TransactionId>> {
        let Update { table, target, assignments, integrity, returning } = update;
        let lock = lock_of(&self.tables.table(*table).schema, assignments);
        self.begin(*table, target, assignments, given, progress)?;
        while let Some(aim) = progress.target() {
            let current = take!(self.take(*table, &aim, lock, target, given)?, {
                progress.pass();
                continue;
            });
            let run = self.run(given);
            let scope = run.scope();
            let row = {
                let values = aim.values.as_deref().filter(|_| Arc::ptr_eq(&current, &aim.seen));
                let whole = aim.whole(&current);
                match self.assigned(*table, aim.id, &current, assignments, values, &scope.over(&whole))? {
                    Ok(row) => row,
                    Err(holder) => return Ok(Some(holder)),
                }
            };
            progress.answer.count += 1;
            if let Some(returning) = returning {
                progress.answer.rows.push(project(returning, &scope.over(&aim.whole(&row)))?);
            }
            note(integrity.get(table), *table, Some(&current), Some((aim.id, &row)), &mut progress.duties);
            self.tables.put_in(self.layer, *table, aim.id, row);
            progress.pass();
        }
        Ok(None)
    }

    fn delete(
        &mut self,
        delete: &Delete,
        given: Given<'_>,
        progress: &mut Progress,
    ) -> Result<Option<TransactionId>> {
        let Delete { table, target, integrity, returning } = delete;
        self.begin(*table, target, &[], given, progress)?;
        while let Some(aim) = progress.target() {
            let current = take!(self.take(*table, &aim, RowLock::Update, target, given)?, {
                progress.pass();
                continue;
            });
            progress.answer.count += 1;
            if let Some(returning) = returning {
                let run = self.run(given);
                progress.answer.rows.push(project(returning, &run.scope().over(&aim.whole(&current)))?);
            }
            note(integrity.get(table), *table, Some(&current), None, &mut progress.duties);
            self.tables.remove_in(self.layer, *table, aim.id);
            progress.pass();
        }
        Ok(None)
    }

    fn insert(
        &mut self,
        insert: &Insert,
        given: Given<'_>,
        progress: &mut Progress,
    ) -> Result<Option<TransactionId>> {
        if let (Rows::Query { query, .. }, None) = (&insert.rows, &progress.proposed) {
            progress.proposed = Some(rows_of(query, &self.run(given).scope(), usize::MAX)?);
        }
        loop {
            let run = self.run(given);
            let scope = run.scope();
            let proposed = match (progress.at_hand.take(), &insert.rows) {
                (Some(row), _) => Some(Ok(row)),
                (None, Rows::Values(lists)) => {
                    lists.get(progress.inserted).map(|exprs| project(exprs, &scope))
                }
                (None, Rows::Query { exprs, .. }) => {
                    let row = progress.proposed.as_ref().and_then(|rows| rows.get(progress.inserted));
                    row.map(|row| project(exprs, &scope.over(row)))
                }
            };
            let Some(proposed) = proposed.transpose()? else {
                return Ok(None);
            };
            check_row(&self.tables.table(insert.table).schema, &proposed, &scope)?;
            let stored = match &insert.on_conflict {
                None => self.free(insert.table, &proposed)?.map(|()| Stored::New),
                Some(handler) => self.merged(insert.table, handler, &proposed, scope, &progress.stored)?,
            };
            let (id, row) = match stored {
                Err(holder) => {
                    progress.at_hand = Some(proposed);
                    return Ok(Some(holder));
                }
                Ok(Stored::New) => (self.tables.table(insert.table).next_id(), proposed.into()),
                Ok(Stored::Changed(id, row)) => (id, row),
                Ok(Stored::Nothing) => {
                    progress.inserted += 1;
                    continue;
                }
                Ok(Stored::Locked(id, lock)) => {
                    // The row stays locked although it stays as it is (PostgreSQL 16 docs, INSERT).
                    self.tables.lock_in(self.layer, insert.table, id, lock);
                    progress.inserted += 1;
                    continue;
                }
            };
            progress.inserted += 1;
            progress.answer.count += 1;
            if let Some(returning) = &insert.returning {
                progress.answer.rows.push(project(returning, &scope.over(&row))?);
            }
            if insert.on_conflict.is_some() {
                progress.stored.insert(id);
            }
            let old = self.tables.table(insert.table).get(id);
            let links = insert.integrity.get(&insert.table);
            note(links, insert.table, old, Some((id, &row)), &mut progress.duties);
            self.tables.put_in(self.layer, insert.table, id, row);
        }
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

    /// What `INSERT … ON CONFLICT` makes of a proposed row.
    fn merged(
        &self,
        number: usize,
        handler: &OnConflict,
        proposed: &[Value],
        scope: Scope<'_>,
        stored: &BTreeSet<u64>,
    ) -> Settled<Stored> {
        let table = self.tables.table(number);
        let id = match table.conflict(proposed, self.layer.owner, None, handler.index) {
            // The handler speaks of one index only; the others must be free.
            None => return Ok(self.free(number, proposed)?.map(|()| Stored::New)),
            Some(Conflict::Undecided(holder)) => return Ok(Err(holder)),
            Some(Conflict::Row { id, .. }) => id,
        };
        let ConflictAction::Update { assignments, filter } = &handler.action else {
            return Ok(Ok(Stored::Nothing));
        };
        if stored.contains(&id) {
            return Err(second_time());
        }
        let lock = lock_of(&table.schema, assignments);
        if let Some(holder) = table.lock_holder(id, lock, self.layer.owner) {
            return Ok(Err(holder));
        }
        let Some(current) = table.get(id) else {
            return Ok(Ok(Stored::Nothing));
        };
        let scope = Scope { row: current, excluded: proposed, ..scope };
        if !holds(filter.as_ref(), &scope)? {
            return Ok(Ok(Stored::Locked(id, lock)));
        }
        Ok(self.assigned(number, id, current, assignments, None, &scope)?.map(|row| Stored::Changed(id, row)))
    }

    /// `SELECT … FOR UPDATE` and its like: locks the rows in the order of the query, no more than it returns.
    fn lock(
        &mut self,
        query: &Query,
        Locking { lock, wait }: Locking,
        given: Given<'_>,
        progress: &mut Progress,
    ) -> Result<Option<TransactionId>> {
        let Body::Select(select) = &query.body else {
            return Ok(None);
        };
        let Source::Table(scan) = &select.from else {
            progress.answer.rows = rows_of(query, &self.run(given).scope(), usize::MAX)?;
            progress.answer.count = progress.answer.rows.len() as u64;
            return Ok(None);
        };
        let (limit, offset) = limits(query, &self.run(given).scope())?;
        if progress.targets.is_none() {
            let run = self.run(given);
            let scope = run.scope();
            let mut found = Vec::new();
            if limit > 0 {
                each_stored(scan, &scope, &mut |id, row| {
                    let aim = Aim { id, seen: row.clone(), joined: None, values: None };
                    found.push((sort_keys(&query.order, &scope.over(row))?, aim));
                    Ok(true)
                })?;
            }
            found.sort_by(|(a, _), (b, _)| compare_keys(a, b, &query.order));
            progress.aim(found.into_iter().map(|(_, aim)| aim).collect());
        }
        while progress.locked.len() < limit.saturating_add(offset)
            && let Some(aim) = progress.target()
        {
            match self.take_if(scan.table, &aim, lock, scan.filter.as_ref(), given)? {
                Taken::Row(row) => {
                    self.tables.lock_in(self.layer, scan.table, aim.id, lock);
                    progress.locked.push(row);
                }
                Taken::Gone => {}
                Taken::Held(_) if wait == WaitPolicy::Skip => {}
                Taken::Held(_) if wait == WaitPolicy::Never => {
                    let name = &self.tables.table(scan.table).schema.name;
                    return Err(not_available("row in relation", name));
                }
                Taken::Held(holder) => return Ok(Some(holder)),
            }
            progress.pass();
        }
        let run = self.run(given);
        for row in progress.locked.iter().skip(offset) {
            progress.answer.rows.push(project(&select.projection, &run.scope().over(row))?);
        }
        progress.answer.count = progress.answer.rows.len() as u64;
        Ok(None)
    }

    /// Notes, once, which rows a statement concerns.
    fn begin(
        &self,
        table: usize,
        target: &Target,
        assignments: &[(usize, Expr)],
        given: Given<'_>,
        progress: &mut Progress,
    ) -> Result<()> {
        if progress.targets.is_some() {
            return Ok(());
        }
        let run = self.run(given);
        let scope = run.scope();
        let asks = assignments.iter().any(|(_, expr)| expr.has_subquery());
        let values = |row: &[Value]| {
            let values = assignments.iter().map(|(_, expr)| expr.eval(&scope.over(row)));
            if asks { values.collect::<Result<_>>().map(Some) } else { Ok(None) }
        };
        let mut targets = Vec::new();
        match target {
            Target::Plain(scan) => {
                each_stored(scan, &scope, &mut |id, row| {
                    targets.push(Aim { id, seen: row.clone(), joined: None, values: values(row)? });
                    Ok(true)
                })?;
            }
            Target::Joined { source, filter, .. } => {
                let stored = self.tables.table(table);
                let mut met = BTreeSet::new();
                each_row(source, &scope, &mut |row| {
                    // Of several rows with one number the first counts.
                    if let Some(Value::Int(id)) = row.get(stored.schema.columns.len())
                        && holds(filter.as_ref(), &scope.over(row))?
                        && met.insert(*id)
                        && let Some(seen) = stored.seen(*id as u64, Some(self.layer.owner))
                    {
                        let (seen, joined) = (seen.clone(), Some(row.into()));
                        targets.push(Aim { id: *id as u64, seen, joined, values: values(row)? });
                    }
                    Ok(true)
                })?;
            }
        }
        progress.aim(targets);
        Ok(())
    }

    /// A row as it is now, if it still concerns the statement and nobody else holds it.
    fn take(
        &self,
        table: usize,
        aim: &Aim,
        lock: RowLock,
        target: &Target,
        given: Given<'_>,
    ) -> Result<Taken> {
        let condition = match target {
            Target::Plain(scan) => scan.filter.as_ref(),
            Target::Joined { condition, .. } => condition.as_ref(),
        };
        self.take_if(table, aim, lock, condition, given)
    }

    fn take_if(
        &self,
        table: usize,
        aim: &Aim,
        lock: RowLock,
        condition: Option<&Expr>,
        given: Given<'_>,
    ) -> Result<Taken> {
        let (table, owner) = (self.tables.table(table), self.layer.owner);
        if let Some(holder) = table.lock_holder(aim.id, lock, owner) {
            return Ok(Taken::Held(holder));
        }
        let Some(row) = table.seen(aim.id, Some(owner)) else {
            return Ok(Taken::Gone);
        };
        let concerns =
            Arc::ptr_eq(row, &aim.seen) || holds(condition, &self.run(given).scope().over(&aim.whole(row)))?;
        Ok(if concerns { Taken::Row(row.clone()) } else { Taken::Gone })
    }

    /// The row after the assignments, once every constraint holds; the transaction to wait for when a key is undecided.
    fn assigned(
        &self,
        table: usize,
        id: u64,
        current: &Row,
        assignments: &[(usize, Expr)],
        values: Option<&[Value]>,
        scope: &Scope<'_>,
    ) -> Settled<Row> {
        let table = self.tables.table(table);
        let mut row = current.to_vec();
        for (index, (column, expr)) in assignments.iter().enumerate() {
            row[*column] = match values {
                Some(values) => values[index].clone(),
                None => expr.eval(scope)?,
            };
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
    /// Of a statement in a session that remembers what it has drawn.
    pub(crate) fn of(remembered: Remembered) -> Self {
        let mut progress = Self::default();
        *progress.memo.draws() = Draws::of(remembered);
        progress
    }

    /// What the session remembers now.
    pub(crate) fn remembered(mut self) -> Remembered {
        std::mem::take(&mut self.memo.draws().session)
    }

    /// What the statement need not find out twice.
    pub(crate) fn memo(&self) -> &Memo {
        &self.memo
    }

    /// What the statement has drawn from sequences and nobody has stored yet.
    pub(crate) fn take_drawn(&mut self) -> BTreeMap<usize, Drawn> {
        self.memo.draws().take()
    }

    /// Whether anything has been done or looked at.
    pub(crate) fn begun(&self) -> bool {
        self.targets.is_some() || self.proposed.is_some() || self.at_hand.is_some() || self.inserted > 0
    }

    fn aim(&mut self, targets: Vec<Aim>) {
        self.targets = Some(targets.into_iter());
    }

    /// The row at hand.
    fn target(&self) -> Option<Aim> {
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
    let moves_key =
        |column| schema.indexes.iter().any(|index| index.is_unique() && index.columns.contains(column));
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
