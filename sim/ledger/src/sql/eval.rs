//! Evaluates bound expressions: three-valued logic, exact arithmetic, checked ranges.

use std::{cmp::Ordering, sync::Arc};

use super::plan::{Arithmetic, Comparison, Expr, Function};
use crate::data::{Json, Type, Value, cast, numeric, text};
use crate::engine::Backends;
use crate::error::{Result, SqlError, state};

/// What an expression may refer to.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// The row at hand; the aggregates of an aggregating projection.
    pub(crate) row: &'a [Value],
    /// The row that an `INSERT … ON CONFLICT` proposed.
    pub(crate) excluded: &'a [Value],
    pub(crate) params: &'a [Value],
    /// The start of the transaction, as [`Value::Timestamp`].
    pub(crate) now: i64,
    /// The number of the session's process.
    pub(crate) process: u32,
    /// Every session.
    pub(crate) backends: &'a Backends,
}

impl<'a> Scope<'a> {
    /// The same parameters over another row.
    pub(crate) fn over(self, row: &'a [Value]) -> Self {
        Self { row, ..self }
    }
}

impl Expr {
    /// The value for `scope`.
    pub(crate) fn eval(&self, scope: &Scope<'_>) -> Result<Value> {
        Ok(match self {
            Self::Const(value) => value.clone(),
            Self::Column(index) => scope.row[*index].clone(),
            Self::Excluded(index) => scope.excluded[*index].clone(),
            Self::Param(index) => scope.params[*index].clone(),
            Self::Now => Value::Timestamp(scope.now),
            Self::And(left, right) => logic(left, right, scope, false)?,
            Self::Or(left, right) => logic(left, right, scope, true)?,
            Self::Not(expr) => match expr.eval(scope)? {
                Value::Bool(value) => Value::Bool(!value),
                other => other,
            },
            Self::Compare { op, left, right } => match compare(&left.eval(scope)?, &right.eval(scope)?) {
                Some(order) => Value::Bool(op.accepts(order)),
                None => Value::Null,
            },
            Self::Distinct { left, right, negated } => {
                Value::Bool((left.eval(scope)? != right.eval(scope)?) != *negated)
            }
            Self::IsNull { expr, negated } => Value::Bool(expr.eval(scope)?.is_null() != *negated),
            Self::Is { expr, value, negated } => {
                Value::Bool((expr.eval(scope)? == Value::Bool(*value)) != *negated)
            }
            Self::In { expr, list, negated } => is_in(expr, list, *negated, scope)?,
            Self::Arithmetic { op, ty, left, right } => {
                arithmetic(*op, *ty, left.eval(scope)?, right.eval(scope)?)?
            }
            Self::Negate { expr, ty } => arithmetic(Arithmetic::Subtract, *ty, zero(*ty), expr.eval(scope)?)?,
            Self::Cast { expr, from, to, modifier, context } => {
                cast::convert(expr.eval(scope)?, *from, *to, *modifier, *context)?
            }
            Self::Concat(left, right) => match (left.eval(scope)?, right.eval(scope)?) {
                (Value::Text(left), Value::Text(right)) => Value::Text([&*left, &*right].concat().into()),
                _ => Value::Null,
            },
            Self::Like { expr, pattern, any_case, negated } => {
                match (expr.eval(scope)?, pattern.eval(scope)?) {
                    (Value::Text(text), Value::Text(pattern)) => {
                        Value::Bool(like(&text, &pattern, *any_case)? != *negated)
                    }
                    _ => Value::Null,
                }
            }
            Self::JsonGet { document, key, as_text } => {
                json_get(document.eval(scope)?, key.eval(scope)?, *as_text)
            }
            Self::Case { branches, otherwise } => {
                for (condition, result) in branches {
                    if condition.eval(scope)?.is_true() {
                        return result.eval(scope);
                    }
                }
                otherwise.as_ref().map_or(Ok(Value::Null), |otherwise| otherwise.eval(scope))?
            }
            Self::Coalesce(args) => {
                for arg in args {
                    let value = arg.eval(scope)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Value::Null
            }
            Self::Extreme { greatest, args } => extreme(*greatest, args, scope)?,
            Self::NullIf(left, right) => {
                let value = left.eval(scope)?;
                if compare(&value, &right.eval(scope)?) == Some(Ordering::Equal) {
                    Value::Null
                } else {
                    value
                }
            }
            Self::Call { function: Function::BackendPid, .. } => Value::Int(scope.process.into()),
            Self::Call { function, args } => call(*function, args[0].eval(scope)?, scope.backends)?,
        })
    }

    /// Whether a condition holds: true, not false or null.
    pub(crate) fn holds(&self, scope: &Scope<'_>) -> Result<bool> {
        self.eval(scope).map(|value| value.is_true())
    }
}

impl Comparison {
    fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order == Ordering::Equal,
            Self::NotEqual => order != Ordering::Equal,
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
        }
    }
}

/// None when either side is null.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    if left.is_null() || right.is_null() { None } else { Some(left.cmp(right)) }
}

/// `AND` stops at a false, `OR` at a true; a null decides only if nothing else does.
fn logic(left: &Expr, right: &Expr, scope: &Scope<'_>, decisive: bool) -> Result<Value> {
    let decided = Value::Bool(decisive);
    let left = left.eval(scope)?;
    if left == decided {
        return Ok(decided);
    }
    let right = right.eval(scope)?;
    Ok(if right == decided || left == Value::Bool(!decisive) { right } else { Value::Null })
}

fn is_in(expr: &Expr, list: &[Expr], negated: bool, scope: &Scope<'_>) -> Result<Value> {
    let value = expr.eval(scope)?;
    let mut unknown = value.is_null();
    for item in list {
        match compare(&value, &item.eval(scope)?) {
            Some(Ordering::Equal) => return Ok(Value::Bool(!negated)),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown { Value::Null } else { Value::Bool(negated) })
}

fn zero(ty: Type) -> Value {
    if ty == Type::Numeric { Value::Numeric(0.into()) } else { Value::Int(0) }
}

fn arithmetic(op: Arithmetic, ty: Type, left: Value, right: Value) -> Result<Value> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => {
            let result = match op {
                Arithmetic::Add => left.checked_add(right),
                Arithmetic::Subtract => left.checked_sub(right),
                Arithmetic::Multiply => left.checked_mul(right),
                Arithmetic::Divide | Arithmetic::Remainder if right == 0 => {
                    return Err(numeric::division_by_zero());
                }
                Arithmetic::Divide => left.checked_div(right),
                Arithmetic::Remainder => Some(left.wrapping_rem(right)),
            };
            result
                .filter(|result| ty != Type::Int4 || i32::try_from(*result).is_ok())
                .map(Value::Int)
                .ok_or_else(|| cast::range(ty))
        }
        (Value::Numeric(left), Value::Numeric(right)) => match op {
            Arithmetic::Add => numeric::add(left, right),
            Arithmetic::Subtract => numeric::add(left, -right),
            Arithmetic::Multiply => numeric::multiply(left, right),
            Arithmetic::Divide => numeric::divide(left, right),
            Arithmetic::Remainder => numeric::remainder(left, right),
        }
        .map(Value::Numeric),
        _ => Ok(Value::Null),
    }
}

fn extreme(greatest: bool, args: &[Expr], scope: &Scope<'_>) -> Result<Value> {
    let mut best = Value::Null;
    for arg in args {
        let value = arg.eval(scope)?;
        let better = match compare(&value, &best) {
            Some(order) => (order == Ordering::Greater) == greatest,
            None => best.is_null(),
        };
        if better {
            best = value;
        }
    }
    Ok(best)
}

fn call(function: Function, arg: Value, backends: &Backends) -> Result<Value> {
    Ok(match (function, arg) {
        (Function::Abs(ty), Value::Int(value)) => {
            let value = value.checked_abs().filter(|value| ty != Type::Int4 || i32::try_from(*value).is_ok());
            Value::Int(value.ok_or_else(|| cast::range(ty))?)
        }
        (Function::Abs(_), Value::Numeric(value)) => Value::Numeric(value.abs()),
        (Function::CancelBackend, Value::Int(process)) => {
            Value::Bool(u32::try_from(process).is_ok_and(|process| backends.cancel(process, None)))
        }
        (Function::TerminateBackend, Value::Int(process)) => {
            Value::Bool(u32::try_from(process).is_ok_and(|process| backends.terminate(process)))
        }
        (Function::Length, Value::Text(text)) => Value::Int(text.chars().count() as i64),
        (Function::Lower, Value::Text(text)) => Value::Text(text.to_lowercase().into()),
        (Function::Upper, Value::Text(text)) => Value::Text(text.to_uppercase().into()),
        (_, _) => Value::Null,
    })
}

fn json_get(document: Value, key: Value, as_text: bool) -> Value {
    let Value::Json(document) = document else {
        return Value::Null;
    };
    let found = match &key {
        Value::Text(name) => document.member(name),
        Value::Int(index) => document.element(*index),
        _ => None,
    };
    match found {
        None => Value::Null,
        Some(found) if !as_text => Value::Json(Arc::new(found.clone())),
        Some(Json::Null) => Value::Null,
        Some(Json::Text(text)) => Value::Text(text.clone()),
        Some(found) => Value::Text(text::show(&Value::Json(Arc::new(found.clone()))).into()),
    }
}

/// `LIKE`: `%` is any run of characters, `_` any one, `\` takes the next literally (PostgreSQL 16 docs, §9.7).
fn like(text: &str, pattern: &str, any_case: bool) -> Result<bool> {
    let fold = |c: char| {
        if any_case { c.to_lowercase().next().unwrap_or(c) } else { c }
    };
    let text: Vec<char> = text.chars().map(fold).collect();
    let mut atoms = Vec::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        atoms.push(match c {
            '%' => Atom::Run,
            '_' => Atom::One,
            '\\' => Atom::Is(fold(chars.next().ok_or_else(|| {
                SqlError::new(state::INVALID_ESCAPE, "LIKE pattern must not end with escape character")
            })?)),
            c => Atom::Is(fold(c)),
        });
    }
    // Greedy matching that goes back to the latest run only, which is enough: time is bounded by text × pattern.
    let (mut t, mut p, mut retry) = (0, 0, None);
    while t < text.len() {
        match atoms.get(p) {
            Some(Atom::Run) => {
                retry = Some((t, p));
                p += 1;
            }
            Some(Atom::One) => (t, p) = (t + 1, p + 1),
            Some(Atom::Is(c)) if *c == text[t] => (t, p) = (t + 1, p + 1),
            _ => match retry {
                Some((from, run)) => {
                    retry = Some((from + 1, run));
                    (t, p) = (from + 1, run + 1);
                }
                None => return Ok(false),
            },
        }
    }
    Ok(atoms[p..].iter().all(|atom| matches!(atom, Atom::Run)))
}

enum Atom {
    Is(char),
    One,
    Run,
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn patterns_match_whole_texts() {
        for (text, pattern, matches) in [
            ("BTCUSDT", "BTC%", true),
            ("BTCUSDT", "%USDT", true),
            ("BTCUSDT", "B%U_DT", true),
            ("BTCUSDT", "BTC", false),
            ("", "%", true),
            ("", "_", false),
            ("a%b", "a\\%b", true),
            ("axb", "a\\%b", false),
            ("aab", "%ab", true),
        ] {
            assert_eq!(like(text, pattern, false).unwrap(), matches, "{text} LIKE {pattern}");
        }
        assert!(like("btc", "B_C", true).unwrap());
        assert!(like("x", "x\\", false).is_err());
    }
}
