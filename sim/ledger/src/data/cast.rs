//! Conversions between types: which exist, when they apply by themselves, and what they do.
//!
//! The table is `pg_cast` of PostgreSQL 16 restricted to the types here.

use std::sync::Arc;

use super::{Float, Interval, Modifier, Type, Value, numeric, text, timestamp};
use crate::error::{Result, SqlError, state};

/// How much a statement must ask for a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Context {
    /// Applies in any expression.
    Implicit,
    /// Applies when a column is written.
    Assignment,
    /// Needs `CAST` or `::`.
    Explicit,
}

/// The weakest context in which `from` converts to `to`.
pub(crate) fn allowed(from: Type, to: Type) -> Option<Context> {
    use Type::{
        Array, Bool, Char, Date, Int4, Int8, Interval, Json, Jsonb, Name, Oid, Text, Time, Timestamp,
        Timestamptz, Unknown, Varchar,
    };
    if let (Some(from), Some(to)) = (rank(from), rank(to)) {
        return Some(if from <= to { Context::Implicit } else { Context::Assignment });
    }
    match (from, to) {
        (from, to) if from == to => Some(Context::Implicit),
        (from, Oid) if from.is_object() => Some(Context::Implicit),
        (from, Int4 | Int8) if from.is_object() => Some(Context::Assignment),
        (_, to) if to.is_object() => None,
        (Unknown, _)
        | (Date, Timestamp | Timestamptz)
        | (Timestamp, Timestamptz)
        | (Time, Interval)
        | (Type::Int2 | Int4 | Int8, Oid) => Some(Context::Implicit),
        (Timestamptz, Timestamp)
        | (Timestamp | Timestamptz, Date | Time)
        | (Interval, Time)
        | (Oid, Int4 | Int8)
        | (Json, Jsonb)
        | (Jsonb, Json)
        | (Text | Varchar | Type::Bpchar, Char) => Some(Context::Assignment),
        (from, to) if from.is_string() && to.is_string() => Some(Context::Implicit),
        (Array(from), Array(to)) => allowed(*from, *to),
        (_, to) if to.is_string() && !matches!(to, Name | Char) => Some(Context::Assignment),
        (Int4, Bool) | (Bool, Int4) | (Jsonb, Bool) => Some(Context::Explicit),
        (Jsonb, to) if to.is_number() => Some(Context::Explicit),
        (from, _) if from.is_string() => Some(Context::Explicit),
        _ => None,
    }
}

/// Numbers convert upwards by themselves (PostgreSQL 16 docs, §10.2).
fn rank(ty: Type) -> Option<u8> {
    Some(match ty {
        Type::Int2 => 0,
        Type::Int4 => 1,
        Type::Int8 => 2,
        Type::Numeric => 3,
        Type::Float4 => 4,
        Type::Float8 => 5,
        _ => return None,
    })
}

/// Converts a value of type `from`, then fits it into the modifier of the target.
pub(crate) fn convert(
    value: Value,
    from: Type,
    to: Type,
    modifier: Modifier,
    context: Context,
) -> Result<Value> {
    if value.is_null() {
        return Ok(value);
    }
    fit(retype(value, from, to)?, to, modifier, context)
}

fn retype(value: Value, from: Type, to: Type) -> Result<Value> {
    if from == to {
        return Ok(value);
    }
    Ok(match (value, to) {
        (Value::Int(value), to) if to.is_integer() || to == Type::Oid => Value::Int(integer(value, to)?),
        (Value::Int(value), Type::Numeric) => Value::Numeric(value.into()),
        (Value::Int(value), Type::Float4) => Value::Float4(Float(f64::from(value as f32))),
        (Value::Int(value), Type::Float8) => Value::Float8(Float(value as f64)),
        (Value::Int(value), Type::Bool) => Value::Bool(value != 0),
        (Value::Object(oid, _), to) if to.is_integer() || to == Type::Oid => {
            Value::Int(integer(oid.into(), to)?)
        }
        (Value::Bool(value), Type::Int4) => Value::Int(value.into()),
        (Value::Numeric(value), to) if to.is_integer() => {
            Value::Int(integer(numeric::to_int(value).ok_or_else(|| range(to))?, to)?)
        }
        (Value::Numeric(value), Type::Float4 | Type::Float8) => float_of(numeric::to_float(value), to)?,
        (Value::Float4(value) | Value::Float8(value), Type::Float4 | Type::Float8) => float_of(value.0, to)?,
        (Value::Float4(value) | Value::Float8(value), to) if to.is_integer() => {
            let rounded = value.0.round_ties_even();
            if !(-9.2e18..9.2e18).contains(&rounded) {
                return Err(range(to));
            }
            Value::Int(integer(rounded as i64, to)?)
        }
        (Value::Float4(value), Type::Numeric) => Value::Numeric(numeric::from_float(value.0, 6)?),
        (Value::Float8(value), Type::Numeric) => Value::Numeric(numeric::from_float(value.0, 15)?),
        (Value::Date(days), Type::Timestamp) => Value::LocalTimestamp(timestamp::midnight(days)?),
        (Value::Date(days), Type::Timestamptz) => Value::Timestamp(timestamp::midnight(days)?),
        // The only time zone is UTC.
        (Value::LocalTimestamp(micros), Type::Timestamptz) => Value::Timestamp(micros),
        (Value::Timestamp(micros), Type::Timestamp) => Value::LocalTimestamp(micros),
        (Value::Timestamp(micros) | Value::LocalTimestamp(micros), Type::Date) => {
            Value::Date(timestamp::day(micros))
        }
        (Value::Timestamp(micros) | Value::LocalTimestamp(micros), Type::Time) => {
            Value::Time(timestamp::time(micros))
        }
        (Value::Time(micros), Type::Interval) => Value::Interval(Interval { micros, ..Interval::default() }),
        (Value::Interval(interval), Type::Time) => Value::Time(timestamp::time(interval.micros)),
        (Value::Json(document), Type::Json) => Value::Text(text::show(&Value::Json(document)).into()),
        (Value::Json(document), to) if to.is_number() || to == Type::Bool => from_json(&document, to)?,
        (Value::Array(elements), Type::Array(to)) => {
            let from = if let Type::Array(from) = from { *from } else { Type::Text };
            let convert = |value: &Value| match value {
                Value::Null => Ok(Value::Null),
                value => retype(value.clone(), from, *to),
            };
            Value::Array(elements.iter().map(convert).collect::<Result<_>>()?)
        }
        (Value::Text(value), Type::Char) => {
            Value::Text(value.chars().next().map(String::from).unwrap_or_default().into())
        }
        (Value::Text(value), to) => {
            if to.is_string() && to != Type::Bpchar {
                Value::Text(value)
            } else {
                text::parse(&value, to)?
            }
        }
        // A cast of a boolean spells the word out, unlike its output form.
        (Value::Bool(value), to) if to.is_string() => Value::from(if value { "true" } else { "false" }),
        (value, to) if to.is_string() => Value::Text(text::show(&value).into()),
        (_, to) => {
            return Err(SqlError::new(state::CANNOT_COERCE, format!("cannot cast type {from} to {to}")));
        }
    })
}

fn float_of(value: f64, to: Type) -> Result<Value> {
    if to == Type::Float8 {
        return Ok(Value::Float8(Float(value)));
    }
    let single = f64::from(value as f32);
    if single.is_infinite() && value.is_finite() {
        return Err(SqlError::new(state::OUT_OF_RANGE, "value out of range: overflow"));
    }
    Ok(Value::Float4(Float(single)))
}

fn from_json(document: &Arc<super::Json>, to: Type) -> Result<Value> {
    use super::Json;
    match (document.as_ref(), to) {
        (Json::Bool(value), Type::Bool) => Ok(Value::Bool(*value)),
        (Json::Number(number), Type::Numeric) => Ok(Value::Numeric(*number)),
        (Json::Number(number), to) if to.is_number() => retype(Value::Numeric(*number), Type::Numeric, to),
        (document, _) => {
            let kind = match document {
                Json::Null => "null",
                Json::Text(_) => "string",
                Json::Number(_) => "numeric",
                Json::Bool(_) => "boolean",
                Json::Array(_) => "array",
                Json::Object(_) => "object",
            };
            Err(SqlError::new(
                state::INVALID_PARAMETER_VALUE,
                format!("cannot cast jsonb {kind} to type {to}"),
            ))
        }
    }
}

fn integer(value: i64, ty: Type) -> Result<i64> {
    let fits = match ty {
        Type::Int2 => i16::try_from(value).is_ok(),
        Type::Int4 => i32::try_from(value).is_ok(),
        Type::Oid => u32::try_from(value).is_ok(),
        _ => true,
    };
    if fits { Ok(value) } else { Err(range(ty)) }
}

/// A number does not fit into an integer type.
pub(crate) fn range(ty: Type) -> Box<SqlError> {
    SqlError::new(state::OUT_OF_RANGE, format!("{ty} out of range"))
}

fn fit(value: Value, ty: Type, modifier: Modifier, context: Context) -> Result<Value> {
    match (value, modifier) {
        (Value::Numeric(value), Modifier::Digits { precision, scale }) => {
            numeric::fit(value, precision, scale).map(Value::Numeric)
        }
        (Value::Text(value), Modifier::Length(length)) => {
            shorten(value, ty, length, context).map(Value::Text)
        }
        (value, _) => Ok(value),
    }
}

/// An explicit cast cuts; an assignment cuts spaces only (PostgreSQL 16 docs, §8.3).
fn shorten(value: Arc<str>, ty: Type, length: u32, context: Context) -> Result<Arc<str>> {
    let Some((end, _)) = value.char_indices().nth(length as usize) else {
        return Ok(value);
    };
    if context == Context::Explicit || value[end..].bytes().all(|b| b == b' ') {
        Ok(value[..end].into())
    } else {
        Err(SqlError::new(state::STRING_TOO_LONG, format!("value too long for type {ty}({length})")))
    }
}
