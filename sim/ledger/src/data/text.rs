//! The text form of every type: literals, parameters in text format, rows of the simple protocol.

use std::{fmt::Write as _, sync::Arc};

use super::{Json, Type, Value, array, float, interval, numeric, timestamp};
use crate::error::{Result, SqlError, state};

/// Appends the text form of a value that is not null.
pub(crate) fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => {}
        Value::Bool(value) => out.push(if *value { 't' } else { 'f' }),
        Value::Int(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Numeric(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Text(value) | Value::Object(_, value) => out.push_str(value),
        Value::Timestamp(micros) => timestamp::write(*micros, false, out),
        Value::LocalTimestamp(micros) => timestamp::write(*micros, true, out),
        Value::Date(days) => timestamp::write_date(*days, out),
        Value::Time(micros) => timestamp::write_time(micros.unsigned_abs(), out),
        Value::Interval(interval) => interval::write(*interval, out),
        Value::Float4(value) => float::write(*value, true, out),
        Value::Float8(value) => float::write(*value, false, out),
        Value::Uuid(bytes) => write_uuid(bytes, out),
        Value::Array(elements) => array::write(elements, out),
        Value::Json(document) => document.write(out),
        Value::Bytes(bytes) => {
            out.push_str("\\x");
            for byte in bytes.iter() {
                let _ = write!(out, "{byte:02x}");
            }
        }
    }
}

/// The text form of a value; `null` for null, as error details show it.
pub(crate) fn show(value: &Value) -> String {
    let mut out = String::new();
    if value.is_null() {
        out.push_str("null");
    }
    write(value, &mut out);
    out
}

/// Reads the text form of a value of type `ty`.
pub(crate) fn parse(text: &str, ty: Type) -> Result<Value> {
    Ok(match ty {
        Type::Bpchar => Value::Text(text.trim_end_matches(' ').into()),
        Type::Char | Type::Name | Type::Text | Type::Varchar | Type::Unknown => Value::Text(text.into()),
        Type::Int2 => Value::Int(parse_int(text, ty, i64::from(i16::MIN), i64::from(i16::MAX))?),
        Type::Oid => Value::Int(parse_int(text, ty, 0, i64::from(u32::MAX))?),
        Type::Regclass | Type::Regnamespace | Type::Regtype => return Err(out_of_reach(ty)),
        Type::Float4 => Value::Float4(float::parse(text, ty)?),
        Type::Float8 => Value::Float8(float::parse(text, ty)?),
        Type::Timestamp => Value::LocalTimestamp(timestamp::parse(text, true)?),
        Type::Date => Value::Date(timestamp::parse_date(text)?),
        Type::Time => Value::Time(timestamp::parse_time(text)?),
        Type::Interval => Value::Interval(interval::parse(text)?),
        Type::Uuid => Value::Uuid(parse_uuid(text).ok_or_else(|| malformed(text, ty))?),
        Type::Array(element) => array::parse(text, *element)?,
        Type::Json => {
            Json::parse(text)?;
            Value::Text(text.into())
        }
        Type::Bool => Value::Bool(parse_bool(text)?),
        Type::Int4 => Value::Int(parse_int(text, ty, i64::from(i32::MIN), i64::from(i32::MAX))?),
        Type::Int8 => Value::Int(parse_int(text, ty, i64::MIN, i64::MAX)?),
        Type::Numeric => Value::Numeric(numeric::parse(text)?),
        Type::Timestamptz => Value::Timestamp(timestamp::parse(text, false)?),
        Type::Jsonb => Value::Json(Arc::new(Json::parse(text)?)),
        Type::Bytea => Value::Bytes(parse_bytes(text)?.into()),
    })
}

/// A parameter would need the catalog to be read.
pub(crate) fn out_of_reach(ty: Type) -> Box<SqlError> {
    SqlError::unsupported(format!("a parameter of type {ty}"))
}

fn malformed(text: &str, ty: Type) -> Box<SqlError> {
    SqlError::new(state::BAD_TEXT, format!("invalid input syntax for type {ty}: \"{text}\""))
}

fn write_uuid(bytes: &[u8; 16], out: &mut String) {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        let _ = write!(out, "{byte:02x}");
    }
}

/// 32 hexadecimal digits; hyphens may stand after every fourth, braces around all (PostgreSQL 16 docs, §8.12).
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text,
    };
    let mut bytes = [0; 16];
    let mut digits = 0;
    let mut after_hyphen = true;
    for c in inner.chars() {
        if c == '-' && digits % 4 == 0 && !after_hyphen {
            after_hyphen = true;
            continue;
        }
        let digit = c.to_digit(16)? as u8;
        *bytes.get_mut(digits / 2)? |= if digits % 2 == 0 { digit << 4 } else { digit };
        digits += 1;
        after_hyphen = false;
    }
    (digits == 32 && !after_hyphen).then_some(bytes)
}

/// Any unique prefix of true, false, yes, no; on, off; 1, 0 (PostgreSQL 16 docs, §8.6).
fn parse_bool(text: &str) -> Result<bool> {
    let word = text.trim().to_ascii_lowercase();
    let is_prefix = |of: &str, least: usize| word.len() >= least && of.starts_with(&word);
    if is_prefix("true", 1) || is_prefix("yes", 1) || word == "on" || word == "1" {
        Ok(true)
    } else if is_prefix("false", 1) || is_prefix("no", 1) || is_prefix("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(malformed(text, Type::Bool))
    }
}

fn parse_int(text: &str, ty: Type, least: i64, most: i64) -> Result<i64> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(malformed(text, ty));
    }
    trimmed.parse().ok().filter(|value| (least..=most).contains(value)).ok_or_else(|| {
        SqlError::new(state::OUT_OF_RANGE, format!("value \"{text}\" is out of range for type {ty}"))
    })
}

/// The hex format (`\xDEADBEEF`) and the escape format (PostgreSQL 16 docs, §8.4).
fn parse_bytes(text: &str) -> Result<Vec<u8>> {
    let malformed = || malformed(text, Type::Bytea);
    let Some(hex) = text.strip_prefix("\\x") else {
        return parse_escaped_bytes(text).ok_or_else(malformed);
    };
    let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(SqlError::new(
            state::INVALID_PARAMETER_VALUE,
            "invalid hexadecimal data: odd number of digits",
        ));
    }
    pairs
        .map(|pair| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)
        })
        .collect::<Option<_>>()
        .ok_or_else(malformed)
}

fn parse_escaped_bytes(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
        } else if let Some(after) = rest.strip_prefix(b"\\") {
            out.push(b'\\');
            rest = after;
        } else {
            let octal = rest.get(..3)?;
            if !matches!(octal, [b'0'..=b'3', b'0'..=b'7', b'0'..=b'7']) {
                return None;
            }
            out.push(octal.iter().fold(0, |value, digit| (value << 3) | (digit - b'0')));
            rest = &rest[3..];
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_as_postgresql_reads_them() {
        for (text, ty, shown) in [
            ("yes", Type::Bool, "t"),
            ("OFF", Type::Bool, "f"),
            (" 42 ", Type::Int4, "42"),
            ("-9223372036854775808", Type::Int8, "-9223372036854775808"),
            ("\\xDEad", Type::Bytea, "\\xdead"),
            ("a\\\\b\\001", Type::Bytea, "\\x615c6201"),
            ("a ", Type::Text, "a "),
        ] {
            assert_eq!(show(&parse(text, ty).unwrap()), shown, "{text}");
        }
    }

    #[test]
    fn malformed_literals_name_the_type() {
        for (text, ty, code) in [
            ("o", Type::Bool, state::BAD_TEXT),
            ("4.0", Type::Int8, state::BAD_TEXT),
            ("", Type::Int4, state::BAD_TEXT),
            ("2147483648", Type::Int4, state::OUT_OF_RANGE),
            ("\\x0", Type::Bytea, state::INVALID_PARAMETER_VALUE),
            ("\\xzz", Type::Bytea, state::BAD_TEXT),
            ("\\9", Type::Bytea, state::BAD_TEXT),
        ] {
            assert_eq!(parse(text, ty).unwrap_err().state, code, "{text}");
        }
        let error = parse("abc", Type::Int8).unwrap_err();
        assert_eq!(error.message, "invalid input syntax for type bigint: \"abc\"");
    }
}
