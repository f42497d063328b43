//! Functions that return rows: `FROM generate_series(1, 3)`.

use std::fmt;

use super::{
    Arg, INT4, INT8, INTERVAL, JSONB, NUMERIC, Returns, Signature, TEXT, TIMESTAMP, TIMESTAMPTZ, int_of,
    json, text_of,
};
use crate::{
    data::{Type, Value, numeric, timestamp},
    error::{Result, SqlError, state},
};

/// Takes a row; false when no more is wanted.
type Each<'a> = dyn FnMut(Vec<Value>) -> Result<bool> + 'a;

/// A function that returns rows. A null among its arguments means no rows.
pub(crate) struct SetFunction {
    pub(crate) name: &'static str,
    pub(crate) signature: Signature,
    pub(crate) columns: &'static [&'static str],
    /// One type per column.
    pub(crate) returns: &'static [Returns],
    pub(crate) rows: fn(&[Value], &mut Each<'_>) -> Result<bool>,
}

impl fmt::Debug for SetFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for SetFunction {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

const fn set(
    name: &'static str,
    args: &'static [Arg],
    columns: &'static [&'static str],
    returns: &'static [Returns],
    rows: fn(&[Value], &mut Each<'_>) -> Result<bool>,
) -> SetFunction {
    SetFunction { name, signature: Signature { args, variadic: false }, columns, returns, rows }
}

const SERIES: &[&str] = &["generate_series"];
const KEY_VALUE: &[&str] = &["key", "value"];

pub(super) static ALL: &[SetFunction] = &[
    set("generate_series", &[INT4, INT4], SERIES, &[Returns::Is(Type::Int4)], |args, each| {
        integers(args, 1, each)
    }),
    set("generate_series", &[INT4, INT4, INT4], SERIES, &[Returns::Is(Type::Int4)], |args, each| {
        integers(args, int_of(&args[2]), each)
    }),
    set("generate_series", &[INT8, INT8], SERIES, &[Returns::Is(Type::Int8)], |args, each| {
        integers(args, 1, each)
    }),
    set("generate_series", &[INT8, INT8, INT8], SERIES, &[Returns::Is(Type::Int8)], |args, each| {
        integers(args, int_of(&args[2]), each)
    }),
    set("generate_series", &[NUMERIC, NUMERIC, NUMERIC], SERIES, &[Returns::Is(Type::Numeric)], numbers),
    set(
        "generate_series",
        &[TIMESTAMP, TIMESTAMP, INTERVAL],
        SERIES,
        &[Returns::Is(Type::Timestamp)],
        moments,
    ),
    set(
        "generate_series",
        &[TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL],
        SERIES,
        &[Returns::Is(Type::Timestamptz)],
        moments,
    ),
    set("jsonb_array_elements", &[JSONB], &["value"], &[Returns::Is(Type::Jsonb)], |args, each| {
        entries(&args[0], false, 1, each)
    }),
    set("jsonb_array_elements_text", &[JSONB], &["value"], &[Returns::Is(Type::Text)], |args, each| {
        entries(&args[0], true, 1, each)
    }),
    set(
        "jsonb_each",
        &[JSONB],
        KEY_VALUE,
        &[Returns::Is(Type::Text), Returns::Is(Type::Jsonb)],
        |args, each| entries(&args[0], false, 2, each),
    ),
    set(
        "jsonb_each_text",
        &[JSONB],
        KEY_VALUE,
        &[Returns::Is(Type::Text), Returns::Is(Type::Text)],
        |args, each| entries(&args[0], true, 2, each),
    ),
    set("jsonb_object_keys", &[JSONB], &["jsonb_object_keys"], &[Returns::Is(Type::Text)], |args, each| {
        entries(&args[0], true, 2, &mut |mut row| {
            row.truncate(1);
            each(row)
        })
    }),
    set("string_to_table", &[TEXT, TEXT], &["string_to_table"], &[Returns::Is(Type::Text)], |args, each| {
        for part in text_of(&args[0]).split(text_of(&args[1])) {
            if !each(vec![Value::from(part)])? {
                return Ok(false);
            }
        }
        Ok(true)
    }),
    set("unnest", &[Arg::AnyArray], &["unnest"], &[Returns::Element(0)], |args, each| {
        let Value::Array(elements) = &args[0] else { return Ok(true) };
        for element in elements.iter() {
            if !each(vec![element.clone()])? {
                return Ok(false);
            }
        }
        Ok(true)
    }),
];

fn zero_step() -> Box<SqlError> {
    SqlError::new(state::INVALID_PARAMETER_VALUE, "step size cannot equal zero")
}

fn integers(args: &[Value], step: i64, each: &mut Each<'_>) -> Result<bool> {
    let (mut next, last) = (int_of(&args[0]), int_of(&args[1]));
    if step == 0 {
        return Err(zero_step());
    }
    while if step > 0 { next <= last } else { next >= last } {
        if !each(vec![Value::Int(next)])? {
            return Ok(false);
        }
        match next.checked_add(step) {
            Some(after) => next = after,
            None => break,
        }
    }
    Ok(true)
}

fn numbers(args: &[Value], each: &mut Each<'_>) -> Result<bool> {
    let [Value::Numeric(first), Value::Numeric(last), Value::Numeric(step)] = args else { return Ok(true) };
    if step.is_zero() {
        return Err(zero_step());
    }
    let mut next = *first;
    while if step.is_sign_positive() { next <= *last } else { next >= *last } {
        if !each(vec![Value::Numeric(next)])? {
            return Ok(false);
        }
        next = numeric::add(next, *step)?;
    }
    Ok(true)
}

fn moments(args: &[Value], each: &mut Each<'_>) -> Result<bool> {
    let (
        Value::Timestamp(first) | Value::LocalTimestamp(first),
        Value::Timestamp(last) | Value::LocalTimestamp(last),
    ) = (&args[0], &args[1])
    else {
        return Ok(true);
    };
    let Value::Interval(step) = &args[2] else { return Ok(true) };
    let forwards = match step.cmp(&crate::data::Interval::default()) {
        std::cmp::Ordering::Equal => return Err(zero_step()),
        order => order.is_gt(),
    };
    let local = matches!(args[0], Value::LocalTimestamp(_));
    let mut next = *first;
    while if forwards { next <= *last } else { next >= *last } {
        if !each(vec![if local { Value::LocalTimestamp(next) } else { Value::Timestamp(next) }])? {
            return Ok(false);
        }
        next = timestamp::plus(next, *step)?;
    }
    Ok(true)
}

/// The members of an object, or the elements of an array: `width` says which is wanted.
fn entries(document: &Value, as_text: bool, width: usize, each: &mut Each<'_>) -> Result<bool> {
    let wrong = || {
        let what = if width == 1 {
            "cannot extract elements from a non-array"
        } else {
            "cannot deconstruct a non-object"
        };
        SqlError::new(state::INVALID_PARAMETER_VALUE, what)
    };
    let rows = json::entries(document, as_text).ok_or_else(wrong)?;
    for row in rows {
        if row.len() != width {
            return Err(wrong());
        }
        if !each(row)? {
            return Ok(false);
        }
    }
    Ok(true)
}
