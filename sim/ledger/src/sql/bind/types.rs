//! Type names.

use sqlparser::ast::{CharacterLength, DataType, ExactNumberInfo, TimezoneInfo};

use super::object_name;
use crate::{
    data::{Modifier, Type},
    error::{Result, SqlError, state},
};

/// A type name and what stands in its parentheses.
pub(super) fn data_type(ast: &DataType) -> Result<(Type, Modifier)> {
    let plain = |ty| Ok((ty, Modifier::None));
    match ast {
        DataType::Bool | DataType::Boolean => plain(Type::Bool),
        DataType::Int(None) | DataType::Int4(None) | DataType::Integer(None) => plain(Type::Int4),
        DataType::BigInt(None) | DataType::Int8(None) => plain(Type::Int8),
        DataType::Text => plain(Type::Text),
        DataType::Varchar(length) | DataType::CharacterVarying(length) | DataType::CharVarying(length) => {
            match length {
                None => plain(Type::Varchar),
                Some(CharacterLength::IntegerLength { length, unit: None })
                    if (1..=10_485_760).contains(length) =>
                {
                    Ok((Type::Varchar, Modifier::Length(*length as u32)))
                }
                Some(_) => Err(SqlError::new(
                    state::INVALID_PARAMETER_VALUE,
                    "length for type varchar must be at least 1",
                )),
            }
        }
        DataType::Numeric(digits) | DataType::Decimal(digits) => match digits {
            ExactNumberInfo::None => plain(Type::Numeric),
            ExactNumberInfo::Precision(precision) => numeric_type(*precision, 0),
            ExactNumberInfo::PrecisionAndScale(precision, scale) => numeric_type(*precision, *scale),
        },
        DataType::Timestamp(None | Some(6), TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => {
            plain(Type::Timestamptz)
        }
        DataType::JSONB => plain(Type::Jsonb),
        DataType::Bytea => plain(Type::Bytea),
        DataType::Custom(name, modifiers) => Err(if modifiers.is_empty() {
            SqlError::new(state::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", object_name(name)?))
        } else {
            SqlError::unsupported(format!("the type {ast}"))
        }),
        other => Err(SqlError::unsupported(format!("the type {other}"))),
    }
}

/// `NUMERIC(p,s)` as far as an exact decimal of 28 digits reaches.
fn numeric_type(precision: u64, scale: i64) -> Result<(Type, Modifier)> {
    match (u32::try_from(precision), u32::try_from(scale)) {
        (Ok(precision @ 1..=28), Ok(scale)) if scale <= precision => {
            Ok((Type::Numeric, Modifier::Digits { precision, scale }))
        }
        _ => Err(SqlError::unsupported(format!(
            "NUMERIC({precision},{scale}); at most 28 digits, scale within precision,"
        ))),
    }
}
