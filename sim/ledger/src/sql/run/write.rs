//! `INSERT`, `UPDATE`, `DELETE` and the constraints they must keep.
//!
//! A statement's expressions see the tables as they were before it; only `ON CONFLICT` looks at rows that it has stored itself.

use std::{collections::BTreeSet, sync::Arc};

use env::WallClock;

use super::{
    Answer, Run,
    join::{each_row, each_stored},
    query::rows_of,
    select::{holds, project},
};
use crate::{
    data::{Row, Value, text},
    error::{Result, SqlError, state},
    sql::{
        Scope,
        bind::schema_from_sql,
        plan::{ConflictAction, Delete, Expr, Insert, OnConflict, Plan, Rows, Target, Update},
    },
    store::{Layer, Schema, Table, Tables, View},
};

/// What a statement that changes tables works with.
struct Writing<'a> {
    tables: &'a mut Tables,
    layer: &'a mut Layer,
    params: &'a [Value],
    now: i64,
    clock: &'a dyn WallClock,
}

/// Runs a statement that changes tables, on behalf of the transaction of `layer`. After an error the layer must be undone.
pub(crate) fn write(
    plan: &Plan,
    tables: &mut Tables,
    layer: &mut Layer,
    params: &[Value],
    now: i64,
    clock: &dyn WallClock,
) -> Result<Answer> {
    let mut writing = Writing { tables, layer, params, now, clock };
    match plan {
        Plan::CreateTable { name, if_not_exists, sql } => {
            match (writing.tables.number(name), if_not_exists) {
                (None, _) => writing.tables.create_in(writing.layer, schema_from_sql(sql)?),
                (Some(_), true) => {}
                (Some(_), false) => {
                    return Err(SqlError::new(
                        state::DUPLICATE_TABLE,
                        format!("relation \"{name}\" already exists"),
                    ));
                }
            }
            Ok(Answer::default())
        }
        Plan::Delete(delete) => writing.delete(delete),
        Plan::Insert(insert) => writing.insert(insert),
        Plan::Update(update) => writing.update(update),
        Plan::Begin { .. }
        | Plan::Commit
        | Plan::Rollback
        | Plan::Select(_)
        | Plan::Set { .. }
        | Plan::Show { .. } => Ok(Answer::default()),
    }
}

/// A stored row that a statement is about to change.
struct Found {
    id: u64,
    current: Row,
    /// What the statement's expressions read: the row, and what was joined to it.
    joined: Option<Vec<Value>>,
}

impl Found {
    fn seen(&self) -> &[Value] {
        self.joined.as_deref().unwrap_or(&self.current)
    }
}

impl Writing<'_> {
    /// Looks at the tables as they are.
    fn look<T>(&self, look: impl FnOnce(&Scope<'_>, &Tables) -> Result<T>) -> Result<T> {
        let run = Run::new(View::latest(self.tables), self.now, self.clock);
        look(&run.scope(self.params), self.tables)
    }

    fn insert(&mut self, insert: &Insert) -> Result<Answer> {
        let proposed = self.look(|scope, _| proposed(&insert.rows, scope))?;
        let mut answer = Answer::default();
        // Rows that this statement has stored: it may not change one of them a second time.
        let mut stored = BTreeSet::new();
        for proposed in proposed {
            let proposed = proposed?;
            let Some((id, row)) =
                self.look(|scope, tables| insertion(insert, proposed, &stored, scope, tables))?
            else {
                continue;
            };
            if let Some(returning) = &insert.returning {
                answer.rows.push(self.look(|scope, _| project(returning, &scope.over(&row)))?);
            }
            if insert.on_conflict.is_some() {
                stored.insert(id);
            }
            answer.count += 1;
            self.tables.put_in(self.layer, insert.table, id, row);
        }
        Ok(answer)
    }

    fn update(&mut self, update: &Update) -> Result<Answer> {
        let (targets, changes) = self.look(|scope, tables| {
            let targets = targets(&update.target, update.table, scope, tables)?;
            let changes = lazily(targets.iter(), |found: &Found| {
                let scope = scope.over(found.seen());
                let mut row = found.current.to_vec();
                for (column, expr) in &update.assignments {
                    row[*column] = expr.eval(&scope)?;
                }
                Ok(row)
            });
            Ok((targets, changes))
        })?;
        let mut answer = Answer::default();
        for (found, row) in targets.into_iter().zip(changes) {
            let row = row?;
            let table = self.tables.table(update.table);
            self.look(|scope, _| check_row(&table.schema, &row, scope))?;
            if let Some((index, _)) = table.conflict(&row, Some(found.id), None) {
                return Err(unique_violation(&table.schema, index, &row));
            }
            let row: Row = row.into();
            if let Some(returning) = &update.returning {
                let seen: Vec<Value> = row.iter().chain(&found.seen()[row.len()..]).cloned().collect();
                answer.rows.push(self.look(|scope, _| project(returning, &scope.over(&seen)))?);
            }
            answer.count += 1;
            self.tables.put_in(self.layer, update.table, found.id, row);
        }
        Ok(answer)
    }

    fn delete(&mut self, delete: &Delete) -> Result<Answer> {
        let (targets, rows) = self.look(|scope, tables| {
            let targets = targets(&delete.target, delete.table, scope, tables)?;
            let rows = match &delete.returning {
                Some(returning) => targets
                    .iter()
                    .map(|found| project(returning, &scope.over(found.seen())))
                    .collect::<Result<_>>()?,
                None => Vec::new(),
            };
            Ok((targets, rows))
        })?;
        for found in &targets {
            self.tables.remove_in(self.layer, delete.table, found.id);
        }
        Ok(Answer { rows, count: targets.len() as u64 })
    }
}

/// Evaluates up to the first error, which then is the last item: what came before it happens before it is raised.
fn lazily<T, R>(items: impl Iterator<Item = T>, mut eval: impl FnMut(T) -> Result<R>) -> Vec<Result<R>> {
    let mut results = Vec::with_capacity(items.size_hint().0);
    for item in items {
        let result = eval(item);
        let failed = result.is_err();
        results.push(result);
        if failed {
            break;
        }
    }
    results
}

/// The rows that an `INSERT` proposes, one value for each column.
fn proposed(rows: &Rows, scope: &Scope<'_>) -> Result<Vec<Result<Vec<Value>>>> {
    Ok(match rows {
        Rows::Values(lists) => lazily(lists.iter(), |exprs| project(exprs, scope)),
        Rows::Query { query, exprs } => {
            let rows = rows_of(query, scope, usize::MAX)?;
            lazily(rows.iter(), |row| project(exprs, &scope.over(row)))
        }
    })
}

/// What a proposed row becomes: a new row, a changed one, or nothing.
fn insertion(
    insert: &Insert,
    proposed: Vec<Value>,
    stored: &BTreeSet<u64>,
    scope: &Scope<'_>,
    tables: &Tables,
) -> Result<Option<(u64, Row)>> {
    let table = tables.table(insert.table);
    check_row(&table.schema, &proposed, scope)?;
    let conflict = match &insert.on_conflict {
        Some(handler) => table.conflict(&proposed, None, handler.index).map(|(_, id)| (handler, id)),
        None => None,
    };
    match conflict {
        None => match table.conflict(&proposed, None, None) {
            Some((index, _)) => Err(unique_violation(&table.schema, index, &proposed)),
            None => Ok(Some((table.next_id(), proposed.into()))),
        },
        Some((OnConflict { action: ConflictAction::Nothing, .. }, _)) => Ok(None),
        Some((OnConflict { action: ConflictAction::Update { assignments, filter }, .. }, id)) => {
            if stored.contains(&id) {
                return Err(SqlError::new(
                    state::CARDINALITY_VIOLATION,
                    "ON CONFLICT DO UPDATE command cannot affect row a second time",
                )
                .hint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values."));
            }
            let Some(current) = table.get(id) else {
                return Ok(None);
            };
            let scope = Scope { row: current, excluded: &proposed, ..*scope };
            if !holds(filter.as_ref(), &scope)? {
                return Ok(None);
            }
            changed(table, id, current, assignments, &scope).map(|row| Some((id, row)))
        }
    }
}

/// The rows that a statement will change, before it changes the first.
fn targets(target: &Target, number: usize, scope: &Scope<'_>, tables: &Tables) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    match target {
        Target::Plain(scan) => {
            each_stored(scan, scope, &mut |id, row| {
                found.push(Found { id, current: row.clone(), joined: None });
                Ok(true)
            })?;
        }
        Target::Joined { source, filter } => {
            let table = tables.table(number);
            let mut seen = BTreeSet::new();
            each_row(source, scope, &mut |row| {
                let id = match row.get(table.schema.columns.len()) {
                    Some(Value::Int(id)) => *id as u64,
                    _ => return Ok(true),
                };
                if holds(filter.as_ref(), &scope.over(row))?
                    && seen.insert(id)
                    && let Some(current) = table.get(id)
                {
                    found.push(Found { id, current: current.clone(), joined: Some(row.to_vec()) });
                }
                Ok(true)
            })?;
        }
    }
    Ok(found)
}

/// The row after the assignments, once every constraint holds.
fn changed(
    table: &Table,
    id: u64,
    current: &Row,
    assignments: &[(usize, Expr)],
    scope: &Scope<'_>,
) -> Result<Row> {
    let mut row = current.to_vec();
    for (column, expr) in assignments {
        row[*column] = expr.eval(scope)?;
    }
    check_row(&table.schema, &row, scope)?;
    match table.conflict(&row, Some(id), None) {
        Some((index, _)) => Err(unique_violation(&table.schema, index, &row)),
        None => Ok(Arc::from(row)),
    }
}

/// `NOT NULL` in the order of the columns, then `CHECK` by name.
fn check_row(schema: &Schema, row: &[Value], scope: &Scope<'_>) -> Result<()> {
    for (column, value) in schema.columns.iter().zip(row) {
        if column.not_null && value.is_null() {
            let message = format!(
                "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
                column.name, schema.name
            );
            return Err(SqlError::new(state::NOT_NULL_VIOLATION, message)
                .detail(failing_row(row))
                .table(&schema.name)
                .column(&column.name));
        }
    }
    for check in &schema.checks {
        // A check that is null holds.
        if check.condition.eval(&scope.over(row))? == Value::Bool(false) {
            let message = format!(
                "new row for relation \"{}\" violates check constraint \"{}\"",
                schema.name, check.name
            );
            return Err(SqlError::new(state::CHECK_VIOLATION, message)
                .detail(failing_row(row))
                .table(&schema.name)
                .constraint(&check.name));
        }
    }
    Ok(())
}

/// Values longer than this are cut in error details (`maxfieldlen` in PostgreSQL).
const SHOWN_BYTES: usize = 64;

fn failing_row(row: &[Value]) -> String {
    let values: Vec<String> = row
        .iter()
        .map(|value| {
            let mut shown = text::show(value);
            if shown.len() > SHOWN_BYTES {
                shown.truncate(shown.floor_char_boundary(SHOWN_BYTES));
                shown.push_str("...");
            }
            shown
        })
        .collect();
    format!("Failing row contains ({}).", values.join(", "))
}

fn unique_violation(schema: &Schema, index: usize, row: &[Value]) -> Box<SqlError> {
    let unique = &schema.uniques[index];
    let list = |show: &dyn Fn(usize) -> String| {
        unique.columns.iter().map(|column| show(*column)).collect::<Vec<_>>().join(", ")
    };
    let names = list(&|column| schema.columns[column].name.clone());
    let values = list(&|column| text::show(&row[column]));
    SqlError::new(
        state::UNIQUE_VIOLATION,
        format!("duplicate key value violates unique constraint \"{}\"", unique.name),
    )
    .detail(format!("Key ({names})=({values}) already exists."))
    .table(&schema.name)
    .constraint(&unique.name)
}
