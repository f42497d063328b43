//! The binary form of every type, as the `…send` and `…recv` functions of PostgreSQL 16 define it.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::{Float, Interval, Json, Type, Value, array, numeric, text, timestamp};
use crate::error::{Result, SqlError, state};

/// `jsonb_send`: a version byte before the text.
const JSONB_VERSION: u8 = 1;

/// Appends the binary form of a value that is not null.
pub(crate) fn write(value: &Value, ty: Type, out: &mut BytesMut) {
    match value {
        Value::Null => {}
        Value::Bool(value) => out.put_u8(u8::from(*value)),
        // A small integer holds only what fits: every path into one checks the range.
        Value::Int(value) if matches!(ty, Type::Int4 | Type::Oid) => out.put_i32(*value as i32),
        Value::Int(value) if ty == Type::Int2 => out.put_i16(*value as i16),
        Value::Int(value) => out.put_i64(*value),
        Value::Numeric(value) => numeric::write_binary(*value, out),
        Value::Text(value) => out.put_slice(value.as_bytes()),
        Value::Timestamp(micros) | Value::LocalTimestamp(micros) | Value::Time(micros) => {
            out.put_i64(*micros)
        }
        Value::Date(days) => out.put_i32(*days),
        Value::Interval(interval) => {
            out.put_i64(interval.micros);
            out.put_i32(interval.days);
            out.put_i32(interval.months);
        }
        Value::Float4(value) => out.put_f32(value.0 as f32),
        Value::Float8(value) => out.put_f64(value.0),
        Value::Uuid(bytes) => out.put_slice(bytes),
        Value::Object(oid, _) => out.put_u32(*oid),
        Value::Array(elements) => array::write_binary(elements, ty, out),
        Value::Json(document) => {
            let mut text = String::new();
            document.write(&mut text);
            out.put_u8(JSONB_VERSION);
            out.put_slice(text.as_bytes());
        }
        Value::Bytes(bytes) => out.put_slice(bytes),
    }
}

/// Reads the binary form of a value of type `ty`.
pub(crate) fn read(bytes: &[u8], ty: Type) -> Result<Value> {
    let malformed = || {
        SqlError::new(state::BAD_BINARY, format!("incorrect binary data format for a parameter of type {ty}"))
    };
    Ok(match ty {
        Type::Bool => Value::Bool(<[u8; 1]>::try_from(bytes).map_err(|_| malformed())?[0] != 0),
        Type::Int4 => Value::Int(i32::from_be_bytes(bytes.try_into().map_err(|_| malformed())?).into()),
        Type::Int8 => Value::Int(i64::from_be_bytes(bytes.try_into().map_err(|_| malformed())?)),
        Type::Numeric => Value::Numeric(numeric::read_binary(bytes)?),
        Type::Int2 => Value::Int(i16::from_be_bytes(bytes.try_into().map_err(|_| malformed())?).into()),
        Type::Oid => Value::Int(u32::from_be_bytes(bytes.try_into().map_err(|_| malformed())?).into()),
        Type::Regclass | Type::Regnamespace | Type::Regtype => return Err(text::out_of_reach(ty)),
        Type::Float4 => {
            let value = f32::from_be_bytes(bytes.try_into().map_err(|_| malformed())?);
            Value::Float4(Float(value.into()))
        }
        Type::Float8 => Value::Float8(Float(f64::from_be_bytes(bytes.try_into().map_err(|_| malformed())?))),
        Type::Bpchar | Type::Char | Type::Json | Type::Name | Type::Text | Type::Varchar | Type::Unknown => {
            text::parse(utf8(bytes)?, ty)?
        }
        Type::Timestamptz => Value::Timestamp(i64::from_be_bytes(bytes.try_into().map_err(|_| malformed())?)),
        Type::Timestamp => {
            Value::LocalTimestamp(i64::from_be_bytes(bytes.try_into().map_err(|_| malformed())?))
        }
        Type::Date => Value::Date(i32::from_be_bytes(bytes.try_into().map_err(|_| malformed())?)),
        Type::Time => {
            let micros = i64::from_be_bytes(bytes.try_into().map_err(|_| malformed())?);
            if !(0..=timestamp::DAY).contains(&micros) {
                return Err(SqlError::new(state::DATETIME_OVERFLOW, "time out of range"));
            }
            Value::Time(micros)
        }
        Type::Interval => {
            let fields: &[u8; 16] = bytes.try_into().map_err(|_| malformed())?;
            let (micros, rest) = fields.split_at(8);
            let (days, months) = rest.split_at(4);
            Value::Interval(Interval {
                micros: i64::from_be_bytes(micros.try_into().map_err(|_| malformed())?),
                days: i32::from_be_bytes(days.try_into().map_err(|_| malformed())?),
                months: i32::from_be_bytes(months.try_into().map_err(|_| malformed())?),
            })
        }
        Type::Uuid => Value::Uuid(bytes.try_into().map_err(|_| malformed())?),
        Type::Array(element) => array::read_binary(bytes, *element)?,
        Type::Jsonb => match bytes.split_first() {
            Some((&JSONB_VERSION, text)) => Value::Json(Arc::new(Json::parse(utf8(text)?)?)),
            _ => {
                return Err(SqlError::new(state::BAD_BINARY, "unsupported jsonb version number"));
            }
        },
        Type::Bytea => Value::Bytes(bytes.into()),
    })
}

/// Text of a client: UTF-8 without NUL, which PostgreSQL cannot store.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str> {
    let invalid = |byte: u8| {
        SqlError::new(
            state::BAD_ENCODING,
            format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}"),
        )
    };
    let text = std::str::from_utf8(bytes).map_err(|error| invalid(bytes[error.valid_up_to()]))?;
    if text.contains('\0') { Err(invalid(0)) } else { Ok(text) }
}
