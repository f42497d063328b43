//! Type names.

use sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, ObjectName, TimezoneInfo,
};

use super::{object_name, qualified_name};
use crate::{
    data::{Modifier, Type},
    error::{Result, SqlError, state},
};

/// A type name and what stands in its parentheses.
pub(super) fn data_type(ast: &DataType) -> Result<(Type, Modifier)> {
    let plain = |ty| Ok((ty, Modifier::None));
    if let Some(ty) = object_type(ast) {
        return Err(SqlError::unsupported(format!("the type {ty} but in a cast")));
    }
    match ast {
        DataType::Bool | DataType::Boolean => plain(Type::Bool),
        DataType::Int(None) | DataType::Int4(None) | DataType::Integer(None) => plain(Type::Int4),
        DataType::BigInt(None) | DataType::Int8(None) => plain(Type::Int8),
        DataType::SmallInt(None) | DataType::Int2(None) => plain(Type::Int2),
        DataType::Real | DataType::Float4 => plain(Type::Float4),
        DataType::Float(ExactNumberInfo::Precision(1..=24)) => plain(Type::Float4),
        DataType::Float8
        | DataType::Double(ExactNumberInfo::None)
        | DataType::DoublePrecision
        | DataType::Float(ExactNumberInfo::None | ExactNumberInfo::Precision(25..=53)) => plain(Type::Float8),
        DataType::Date => plain(Type::Date),
        DataType::Time(None | Some(6), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            plain(Type::Time)
        }
        DataType::Timestamp(None | Some(6), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            plain(Type::Timestamp)
        }
        DataType::Interval { fields: None, precision: None } => plain(Type::Interval),
        DataType::JSON => plain(Type::Json),
        DataType::Uuid => plain(Type::Uuid),
        DataType::Text => plain(Type::Text),
        DataType::Char(length) | DataType::Character(length) => match length {
            None => Ok((Type::Bpchar, Modifier::Length(1))),
            Some(CharacterLength::IntegerLength { length, unit: None })
                if (1..=10_485_760).contains(length) =>
            {
                Ok((Type::Bpchar, Modifier::Length(*length as u32)))
            }
            Some(_) => {
                Err(SqlError::new(state::INVALID_PARAMETER_VALUE, "length for type char must be at least 1"))
            }
        },
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, None)) => {
            let (element, modifier) = data_type(element)?;
            match (element.array(), modifier) {
                (Some(array), Modifier::None) => plain(array),
                _ => Err(SqlError::unsupported(format!("the type {ast}"))),
            }
        }
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
        DataType::Custom(name, modifiers) if modifiers.is_empty() && named(name)?.is_some() => {
            plain(named(name)?.unwrap_or(Type::Text))
        }
        DataType::Custom(name, modifiers) => Err(if modifiers.is_empty() {
            SqlError::new(state::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", object_name(name)?))
        } else {
            SqlError::unsupported(format!("the type {ast}"))
        }),
        other => Err(SqlError::unsupported(format!("the type {other}"))),
    }
}

/// The type of numbers of objects that is meant; a value becomes one by asking the catalog.
pub(super) fn object_type(ast: &DataType) -> Option<Type> {
    let name = match ast {
        DataType::Regclass => return Some(Type::Regclass),
        DataType::Custom(name, modifiers) if modifiers.is_empty() => name,
        _ => return None,
    };
    named(name).ok().flatten().filter(|ty| ty.is_object())
}

/// A type by the name that the catalog has for it.
fn named(name: &ObjectName) -> Result<Option<Type>> {
    let (schema, name) = qualified_name(name)?;
    if schema.is_some_and(|schema| schema != "pg_catalog") {
        return Ok(None);
    }
    Ok(Type::from_internal_name(&name))
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
