//! Evaluates bound expressions: three-valued logic, exact arithmetic, checked ranges.

use std::cmp::Ordering;

use super::{
    plan::{Arithmetic, Comparison, Expr, Subquery, Usage},
    run::{Found, Run, rows_of},
};
use crate::data::{Float, Type, Value, cast, float, numeric};
use crate::error::{Result, SqlError, state};

/// What an expression may refer to.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// The row at hand.
    pub(crate) row: &'a [Value],
    /// The row that an `INSERT … ON CONFLICT` proposed.
    pub(crate) excluded: &'a [Value],
    /// What the enclosing query gives.
    pub(crate) args: &'a [Value],
    pub(crate) params: &'a [Value],
    pub(crate) run: &'a Run<'a>,
}

impl<'a> Scope<'a> {
    /// The same over another row.
    pub(crate) fn over(self, row: &'a [Value]) -> Self {
        Self { row, ..self }
    }

    /// The scope of a subquery.
    pub(crate) fn inside(self, args: &'a [Value]) -> Self {
        Self { row: &[], excluded: &[], args, ..self }
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
            Self::Arg(index) => scope.args[*index].clone(),
            // Grouping has replaced every one of them.
            Self::Aggregate(_) => Value::Null,
            Self::Array(elements) => {
                Value::Array(elements.iter().map(|element| element.eval(scope)).collect::<Result<_>>()?)
            }
            Self::Now => Value::Timestamp(scope.run.now()),
            Self::Quantified { op, all, left, array } => {
                let left = left.eval(scope)?;
                match array.eval(scope)? {
                    Value::Array(elements) => {
                        quantified(*all, elements.iter().map(|element| compared(*op, &left, element)))
                    }
                    _ => Value::Null,
                }
            }
            Self::Regex { expr, pattern, any_case, negated } => {
                match (expr.eval(scope)?, pattern.eval(scope)?) {
                    (Value::Text(text), Value::Text(pattern)) => {
                        Value::Bool(scope.run.pattern(&pattern, *any_case)?.is_match(&text) != *negated)
                    }
                    _ => Value::Null,
                }
            }
            Self::Subquery(subquery) => self::subquery(subquery, scope)?,
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
            Self::Call { function, args } => {
                let args = args.iter().map(|arg| arg.eval(scope)).collect::<Result<Vec<_>>>()?;
                if function.strict && args.iter().any(Value::is_null) {
                    return Ok(Value::Null);
                }
                (function.call)(&args, scope)?
            }
        })
    }

    /// Whether a condition holds: true, not false or null.
    pub(crate) fn holds(&self, scope: &Scope<'_>) -> Result<bool> {
        self.eval(scope).map(|value| value.is_true())
    }
}

impl Comparison {
    pub(super) fn accepts(self, order: Ordering) -> bool {
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
pub(super) fn compare(left: &Value, right: &Value) -> Option<Ordering> {
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

/// The value of `op` between two values; none when it is unknown.
fn compared(op: Comparison, left: &Value, right: &Value) -> Option<bool> {
    compare(left, right).map(|order| op.accepts(order))
}

/// `ANY` or `ALL` of what is known about each element.
fn quantified(all: bool, results: impl Iterator<Item = Option<bool>>) -> Value {
    let mut unknown = false;
    for result in results {
        match result {
            Some(result) if result != all => return Value::Bool(!all),
            Some(_) => {}
            None => unknown = true,
        }
    }
    if unknown { Value::Null } else { Value::Bool(all) }
}

fn subquery(subquery: &Subquery, scope: &Scope<'_>) -> Result<Value> {
    let most = match subquery.usage {
        Usage::Exists => 1,
        Usage::Scalar => 2,
        Usage::Array | Usage::Quantified { .. } => usize::MAX,
    };
    if subquery.args.is_empty() {
        let found = scope.run.found(subquery.id, || rows_of(&subquery.query, &scope.inside(&[]), most))?;
        if let Usage::Quantified { op: Comparison::Equal, all: false, left } = &subquery.usage {
            return is_among(left, &found, scope);
        }
        return used(&subquery.usage, &found.rows, scope);
    }
    let args = subquery.args.iter().map(|arg| arg.eval(scope)).collect::<Result<Vec<_>>>()?;
    used(&subquery.usage, &rows_of(&subquery.query, &scope.inside(&args), most)?, scope)
}

/// What an expression makes of the rows of a subquery.
fn used(usage: &Usage, rows: &[Vec<Value>], scope: &Scope<'_>) -> Result<Value> {
    Ok(match usage {
        Usage::Array => Value::Array(rows.iter().filter_map(|row| row.first()).cloned().collect()),
        Usage::Exists => Value::Bool(!rows.is_empty()),
        Usage::Scalar => match rows {
            [] => Value::Null,
            [row] => row.first().cloned().unwrap_or(Value::Null),
            _ => {
                return Err(SqlError::new(
                    state::CARDINALITY_VIOLATION,
                    "more than one row returned by a subquery used as an expression",
                ));
            }
        },
        Usage::Quantified { op, all, left } => {
            let left = left.iter().map(|expr| expr.eval(scope)).collect::<Result<Vec<_>>>()?;
            quantified(*all, rows.iter().map(|row| compare_rows(*op, &left, row)))
        }
    })
}

/// Compares rows of which several columns are only ever compared for equality.
fn compare_rows(op: Comparison, left: &[Value], right: &[Value]) -> Option<bool> {
    if let ([left], [right]) = (left, right) {
        return compared(op, left, right);
    }
    let mut equal = Some(true);
    for (left, right) in left.iter().zip(right) {
        match compared(Comparison::Equal, left, right) {
            Some(false) => return Some(op == Comparison::NotEqual),
            Some(true) => {}
            None => equal = None,
        }
    }
    equal.map(|equal| equal == (op == Comparison::Equal))
}

/// `IN` a subquery whose rows are known.
fn is_among(left: &[Expr], found: &Found, scope: &Scope<'_>) -> Result<Value> {
    let left = left.iter().map(|expr| expr.eval(scope)).collect::<Result<Vec<_>>>()?;
    if !left.iter().any(Value::is_null) {
        if found.set.contains(&left) {
            return Ok(Value::Bool(true));
        }
        if !found.has_null {
            return Ok(Value::Bool(false));
        }
    }
    Ok(quantified(false, found.rows.iter().map(|row| compare_rows(Comparison::Equal, &left, row))))
}

pub(super) fn zero(ty: Type) -> Value {
    match ty {
        Type::Numeric => Value::Numeric(0.into()),
        Type::Float4 => Value::Float4(Float(-0.0)),
        Type::Float8 => Value::Float8(Float(-0.0)),
        _ => Value::Int(0),
    }
}

pub(super) fn arithmetic(op: Arithmetic, ty: Type, left: Value, right: Value) -> Result<Value> {
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
                .filter(|result| match ty {
                    Type::Int2 => i16::try_from(*result).is_ok(),
                    Type::Int4 => i32::try_from(*result).is_ok(),
                    _ => true,
                })
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
        (Value::Float8(left), Value::Float8(right)) => {
            float_arithmetic(op, left.0, right.0).map(Value::Float8)
        }
        (Value::Float4(left), Value::Float4(right)) => {
            let wide = float_arithmetic(op, left.0, right.0)?;
            float::checked(f64::from(wide.0 as f32), wide.0.is_finite()).map(Value::Float4)
        }
        _ => Ok(Value::Null),
    }
}

fn float_arithmetic(op: Arithmetic, left: f64, right: f64) -> Result<Float> {
    let result = match op {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide | Arithmetic::Remainder if right == 0.0 => return Err(numeric::division_by_zero()),
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
    };
    float::checked(result, left.is_finite() && right.is_finite())
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
