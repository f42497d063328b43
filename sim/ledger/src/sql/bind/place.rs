//! Puts each condition as close as possible to where rows come from, and finds the indexes that serve.
//!
//! Joins stay in the order in which they are written.

use super::expr::Binder;
use crate::{
    error::Result,
    sql::plan::{Access, Comparison, Expr, Join, JoinKind, Limit, Scan, Source},
    store::Schema,
};

/// Plans a `FROM` under a `WHERE`; returns what of the condition is left to check on whole rows.
pub(super) fn conditions(
    source: Source,
    filter: Option<Expr>,
    binder: &Binder<'_>,
) -> Result<(Source, Option<Expr>)> {
    let conditions = filter.map_or_else(Vec::new, Expr::conjuncts);
    let (source, rest) = Planner { binder }.place(source, 0, 0, conditions)?;
    Ok((source, Expr::all(rest)))
}

/// Finds the way to the rows of one table.
pub(super) fn scan(mut scan: Scan, filter: Option<Expr>, schema: &Schema) -> Scan {
    let conditions = filter.map_or_else(Vec::new, Expr::conjuncts);
    scan.access = access(schema, &conditions.iter().filter_map(as_bound).collect::<Vec<_>>());
    scan.filter = Expr::all(conditions);
    scan
}

struct Planner<'a, 'b> {
    binder: &'a Binder<'b>,
}

impl Planner<'_, '_> {
    /// Plans `source`, whose columns begin at `base` of the row; the row to its left begins at `start`. Returns the
    /// conditions that found no place in it.
    fn place(
        &self,
        source: Source,
        start: usize,
        base: usize,
        mut conditions: Vec<Expr>,
    ) -> Result<(Source, Vec<Expr>)> {
        Ok(match source {
            Source::Table(scan) => {
                let own = take_within(&mut conditions, base, base + scan.width);
                let schema = self.binder.schema(scan.table)?;
                let own = Expr::all(own).map(|own| own.rebased(base));
                (Source::Table(self::scan(scan, own, schema)), conditions)
            }
            Source::System { table, .. } => {
                let own = take_within(&mut conditions, base, base + table.columns.len());
                let filter = Expr::all(own).map(|own| own.rebased(base));
                (Source::System { table, filter }, conditions)
            }
            Source::Derived { query, args, width } => {
                let args = args.into_iter().map(|arg| arg.rebased(start)).collect();
                (Source::Derived { query, args, width }, conditions)
            }
            Source::Function { function, args, ordinality } => {
                let args = args.into_iter().map(|arg| arg.rebased(start)).collect();
                (Source::Function { function, args, ordinality }, conditions)
            }
            Source::Nothing => (Source::Nothing, conditions),
            Source::Join(join) => self.join(*join, base, conditions)?,
        })
    }

    fn join(&self, join: Join, base: usize, mut conditions: Vec<Expr>) -> Result<(Source, Vec<Expr>)> {
        let Join { kind, left, right, dependent, on, .. } = join;
        let middle = base + left.width();
        let end = middle + right.width();
        let mut on = on.map_or_else(Vec::new, Expr::conjuncts);
        if kind == JoinKind::Inner {
            on.append(&mut take_within(&mut conditions, base, end));
        }
        let (mut for_left, mut for_right) = (Vec::new(), Vec::new());
        // A condition may be checked before a join on the side that gets no nulls from it, and a join's own condition on
        // the side whose rows without a partner do not appear.
        if !kind.keeps_right() {
            for_left = take_within(&mut conditions, base, middle);
            for_right = take_within(&mut on, middle, end);
        }
        if !kind.keeps_left() {
            for_right.append(&mut take_within(&mut conditions, middle, end));
            for_left.append(&mut take_within(&mut on, base, middle));
        }
        let (left, rest) = self.place(left, base, base, for_left)?;
        if kind.keeps_left() { &mut conditions } else { &mut on }.extend(rest);
        let (right, rest) = self.place(right, base, middle, for_right)?;
        if kind.keeps_right() { &mut conditions } else { &mut on }.extend(rest);
        let mut keys = Vec::new();
        on.retain(|condition| match equality(condition, base, middle, end) {
            Some(key) => {
                keys.push(key);
                false
            }
            None => true,
        });
        let mut join =
            Join { kind, left, right, dependent, keys, on: Expr::all(on).map(|on| on.rebased(base)) };
        if !join.dependent && !kind.keeps_right() {
            self.look_up(&mut join)?;
        }
        if join.dependent {
            recheck_keys(&mut join);
        }
        Ok((Source::Join(Box::new(join)), conditions))
    }

    /// Reaches the right rows through an index if one serves the keys.
    fn look_up(&self, join: &mut Join) -> Result<()> {
        let Source::Table(scan) = &mut join.right else {
            return Ok(());
        };
        let schema = self.binder.schema(scan.table)?;
        let equal = join.keys.iter().filter_map(|(left, right)| match right {
            Expr::Column(column) => Some((*column, Comparison::Equal, left.clone())),
            _ => None,
        });
        let filters = scan.filter.clone().map_or_else(Vec::new, Expr::conjuncts);
        let bounds: Vec<Bound> = equal.chain(filters.iter().filter_map(as_bound)).collect();
        let found = access(schema, &bounds);
        if found != Access::All && found != scan.access {
            scan.access = found;
            join.dependent = true;
        }
        Ok(())
    }
}

/// A join that runs its right side anew for each left row checks its keys like any other condition.
fn recheck_keys(join: &mut Join) {
    let width = join.left.width();
    let mut conditions: Vec<Expr> = join
        .keys
        .drain(..)
        .map(|(left, right)| Expr::Compare {
            op: Comparison::Equal,
            left: Box::new(left),
            right: Box::new(right.shifted(width)),
        })
        .collect();
    conditions.extend(join.on.take());
    join.on = Expr::all(conditions);
}

/// Removes the conditions that need only the columns from `from` to before `to`.
fn take_within(conditions: &mut Vec<Expr>, from: usize, to: usize) -> Vec<Expr> {
    conditions
        .extract_if(.., |condition| condition.columns_all(|index| (from..to).contains(&index)))
        .collect()
}

/// The two sides of an equality between a left and a right row, each over its own row.
fn equality(condition: &Expr, base: usize, middle: usize, end: usize) -> Option<(Expr, Expr)> {
    let Expr::Compare { op: Comparison::Equal, left, right } = condition else {
        return None;
    };
    let is_left = |expr: &Expr| expr.columns_all(|index| (base..middle).contains(&index));
    let is_right = |expr: &Expr| expr.columns_all(|index| (middle..end).contains(&index));
    let (a, b) = if is_left(left) && is_right(right) {
        (left, right)
    } else if is_left(right) && is_right(left) {
        (right, left)
    } else {
        return None;
    };
    (!a.is_constant() && !b.is_constant())
        .then(|| (a.as_ref().clone().rebased(base), b.as_ref().clone().rebased(middle)))
}

/// A column of a table compared with something that does not depend on its row.
type Bound = (usize, Comparison, Expr);

fn as_bound(condition: &Expr) -> Option<Bound> {
    // A bare column means that the comparison takes place in the column's own type.
    let Expr::Compare { op, left, right } = condition else {
        return None;
    };
    match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), value) if value.is_constant() => Some((*column, *op, value.clone())),
        (value, Expr::Column(column)) if value.is_constant() => Some((*column, op.mirrored(), value.clone())),
        _ => None,
    }
}

/// A lookup if the bounds give every column of a unique key; else the index of which they give most; else a scan.
fn access(schema: &Schema, bounds: &[Bound]) -> Access {
    let equal = |column: usize| {
        bounds
            .iter()
            .find(|(c, op, _)| *c == column && *op == Comparison::Equal)
            .map(|(_, _, value)| value.clone())
    };
    for (index, unique) in schema.indexes.iter().enumerate().filter(|(_, index)| index.is_unique()) {
        if let Some(key) = unique.columns.iter().map(|column| equal(*column)).collect() {
            return Access::Key { index, key };
        }
    }
    let mut best = (0, Access::All);
    for (index, definition) in schema.indexes.iter().enumerate() {
        let columns = &definition.columns;
        let prefix: Vec<Expr> = columns.iter().map_while(|column| equal(*column)).collect();
        let next = columns.get(prefix.len());
        let bound = |wanted: [Comparison; 2]| {
            bounds
                .iter()
                .find(|(column, op, _)| Some(column) == next && wanted.contains(op))
                .map(|(_, op, value)| Limit { value: value.clone(), inclusive: *op == wanted[1] })
        };
        let low = bound([Comparison::Greater, Comparison::GreaterOrEqual]);
        let high = bound([Comparison::Less, Comparison::LessOrEqual]);
        let bounded = prefix.len() + usize::from(low.is_some() || high.is_some());
        // Rows with a null in a key are not in the index.
        let complete = columns[bounded..].iter().all(|column| schema.columns[*column].not_null);
        let score = prefix.len() * 4 + usize::from(low.is_some()) + usize::from(high.is_some());
        if score > best.0 && complete {
            best = (score, Access::Range { index, prefix, low, high });
        }
    }
    best.1
}
