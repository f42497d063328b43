//! Constants are computed before any row is looked at, as PostgreSQL's planner does: `1/0` fails also where no row needs it.
//!
//! Deliberately absent: calls of functions, which need to know which functions always answer the same; subqueries.

use super::{
    eval::{arithmetic, compare, zero},
    plan::{Arithmetic, Expr},
};
use crate::{
    data::{Value, cast},
    error::Result,
};

impl Expr {
    /// Puts constants in the place of what has the same value for ever. What an expression skips, like a branch that is never
    /// taken, is not looked at.
    pub(crate) fn fold(&mut self) -> Result<()> {
        match self {
            Self::And(left, right) => return junction(left, right, false),
            Self::Or(left, right) => return junction(left, right, true),
            Self::Case { branches, otherwise } => {
                for (condition, result) in branches.iter_mut() {
                    condition.fold()?;
                    match condition {
                        Self::Const(value) if value.is_true() => return result.fold(),
                        Self::Const(_) => {}
                        _ => result.fold()?,
                    }
                }
                return otherwise.as_mut().map_or(Ok(()), |otherwise| otherwise.fold());
            }
            Self::Coalesce(args) => {
                for arg in args {
                    arg.fold()?;
                    if matches!(arg, Self::Const(value) if !value.is_null()) {
                        break;
                    }
                }
                return Ok(());
            }
            _ => self.try_each_child_mut(&mut Self::fold)?,
        }
        if let Some(value) = self.computed()? {
            *self = Self::Const(value);
        }
        Ok(())
    }

    /// The value, if it follows from constants directly below.
    fn computed(&self) -> Result<Option<Value>> {
        let constant = |expr: &Self| match expr {
            Self::Const(value) => Some(value.clone()),
            _ => None,
        };
        Ok(match self {
            Self::Cast { expr, from, to, modifier, context } if is_immutable(*from, *to) => constant(expr)
                .map(|value| cast::convert(value, *from, *to, *modifier, *context))
                .transpose()?,
            Self::Arithmetic { op, ty, left, right } => constant(left)
                .zip(constant(right))
                .map(|(left, right)| arithmetic(*op, *ty, left, right))
                .transpose()?,
            Self::Negate { expr, ty } => constant(expr)
                .map(|value| arithmetic(Arithmetic::Subtract, *ty, zero(*ty), value))
                .transpose()?,
            Self::Compare { op, left, right } => {
                constant(left).zip(constant(right)).map(|(left, right)| match compare(&left, &right) {
                    Some(order) => Value::Bool(op.accepts(order)),
                    None => Value::Null,
                })
            }
            Self::Concat(left, right) => match (constant(left), constant(right)) {
                (Some(Value::Text(left)), Some(Value::Text(right))) => {
                    Some(Value::Text([&*left, &*right].concat().into()))
                }
                _ => None,
            },
            Self::IsNull { expr, negated } => {
                constant(expr).map(|value| Value::Bool(value.is_null() != *negated))
            }
            Self::Not(expr) => match constant(expr) {
                Some(Value::Bool(value)) => Some(Value::Bool(!value)),
                other => other,
            },
            _ => None,
        })
    }
}

/// `AND` and `OR` look at their right side only when the left does not decide.
fn junction(left: &mut Expr, right: &mut Expr, decisive: bool) -> Result<()> {
    left.fold()?;
    if *left == Expr::Const(Value::Bool(decisive)) { Ok(()) } else { right.fold() }
}

/// Whether a conversion depends on nothing but the value: not on the time zone, for one.
fn is_immutable(from: crate::data::Type, to: crate::data::Type) -> bool {
    from.is_number() && to.is_number()
        || from.is_string() && !to.is_time()
        || to.is_string() && !from.is_time()
        || from == to
        || from == crate::data::Type::Jsonb
}
