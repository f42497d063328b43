//! Grouping: what follows it reads the results of aggregates and the keys, nothing else.

use super::{expr::Binder, names::Names};
use crate::{
    error::{Result, SqlError, state},
    sql::plan::{Expr, Source},
};

/// Turns expressions over the rows of a query into expressions over its groups.
pub(super) struct Grouping<'a, 'b, 'c> {
    pub(super) names: &'a Names<'b>,
    pub(super) source: &'a Source,
    pub(super) binder: &'a Binder<'c>,
    /// How many; their results come first in the row of a group.
    pub(super) aggregates: usize,
    /// The keys come after. Columns that depend on keys are added.
    pub(super) keys: Vec<Expr>,
}

impl Grouping<'_, '_, '_> {
    /// Rewrites `expr`, or says which column has no single value in a group.
    pub(super) fn regroup(&mut self, expr: &mut Expr) -> Result<()> {
        if let Expr::Aggregate(index) = expr {
            *expr = Expr::Column(*index);
            return Ok(());
        }
        let known = self.keys.iter().position(|key| key == expr);
        let key = match (known, &*expr) {
            (Some(key), _) => Some(key),
            (None, Expr::Column(index)) => {
                if !self.depends(*index)? {
                    return Err(SqlError::new(
                        state::GROUPING_ERROR,
                        format!(
                            "column \"{}\" must appear in the GROUP BY clause or be used in an aggregate function",
                            self.names.describe(*index)
                        ),
                    ));
                }
                self.keys.push(expr.clone());
                Some(self.keys.len() - 1)
            }
            _ => None,
        };
        match key {
            Some(key) => {
                *expr = Expr::Column(self.aggregates + key);
                Ok(())
            }
            None => expr.try_each_child_mut(&mut |child| self.regroup(child)),
        }
    }

    /// Whether the keys contain the primary key of the table that a column belongs to.
    fn depends(&self, column: usize) -> Result<bool> {
        let Some((table, base)) = table_of(self.source, column, 0) else {
            return Ok(false);
        };
        let primary = self.binder.schema(table)?.indexes.iter().find(|index| index.is_primary());
        Ok(primary.is_some_and(|primary| {
            primary.columns.iter().all(|part| self.keys.contains(&Expr::Column(base + part)))
        }))
    }
}

/// The table that a column of the row belongs to, and where its columns begin.
fn table_of(source: &Source, column: usize, base: usize) -> Option<(usize, usize)> {
    match source {
        Source::Join(join) => {
            let middle = base + join.left.width();
            if column < middle {
                table_of(&join.left, column, base)
            } else {
                table_of(&join.right, column, middle)
            }
        }
        Source::Table(scan) => Some((scan.table, base)),
        _ => None,
    }
}
