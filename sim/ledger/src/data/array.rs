//! Arrays of one dimension: their text (`{1,NULL,"a b"}`) and binary forms.
//!
//! Arrays of several dimensions, and lower bounds other than 1, are refused.

use bytes::{Buf, BufMut, BytesMut};

use super::{Type, Value, binary, text};
use crate::error::{Result, SqlError, state};

/// `array_isspace` of PostgreSQL: unlike Rust it counts the vertical tab.
fn is_space(c: &char) -> bool {
    c.is_ascii_whitespace() || *c == '\u{b}'
}

/// Appends the text form.
pub(crate) fn write(elements: &[Value], out: &mut String) {
    out.push('{');
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        if element.is_null() {
            out.push_str("NULL");
            continue;
        }
        let mut shown = String::new();
        text::write(element, &mut shown);
        let plain = !shown.is_empty()
            && !shown.eq_ignore_ascii_case("null")
            && !shown.contains(|c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || is_space(&c));
        if plain {
            out.push_str(&shown);
        } else {
            out.push('"');
            for c in shown.chars() {
                if matches!(c, '"' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
            out.push('"');
        }
    }
    out.push('}');
}

/// Reads the text form.
pub(crate) fn parse(input: &str, element: Type) -> Result<Value> {
    let malformed = || SqlError::new(state::BAD_TEXT, format!("malformed array literal: \"{input}\""));
    let body = input
        .trim_matches(|c| is_space(&c))
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(malformed)?;
    let mut elements = Vec::new();
    let mut chars = body.chars().peekable();
    if body.chars().all(|c| is_space(&c)) {
        return Ok(Value::Array(elements.into()));
    }
    loop {
        while chars.next_if(is_space).is_some() {}
        let mut item = String::new();
        let quoted = chars.next_if_eq(&'"').is_some();
        if quoted {
            loop {
                match chars.next().ok_or_else(malformed)? {
                    '"' => break,
                    '\\' => item.push(chars.next().ok_or_else(malformed)?),
                    c => item.push(c),
                }
            }
            while chars.next_if(is_space).is_some() {}
        } else {
            while let Some(c) = chars.next_if(|c| *c != ',') {
                match c {
                    '{' | '}' => return Err(SqlError::unsupported("an array of several dimensions")),
                    '"' => return Err(malformed()),
                    '\\' => item.push(chars.next().ok_or_else(malformed)?),
                    c => item.push(c),
                }
            }
            item.truncate(item.trim_end_matches(|c| is_space(&c)).len());
            if item.is_empty() {
                return Err(malformed());
            }
        }
        elements.push(if !quoted && item.eq_ignore_ascii_case("null") {
            Value::Null
        } else {
            text::parse(&item, element)?
        });
        match chars.next() {
            None => return Ok(Value::Array(elements.into())),
            Some(',') => {}
            Some(_) => return Err(malformed()),
        }
    }
}

/// Appends the binary form (`array_send`).
pub(crate) fn write_binary(elements: &[Value], ty: Type, out: &mut BytesMut) {
    let element = if let Type::Array(element) = ty { *element } else { Type::Text };
    out.put_i32(i32::from(!elements.is_empty()));
    out.put_i32(i32::from(elements.iter().any(Value::is_null)));
    out.put_u32(element.oid());
    if elements.is_empty() {
        return;
    }
    out.put_i32(elements.len() as i32);
    out.put_i32(1);
    for value in elements {
        if value.is_null() {
            out.put_i32(-1);
            continue;
        }
        let start = out.len();
        out.put_i32(0);
        binary::write(value, element, out);
        let length = (out.len() - start - 4) as i32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

/// Reads the binary form (`array_recv`).
pub(crate) fn read_binary(mut bytes: &[u8], element: Type) -> Result<Value> {
    let malformed = || SqlError::new(state::BAD_BINARY, "invalid array in binary format");
    let bytes = &mut bytes;
    let dimensions = bytes.try_get_i32().map_err(|_| malformed())?;
    let _has_nulls = bytes.try_get_i32().map_err(|_| malformed())?;
    let oid = bytes.try_get_u32().map_err(|_| malformed())?;
    if oid != element.oid() {
        return Err(SqlError::new(
            state::DATATYPE_MISMATCH,
            format!(
                "binary data has array element type {oid} instead of expected {} ({element})",
                element.oid()
            ),
        ));
    }
    let count = match dimensions {
        0 => 0,
        1 => {
            let count = bytes.try_get_i32().map_err(|_| malformed())?;
            if bytes.try_get_i32().map_err(|_| malformed())? != 1 {
                return Err(SqlError::unsupported("an array with a lower bound other than 1"));
            }
            usize::try_from(count).map_err(|_| malformed())?
        }
        _ => return Err(SqlError::unsupported("an array of several dimensions")),
    };
    // Every element takes four bytes at least, so the count cannot make this allocate more than was sent.
    if count > bytes.len() / 4 {
        return Err(malformed());
    }
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        let length = bytes.try_get_i32().map_err(|_| malformed())?;
        if length < 0 {
            elements.push(Value::Null);
            continue;
        }
        let (value, rest) = bytes.split_at_checked(length as usize).ok_or_else(malformed)?;
        elements.push(binary::read(value, element)?);
        *bytes = rest;
    }
    if bytes.is_empty() { Ok(Value::Array(elements.into())) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_quoted_when_they_must_be() {
        let mut out = String::new();
        let input = r#"{a,"b c",NULL,"null","","q\"\\"}"#;
        let Value::Array(elements) = parse(input, Type::Text).unwrap() else { panic!("not an array") };
        write(&elements, &mut out);
        assert_eq!(out, input);
        assert_eq!(elements.len(), 6);
        for input in ["", "1,2", "{1,", "{1,,2}", "{\"a}", "{a}b"] {
            assert!(parse(input, Type::Text).is_err(), "{input}");
        }
        assert_eq!(parse("{{1},{2}}", Type::Int4).unwrap_err().state, state::FEATURE_NOT_SUPPORTED);
    }

    proptest! {
        #[test]
        fn arrays_survive_both_forms(values in proptest::collection::vec(proptest::option::of(".{0,8}"), 0..5)) {
            let elements: Vec<Value> =
                values.iter().map(|value| value.as_deref().map_or(Value::Null, Value::from)).collect();
            let mut shown = String::new();
            write(&elements, &mut shown);
            prop_assert_eq!(parse(&shown, Type::Text).unwrap(), Value::Array(elements.clone().into()));
            if !values.iter().flatten().any(|text| text.contains('\0')) {
                let mut bytes = BytesMut::new();
                write_binary(&elements, Type::Array(&Type::Text), &mut bytes);
                prop_assert_eq!(read_binary(&bytes, Type::Text).unwrap(), Value::Array(elements.into()));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read_binary(&bytes, Type::Int4);
        }
    }
}
