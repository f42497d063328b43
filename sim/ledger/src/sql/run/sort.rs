//! Order.

use std::cmp::Ordering;

use crate::{
    data::Value,
    error::Result,
    sql::{eval::Scope, plan::OrderKey},
};

/// The values by which a row is sorted.
pub(crate) fn keys(order: &[OrderKey], scope: &Scope<'_>) -> Result<Vec<Value>> {
    order.iter().map(|key| key.expr.eval(scope)).collect()
}

/// Compares rows by their keys.
pub(crate) fn compare(a: &[Value], b: &[Value], order: &[OrderKey]) -> Ordering {
    order
        .iter()
        .zip(a.iter().zip(b))
        .map(|(key, (a, b))| compare_values(a, b, key))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn compare_values(a: &Value, b: &Value, key: &OrderKey) -> Ordering {
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

/// Sorts rows by keys over themselves; rows with equal keys stay in the order in which they come.
pub(super) fn sorted(
    rows: Vec<Vec<Value>>,
    order: &[OrderKey],
    scope: &Scope<'_>,
) -> Result<Vec<Vec<Value>>> {
    if order.is_empty() {
        return Ok(rows);
    }
    let mut keyed =
        rows.into_iter().map(|row| Ok((keys(order, &scope.over(&row))?, row))).collect::<Result<Vec<_>>>()?;
    keyed.sort_by(|(a, _), (b, _)| compare(a, b, order));
    Ok(keyed.into_iter().map(|(_, row)| row).collect())
}
