//! The binary form of every type, as the `…send` and `…recv` functions of PostgreSQL 16 define it.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::{Json, Type, Value, numeric};
use crate::error::{Result, SqlError, state};

/// `jsonb_send`: a version byte before the text.
const JSONB_VERSION: u8 = 1;

/// Appends the binary form of a value that is not null.
pub(crate) fn write(value: &Value, ty: Type, out: &mut BytesMut) {
    match value {
        Value::Null => {}
        Value::Bool(value) => out.put_u8(u8::from(*value)),
        // An `int4` holds only what fits: every path into one checks the range.
        Value::Int(value) if ty == Type::Int4 => out.put_i32(*value as i32),
        Value::Int(value) => out.put_i64(*value),
        Value::Numeric(value) => numeric::write_binary(*value, out),
        Value::Text(value) => out.put_slice(value.as_bytes()),
        Value::Timestamp(micros) => out.put_i64(*micros),
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
        Type::Text | Type::Varchar | Type::Unknown => Value::Text(utf8(bytes)?.into()),
        Type::Timestamptz => Value::Timestamp(i64::from_be_bytes(bytes.try_into().map_err(|_| malformed())?)),
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
