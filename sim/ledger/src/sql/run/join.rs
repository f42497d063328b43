//! The rows of a `FROM`: scans, lookups, subqueries, functions, joins.

use std::collections::BTreeMap;

use super::{
    query::rows_of,
    select::{holds, project},
};
use crate::{
    data::{Row, Value},
    error::Result,
    sql::{
        eval::Scope,
        plan::{Access, Join, Limit, Scan, Source},
    },
    store::{Bound, Range},
};

/// Takes a row; false when it wants no more.
pub(crate) type Each<'a> = dyn FnMut(&[Value]) -> Result<bool> + 'a;

/// Calls `each` with the rows of a source until it returns false; returns what it returned last.
pub(crate) fn each_row(source: &Source, scope: &Scope<'_>, each: &mut Each<'_>) -> Result<bool> {
    match source {
        Source::Nothing => each(&[]),
        Source::Table(scan) if scan.with_id => {
            let mut row = Vec::new();
            each_stored(scan, scope, &mut |id, stored| {
                row.clear();
                row.extend_from_slice(stored);
                row.push(Value::Int(id as i64));
                each(&row)
            })
        }
        Source::Table(scan) => each_stored(scan, scope, &mut |_, row| each(row)),
        Source::System { table, filter } => {
            for row in (table.rows)(scope)? {
                if holds(filter.as_ref(), &scope.over(&row))? && !each(&row)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Source::Derived { query, args, .. } => {
            let args = project(args, scope)?;
            for row in rows_of(query, &scope.inside(&args), usize::MAX)? {
                if !each(&row)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Source::Function { function, args, ordinality } => {
            let args = project(args, scope)?;
            if args.iter().any(Value::is_null) {
                return Ok(true);
            }
            let mut number = 0;
            (function.rows)(&args, &mut |mut row| {
                number += 1;
                if *ordinality {
                    row.push(Value::Int(number));
                }
                each(&row)
            })
        }
        Source::Join(join) if join.dependent => each_dependent(join, scope, each),
        Source::Join(join) => each_joined(join, scope, each),
    }
}

/// Calls `each` with the stored rows that a scan finds, and their numbers.
pub(crate) fn each_stored(
    scan: &Scan,
    scope: &Scope<'_>,
    each: &mut dyn FnMut(u64, &Row) -> Result<bool>,
) -> Result<bool> {
    let view = &scope.run.view;
    let mut go_on = true;
    let mut take = |id: u64, row: &Row| -> Result<bool> {
        if holds(scan.filter.as_ref(), &scope.over(row))? {
            go_on = each(id, row)?;
        }
        Ok(go_on)
    };
    match &scan.access {
        Access::All => view.scan(scan.table, take)?,
        Access::Key { index, key } => {
            let found = match key.as_slice() {
                [part] => view.lookup(scan.table, *index, std::slice::from_ref(&part.eval(scope)?)),
                parts => view.lookup(scan.table, *index, &project(parts, scope)?),
            };
            if let Some((id, row)) = found {
                take(id, row)?;
            }
        }
        Access::Range { index, prefix, low, high } => {
            let bound = |limit: &Option<Limit>| match limit {
                None => Ok(None),
                Some(Limit { value, inclusive }) => {
                    value.eval(scope).map(|value| Some(Bound { value, inclusive: *inclusive }))
                }
            };
            let range = Range { prefix: project(prefix, scope)?, low: bound(low)?, high: bound(high)? };
            // A comparison with null holds for no row.
            let ends = range.low.iter().chain(&range.high).map(|bound| &bound.value);
            if range.prefix.iter().chain(ends).all(|value| !value.is_null()) {
                view.range(scan.table, *index, &range, take)?;
            }
        }
    }
    Ok(go_on)
}

/// Runs the right side anew for each left row.
fn each_dependent(join: &Join, scope: &Scope<'_>, each: &mut Each<'_>) -> Result<bool> {
    let right_width = join.right.width();
    let mut joined = Vec::new();
    each_row(&join.left, scope, &mut |left| {
        let mut matched = false;
        let go_on = each_row(&join.right, &scope.over(left), &mut |right| {
            join_rows(&mut joined, left, right);
            if !holds(join.on.as_ref(), &scope.over(&joined))? {
                return Ok(true);
            }
            matched = true;
            each(&joined)
        })?;
        if go_on && !matched && join.kind.keeps_left() {
            joined.clear();
            joined.extend_from_slice(left);
            joined.resize(left.len() + right_width, Value::Null);
            return each(&joined);
        }
        Ok(go_on)
    })
}

/// Collects the right rows once: by key if there is one.
fn each_joined(join: &Join, scope: &Scope<'_>, each: &mut Each<'_>) -> Result<bool> {
    let mut rows: Vec<Vec<Value>> = Vec::new();
    each_row(&join.right, scope, &mut |row| {
        rows.push(row.to_vec());
        Ok(true)
    })?;
    let mut by_key: BTreeMap<Vec<Value>, Vec<usize>> = BTreeMap::new();
    if !join.keys.is_empty() {
        for (index, row) in rows.iter().enumerate() {
            let scope = scope.over(row);
            let key = join.keys.iter().map(|(_, right)| right.eval(&scope)).collect::<Result<Vec<_>>>()?;
            if !key.iter().any(Value::is_null) {
                by_key.entry(key).or_default().push(index);
            }
        }
    }
    let all: Vec<usize> = if join.keys.is_empty() { (0..rows.len()).collect() } else { Vec::new() };
    let mut has_partner = vec![false; if join.kind.keeps_right() { rows.len() } else { 0 }];
    let mut joined = Vec::new();
    let right_width = join.right.width();
    let go_on = each_row(&join.left, scope, &mut |left| {
        let candidates = if join.keys.is_empty() {
            Some(&all)
        } else {
            let scope = scope.over(left);
            let key = join.keys.iter().map(|(left, _)| left.eval(&scope)).collect::<Result<Vec<_>>>()?;
            by_key.get(&key)
        };
        let mut matched = false;
        for index in candidates.into_iter().flatten() {
            join_rows(&mut joined, left, &rows[*index]);
            if !holds(join.on.as_ref(), &scope.over(&joined))? {
                continue;
            }
            matched = true;
            if let Some(has_partner) = has_partner.get_mut(*index) {
                *has_partner = true;
            }
            if !each(&joined)? {
                return Ok(false);
            }
        }
        if !matched && join.kind.keeps_left() {
            joined.clear();
            joined.extend_from_slice(left);
            joined.resize(left.len() + right_width, Value::Null);
            return each(&joined);
        }
        Ok(true)
    })?;
    if !go_on {
        return Ok(false);
    }
    let alone = rows.iter().zip(&has_partner).filter(|(_, has_partner)| !**has_partner);
    for (row, _) in alone {
        joined.clear();
        joined.resize(join.left.width(), Value::Null);
        joined.extend_from_slice(row);
        if !each(&joined)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn join_rows(joined: &mut Vec<Value>, left: &[Value], right: &[Value]) {
    joined.clear();
    joined.extend_from_slice(left);
    joined.extend_from_slice(right);
}
