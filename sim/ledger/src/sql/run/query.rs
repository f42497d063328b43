//! The rows of a query: body, order, limits.

use std::collections::BTreeMap;

use super::{select, sort};
use crate::{
    data::Value,
    error::{Result, SqlError, state},
    sql::{
        eval::Scope,
        plan::{Body, Expr, Query, SetKind, SetOperation},
    },
};

/// The rows of a query, but not more than `most`.
pub(crate) fn rows_of(query: &Query, scope: &Scope<'_>, most: usize) -> Result<Vec<Vec<Value>>> {
    let (limit, offset) = limits(query, scope)?;
    let limit = limit.min(most);
    let needed = limit.saturating_add(offset);
    let mut rows = match &query.body {
        Body::Select(select) => select::rows(select, &query.order, scope, needed)?,
        Body::Set(operation) => sort::sorted(combined(operation, scope)?, &query.order, scope)?,
        Body::Values(lists) => {
            let row = |list: &Vec<Expr>| list.iter().map(|expr| expr.eval(scope)).collect();
            sort::sorted(lists.iter().map(row).collect::<Result<_>>()?, &query.order, scope)?
        }
    };
    rows.truncate(needed);
    rows.drain(..offset.min(rows.len()));
    Ok(rows)
}

/// `LIMIT` and `OFFSET`.
pub(crate) fn limits(query: &Query, scope: &Scope<'_>) -> Result<(usize, usize)> {
    let limit = count(query.limit.as_ref(), scope, state::INVALID_LIMIT, "LIMIT")?.unwrap_or(usize::MAX);
    let offset = count(query.offset.as_ref(), scope, state::INVALID_OFFSET, "OFFSET")?.unwrap_or(0);
    Ok((limit, offset))
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

/// `UNION`, `INTERSECT`, `EXCEPT`: rows in the order in which they come, nulls equal (PostgreSQL 16 docs, §7.4).
fn combined(operation: &SetOperation, scope: &Scope<'_>) -> Result<Vec<Vec<Value>>> {
    let mut left = rows_of(&operation.left, scope, usize::MAX)?;
    let right = rows_of(&operation.right, scope, usize::MAX)?;
    let mut there: BTreeMap<Vec<Value>, usize> = BTreeMap::new();
    let mut seen = |row: &Vec<Value>| {
        let times = there.entry(row.clone()).or_insert(0);
        *times += 1;
        *times
    };
    match operation.kind {
        SetKind::Union => {
            left.extend(right);
            if !operation.all {
                left.retain(|row| seen(row) == 1);
            }
        }
        SetKind::Except | SetKind::Intersect => {
            for row in &right {
                seen(row);
            }
            let wanted = operation.kind == SetKind::Intersect;
            if operation.all {
                left.retain(|row| {
                    let matched = there.get_mut(row).filter(|times| **times > 0);
                    let found = matched.is_some();
                    if let Some(times) = matched {
                        *times -= 1;
                    }
                    found == wanted
                });
            } else {
                let mut given = std::collections::BTreeSet::new();
                left.retain(|row| there.contains_key(row) == wanted && given.insert(row.clone()));
            }
        }
    }
    Ok(left)
}
