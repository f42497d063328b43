//! Conversions between types: which exist, when they apply by themselves, and what they do.
//!
//! The table is `pg_cast` of PostgreSQL 16 restricted to the types here.

use std::sync::Arc;

use super::{Modifier, Type, Value, numeric, text};
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
    use Type::{Bool, Int4, Int8, Jsonb, Numeric, Text, Unknown, Varchar};
    match (from, to) {
        (from, to) if from == to => Some(Context::Implicit),
        (Unknown, _) | (Int4, Int8 | Numeric) | (Int8, Numeric) | (Text, Varchar) | (Varchar, Text) => {
            Some(Context::Implicit)
        }
        (Int8 | Numeric, Int4) | (Numeric, Int8) => Some(Context::Assignment),
        (_, Text | Varchar) => Some(Context::Assignment),
        (Int4, Bool) | (Bool, Int4) | (Jsonb, Int4 | Int8 | Numeric | Bool) | (Text | Varchar, _) => {
            Some(Context::Explicit)
        }
        _ => None,
    }
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
    fit(retype(value, from, to)?, modifier, context)
}

fn retype(value: Value, from: Type, to: Type) -> Result<Value> {
    if from == to {
        return Ok(value);
    }
    Ok(match (value, to) {
        (Value::Int(value), Type::Int4) => Value::Int(int4(value)?),
        (Value::Int(value), Type::Int8) => Value::Int(value),
        (Value::Int(value), Type::Numeric) => Value::Numeric(value.into()),
        (Value::Int(value), Type::Bool) => Value::Bool(value != 0),
        (Value::Bool(value), Type::Int4) => Value::Int(value.into()),
        // A cast of a boolean spells the word out, unlike its output form.
        (Value::Bool(value), Type::Text | Type::Varchar) => Value::from(if value { "true" } else { "false" }),
        (Value::Numeric(value), Type::Int4) => {
            Value::Int(int4(numeric::to_int(value).ok_or_else(|| range(to))?)?)
        }
        (Value::Numeric(value), Type::Int8) => Value::Int(numeric::to_int(value).ok_or_else(|| range(to))?),
        (Value::Text(value), to) => {
            if to.is_string() {
                Value::Text(value)
            } else {
                text::parse(&value, to)?
            }
        }
        (Value::Json(document), Type::Int4 | Type::Int8 | Type::Numeric | Type::Bool) => {
            from_json(&document, to)?
        }
        (value, Type::Text | Type::Varchar) => Value::Text(text::show(&value).into()),
        (_, to) => {
            return Err(SqlError::new(state::CANNOT_COERCE, format!("cannot cast type {from} to {to}")));
        }
    })
}

fn from_json(document: &Arc<super::Json>, to: Type) -> Result<Value> {
    use super::Json;
    match (document.as_ref(), to) {
        (Json::Bool(value), Type::Bool) => Ok(Value::Bool(*value)),
        (Json::Number(number), Type::Numeric) => Ok(Value::Numeric(*number)),
        (Json::Number(number), Type::Int4 | Type::Int8) => retype(Value::Numeric(*number), Type::Numeric, to),
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

fn int4(value: i64) -> Result<i64> {
    i32::try_from(value).map(i64::from).map_err(|_| range(Type::Int4))
}

/// A number does not fit into an integer type.
pub(crate) fn range(ty: Type) -> Box<SqlError> {
    SqlError::new(state::OUT_OF_RANGE, format!("{ty} out of range"))
}

fn fit(value: Value, modifier: Modifier, context: Context) -> Result<Value> {
    match (value, modifier) {
        (Value::Numeric(value), Modifier::Digits { precision, scale }) => {
            numeric::fit(value, precision, scale).map(Value::Numeric)
        }
        (Value::Text(value), Modifier::Length(length)) => shorten(value, length, context).map(Value::Text),
        (value, _) => Ok(value),
    }
}

/// An explicit cast cuts; an assignment cuts spaces only (PostgreSQL 16 docs, §8.3).
fn shorten(value: Arc<str>, length: u32, context: Context) -> Result<Arc<str>> {
    let Some((end, _)) = value.char_indices().nth(length as usize) else {
        return Ok(value);
    };
    if context == Context::Explicit || value[end..].bytes().all(|b| b == b' ') {
        Ok(value[..end].into())
    } else {
        Err(SqlError::new(
            state::STRING_TOO_LONG,
            format!("value too long for type character varying({length})"),
        ))
    }
}
