//! Runs plans against tables.

use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

use super::{
    aggregate::Accumulator,
    bind::schema_from_sql,
    eval::Scope,
    plan::{Access, ConflictAction, Delete, Expr, Insert, OrderKey, Plan, Select, Source, Update},
};
use crate::{
    data::{Row, Value, text},
    error::{Result, SqlError, state},
    store::{Layer, Schema, Tables, View},
};

/// What running a statement gave.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Vec<Value>>,
    /// Rows returned, or rows changed.
    pub(crate) count: u64,
}

/// Runs a `SELECT`.
pub(crate) fn query(select: &Select, view: &View<'_>, scope: Scope<'_>) -> Result<Answer> {
    let limit = count(select.limit.as_ref(), &scope, state::INVALID_LIMIT, "LIMIT")?.unwrap_or(usize::MAX);
    let offset = count(select.offset.as_ref(), &scope, state::INVALID_OFFSET, "OFFSET")?.unwrap_or(0);
    let mut rows = Vec::new();
    if !select.aggregates.is_empty() {
        rows.push(aggregate(select, view, scope)?);
        rows = rows.into_iter().skip(offset).take(limit).collect();
    } else if let Some(table) = select.table {
        let needed = if select.order.is_empty() { limit.saturating_add(offset) } else { usize::MAX };
        let mut found: Vec<&Row> = Vec::new();
        if needed > 0 {
            matching(view, table, &select.source, scope, |_, row| {
                found.push(row);
                Ok(found.len() < needed)
            })?;
        }
        if !select.order.is_empty() {
            found = sort(found, &select.order, scope)?;
        }
        rows.reserve(found.len().saturating_sub(offset).min(limit));
        for row in found.into_iter().skip(offset).take(limit) {
            rows.push(project(&select.projection, &scope.over(row))?);
        }
    } else if offset == 0 && limit > 0 && holds(select.source.filter.as_ref(), &scope)? {
        rows.push(project(&select.projection, &scope)?);
    }
    Ok(Answer { count: rows.len() as u64, rows })
}

/// Runs a statement that changes tables, on behalf of the transaction of `layer`. After an error the layer must be undone.
pub(crate) fn write(plan: &Plan, tables: &mut Tables, layer: &mut Layer, scope: Scope<'_>) -> Result<Answer> {
    match plan {
        Plan::CreateTable { name, if_not_exists, sql } => {
            match (tables.number(name), if_not_exists) {
                (None, _) => tables.create_in(layer, schema_from_sql(sql)?),
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
        Plan::Delete(delete) => self::delete(delete, tables, layer, scope),
        Plan::Insert(insert) => self::insert(insert, tables, layer, scope),
        Plan::Update(update) => self::update(update, tables, layer, scope),
        Plan::Begin { .. }
        | Plan::Commit
        | Plan::Rollback
        | Plan::Select(_)
        | Plan::Set { .. }
        | Plan::Show { .. } => Ok(Answer::default()),
    }
}

/// Calls `each` with the rows of a source until it returns false.
fn matching<'a>(
    view: &View<'a>,
    table: usize,
    source: &Source,
    scope: Scope<'_>,
    mut each: impl FnMut(u64, &'a Row) -> Result<bool>,
) -> Result<()> {
    match &source.access {
        Access::Scan => view.scan(table, |id, row| {
            if holds(source.filter.as_ref(), &scope.over(row))? { each(id, row) } else { Ok(true) }
        }),
        Access::Key { index, key } => {
            let found = match key.as_slice() {
                [part] => view.lookup(table, *index, std::slice::from_ref(&part.eval(&scope)?)),
                parts => {
                    let key = parts.iter().map(|part| part.eval(&scope)).collect::<Result<Vec<_>>>()?;
                    view.lookup(table, *index, &key)
                }
            };
            if let Some((id, row)) = found
                && holds(source.filter.as_ref(), &scope.over(row))?
            {
                each(id, row)?;
            }
            Ok(())
        }
    }
}

fn holds(condition: Option<&Expr>, scope: &Scope<'_>) -> Result<bool> {
    condition.map_or(Ok(true), |condition| condition.holds(scope))
}

fn project(exprs: &[Expr], scope: &Scope<'_>) -> Result<Vec<Value>> {
    exprs.iter().map(|expr| expr.eval(scope)).collect()
}

fn count(expr: Option<&Expr>, scope: &Scope<'_>, code: &'static str, clause: &str) -> Result<Option<usize>> {
    match expr.map(|expr| expr.eval(scope)).transpose()? {
        Some(Value::Int(count)) => match usize::try_from(count) {
            Ok(count) => Ok(Some(count)),
            Err(_) => Err(SqlError::new(code, format!("{clause} must not be negative"))),
        },
        _ => Ok(None),
    }
}

fn aggregate(select: &Select, view: &View<'_>, scope: Scope<'_>) -> Result<Vec<Value>> {
    let mut accumulators: Vec<_> = select.aggregates.iter().map(Accumulator::new).collect();
    let mut add =
        |scope: &Scope<'_>| accumulators.iter_mut().try_for_each(|accumulator| accumulator.add(scope));
    match select.table {
        Some(table) => {
            matching(view, table, &select.source, scope, |_, row| add(&scope.over(row)).map(|()| true))?
        }
        None if holds(select.source.filter.as_ref(), &scope)? => add(&scope)?,
        None => {}
    }
    let results: Vec<Value> = accumulators.into_iter().map(Accumulator::finish).collect();
    project(&select.projection, &scope.over(&results))
}

/// Sorts by keys computed once per row; rows with equal keys stay in the order of insertion.
fn sort<'a>(rows: Vec<&'a Row>, order: &[OrderKey], scope: Scope<'_>) -> Result<Vec<&'a Row>> {
    let mut keyed = rows
        .into_iter()
        .map(|row| {
            let scope = scope.over(row);
            let key = order.iter().map(|key| key.expr.eval(&scope)).collect::<Result<Vec<_>>>()?;
            Ok((key, row))
        })
        .collect::<Result<Vec<_>>>()?;
    keyed.sort_by(|(a, _), (b, _)| {
        order
            .iter()
            .zip(a.iter().zip(b))
            .map(|(key, (a, b))| compare(a, b, key))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    });
    Ok(keyed.into_iter().map(|(_, row)| row).collect())
}

fn compare(a: &Value, b: &Value, key: &OrderKey) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (false, false) if key.descending => b.cmp(a),
        (false, false) => a.cmp(b),
        (a_is_null, _) => {
            if a_is_null == key.nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
    }
}

fn insert(insert: &Insert, tables: &mut Tables, layer: &mut Layer, scope: Scope<'_>) -> Result<Answer> {
    let mut answer = Answer::default();
    // Rows that this statement has stored: it may not change one of them a second time.
    let mut stored = BTreeSet::new();
    for exprs in &insert.rows {
        let proposed = exprs.iter().map(|expr| expr.eval(&scope)).collect::<Result<Vec<_>>>()?;
        let table = tables.table(insert.table);
        check_row(&table.schema, &proposed, &scope)?;
        let arbiter = insert.on_conflict.as_ref().and_then(|conflict| conflict.index);
        let conflict = match &insert.on_conflict {
            Some(handler) => table.conflict(&proposed, None, arbiter).map(|(_, id)| (handler, id)),
            None => None,
        };
        let (id, row) = match conflict {
            None => {
                if let Some((index, _)) = table.conflict(&proposed, None, None) {
                    return Err(unique_violation(&table.schema, index, &proposed));
                }
                (table.next_id(), Row::from(proposed))
            }
            Some((handler, id)) => match &handler.action {
                ConflictAction::Nothing => continue,
                ConflictAction::Update { assignments, filter } => {
                    if stored.contains(&id) {
                        return Err(SqlError::new(
                            state::CARDINALITY_VIOLATION,
                            "ON CONFLICT DO UPDATE command cannot affect row a second time",
                        )
                        .hint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values."));
                    }
                    let Some(current) = table.get(id).cloned() else {
                        continue;
                    };
                    let scope = Scope { row: &current, excluded: &proposed, ..scope };
                    if !holds(filter.as_ref(), &scope)? {
                        continue;
                    }
                    (id, changed(&table.schema, table, id, &current, assignments, &scope)?)
                }
            },
        };
        if let Some(returning) = &insert.returning {
            answer.rows.push(project(returning, &scope.over(&row))?);
        }
        stored.insert(id);
        answer.count += 1;
        tables.put_in(layer, insert.table, id, row);
    }
    Ok(answer)
}

fn update(update: &Update, tables: &mut Tables, layer: &mut Layer, scope: Scope<'_>) -> Result<Answer> {
    let mut answer = Answer::default();
    for (id, current) in targets(tables, update.table, &update.source, scope)? {
        let table = tables.table(update.table);
        let row = changed(&table.schema, table, id, &current, &update.assignments, &scope.over(&current))?;
        if let Some(returning) = &update.returning {
            answer.rows.push(project(returning, &scope.over(&row))?);
        }
        answer.count += 1;
        tables.put_in(layer, update.table, id, row);
    }
    Ok(answer)
}

fn delete(delete: &Delete, tables: &mut Tables, layer: &mut Layer, scope: Scope<'_>) -> Result<Answer> {
    let mut answer = Answer::default();
    for (id, current) in targets(tables, delete.table, &delete.source, scope)? {
        if let Some(returning) = &delete.returning {
            answer.rows.push(project(returning, &scope.over(&current))?);
        }
        answer.count += 1;
        tables.remove_in(layer, delete.table, id);
    }
    Ok(answer)
}

/// The rows that a statement will change, before it changes the first.
fn targets(tables: &Tables, table: usize, source: &Source, scope: Scope<'_>) -> Result<Vec<(u64, Row)>> {
    let mut found = Vec::new();
    matching(&View::latest(tables), table, source, scope, |id, row| {
        found.push((id, row.clone()));
        Ok(true)
    })?;
    Ok(found)
}

/// The row after the assignments, once every constraint holds.
fn changed(
    schema: &Schema,
    table: &crate::store::Table,
    id: u64,
    current: &Row,
    assignments: &[(usize, Expr)],
    scope: &Scope<'_>,
) -> Result<Row> {
    let mut row = current.to_vec();
    for (column, expr) in assignments {
        row[*column] = expr.eval(scope)?;
    }
    check_row(schema, &row, scope)?;
    match table.conflict(&row, Some(id), None) {
        Some((index, _)) => Err(unique_violation(schema, index, &row)),
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
