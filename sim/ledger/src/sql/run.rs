//! Runs queries.

use std::cmp::Ordering;

use super::{
    aggregate::Accumulator,
    eval::Scope,
    plan::{Access, Expr, OrderKey, Select, Source},
};
use crate::{
    data::{Row, Value},
    error::{Result, SqlError, state},
    store::View,
};

/// What running a statement gave.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Vec<Value>>,
    /// Rows returned, or rows changed.
    pub(crate) count: u64,
    /// What the client should know.
    pub(crate) notice: Option<Box<SqlError>>,
}

/// Runs a `SELECT`.
pub(crate) fn query(select: &Select, view: &View<'_>, scope: Scope<'_>) -> Result<Answer> {
    let (limit, offset) = limits(select, &scope)?;
    let mut rows = Vec::new();
    if !select.aggregates.is_empty() {
        rows.push(aggregate(select, view, scope)?);
        rows = rows.into_iter().skip(offset).take(limit).collect();
    } else if let Some(table) = select.table {
        let needed = if select.order.is_empty() { limit.saturating_add(offset) } else { usize::MAX };
        let found = found(select, table, view, scope, needed)?;
        rows.reserve(found.len().saturating_sub(offset).min(limit));
        for (_, row) in found.into_iter().skip(offset).take(limit) {
            rows.push(project(&select.projection, &scope.over(row))?);
        }
    } else if offset == 0 && limit > 0 && holds(select.source.filter.as_ref(), &scope)? {
        rows.push(project(&select.projection, &scope)?);
    }
    Ok(Answer { count: rows.len() as u64, rows, notice: None })
}

/// Calls `each` with the rows of a source until it returns false.
pub(super) fn matching<'a>(
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

pub(super) fn holds(condition: Option<&Expr>, scope: &Scope<'_>) -> Result<bool> {
    condition.map_or(Ok(true), |condition| condition.holds(scope))
}

pub(super) fn project(exprs: &[Expr], scope: &Scope<'_>) -> Result<Vec<Value>> {
    exprs.iter().map(|expr| expr.eval(scope)).collect()
}

/// `LIMIT` and `OFFSET`.
pub(super) fn limits(select: &Select, scope: &Scope<'_>) -> Result<(usize, usize)> {
    let limit = count(select.limit.as_ref(), scope, state::INVALID_LIMIT, "LIMIT")?.unwrap_or(usize::MAX);
    let offset = count(select.offset.as_ref(), scope, state::INVALID_OFFSET, "OFFSET")?.unwrap_or(0);
    Ok((limit, offset))
}

/// The rows that a query concerns, in its order; without one, no more than `needed`.
pub(super) fn found<'a>(
    select: &Select,
    table: usize,
    view: &View<'a>,
    scope: Scope<'_>,
    needed: usize,
) -> Result<Vec<(u64, &'a Row)>> {
    let mut found = Vec::new();
    if needed > 0 {
        matching(view, table, &select.source, scope, |id, row| {
            found.push((id, row));
            Ok(found.len() < needed)
        })?;
    }
    if select.order.is_empty() { Ok(found) } else { sort(found, &select.order, scope) }
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
fn sort<'a>(rows: Vec<(u64, &'a Row)>, order: &[OrderKey], scope: Scope<'_>) -> Result<Vec<(u64, &'a Row)>> {
    let mut keyed = rows
        .into_iter()
        .map(|(id, row)| {
            let scope = scope.over(row);
            let key = order.iter().map(|key| key.expr.eval(&scope)).collect::<Result<Vec<_>>>()?;
            Ok((key, (id, row)))
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

pub(super) fn compare(a: &Value, b: &Value, key: &OrderKey) -> Ordering {
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
