//! `SELECT`: filter, group, project, make distinct, sort.

use std::collections::{BTreeMap, BTreeSet};

use super::{join::each_row, sort};
use crate::{
    data::Value,
    error::Result,
    sql::{
        aggregate::Accumulator,
        eval::Scope,
        plan::{Distinct, Expr, Group, OrderKey, Select},
    },
};

/// At least the first `needed` rows.
pub(super) fn rows(
    select: &Select,
    order: &[OrderKey],
    scope: &Scope<'_>,
    needed: usize,
) -> Result<Vec<Vec<Value>>> {
    let mut output = Output { select, order, needed, rows: Vec::new(), keyed: Vec::new() };
    if needed == 0 {
        return Ok(output.rows);
    }
    match &select.group {
        None => {
            each_row(&select.from, scope, &mut |row| {
                let scope = scope.over(row);
                if holds(select.filter.as_ref(), &scope)? { output.take(&scope) } else { Ok(true) }
            })?;
        }
        Some(group) => {
            for row in groups(select, group, scope)? {
                let scope = scope.over(&row);
                if holds(group.having.as_ref(), &scope)? && !output.take(&scope)? {
                    break;
                }
            }
        }
    }
    Ok(output.finish())
}

/// Whether a condition holds; none always does.
pub(crate) fn holds(condition: Option<&Expr>, scope: &Scope<'_>) -> Result<bool> {
    condition.map_or(Ok(true), |condition| condition.holds(scope))
}

/// The values of a list of expressions.
pub(crate) fn project(exprs: &[Expr], scope: &Scope<'_>) -> Result<Vec<Value>> {
    exprs.iter().map(|expr| expr.eval(scope)).collect()
}

/// What the rows become on their way out.
struct Output<'a> {
    select: &'a Select,
    order: &'a [OrderKey],
    needed: usize,
    /// Rows that need no order.
    rows: Vec<Vec<Value>>,
    /// Keys of the order, then values of `DISTINCT ON`; and the row.
    keyed: Vec<(Vec<Value>, Vec<Value>)>,
}

impl Output<'_> {
    /// Takes a row; false when no other can matter.
    fn take(&mut self, scope: &Scope<'_>) -> Result<bool> {
        let row = project(&self.select.projection, scope)?;
        let on = match &self.select.distinct {
            Some(Distinct::On(exprs)) => exprs.as_slice(),
            _ => &[],
        };
        if self.order.is_empty() && on.is_empty() {
            self.rows.push(row);
            return Ok(self.rows.len() < self.needed || self.select.distinct.is_some());
        }
        let mut keys = sort::keys(self.order, scope)?;
        for expr in on {
            keys.push(expr.eval(scope)?);
        }
        self.keyed.push((keys, row));
        Ok(true)
    }

    fn finish(mut self) -> Vec<Vec<Value>> {
        self.keyed.sort_by(|(a, _), (b, _)| sort::compare(a, b, self.order));
        match &self.select.distinct {
            Some(Distinct::On(exprs)) => {
                let keys = self.order.len();
                let mut seen = BTreeSet::new();
                debug_assert!(self.keyed.iter().all(|(key, _)| key.len() == keys + exprs.len()));
                self.keyed.retain(|(key, _)| seen.insert(key[keys..].to_vec()));
            }
            Some(Distinct::Row) => {
                let mut seen = BTreeSet::new();
                self.keyed.retain(|(_, row)| seen.insert(row.clone()));
                self.rows.retain(|row| seen.insert(row.clone()));
            }
            None => {}
        }
        self.rows.extend(self.keyed.into_iter().map(|(_, row)| row));
        self.rows
    }
}

/// One row for each group: results of aggregates, then keys; groups in the order of their keys.
fn groups(select: &Select, group: &Group, scope: &Scope<'_>) -> Result<Vec<Vec<Value>>> {
    let start = || group.aggregates.iter().map(Accumulator::new).collect::<Vec<_>>();
    let mut found: BTreeMap<Vec<Value>, Vec<Accumulator<'_>>> = BTreeMap::new();
    if group.keys.is_empty() {
        found.insert(Vec::new(), start());
    }
    each_row(&select.from, scope, &mut |row| {
        let scope = scope.over(row);
        if !holds(select.filter.as_ref(), &scope)? {
            return Ok(true);
        }
        let key = project(&group.keys, &scope)?;
        let accumulators = found.entry(key).or_insert_with(start);
        accumulators.iter_mut().try_for_each(|accumulator| accumulator.add(&scope))?;
        Ok(true)
    })?;
    found
        .into_iter()
        .map(|(key, accumulators)| {
            let mut row = accumulators.into_iter().map(Accumulator::finish).collect::<Result<Vec<_>>>()?;
            row.extend(key);
            Ok(row)
        })
        .collect()
}
