//! `real` and `double precision`: IEEE numbers with PostgreSQL's order and text.

use std::{cmp::Ordering, fmt};

use super::Type;
use crate::error::{Result, SqlError, state};

/// A floating-point number. NaN equals itself and is greater than everything else; -0 equals 0 (PostgreSQL 16 docs, §8.1.3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Float(pub(crate) f64);

impl Ord for Float {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0.is_nan(), other.0.is_nan()) {
            (false, false) => self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal),
            (left, right) => left.cmp(&right),
        }
    }
}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Float {}

/// Appends the shortest text that reads back as the same number; `single` numbers are `real`.
pub(crate) fn write(value: Float, single: bool, out: &mut String) {
    let value = value.0;
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else if single {
        shortest(&format!("{:e}", value as f32), 6, out);
    } else {
        shortest(&format!("{value:e}"), 15, out);
    }
}

/// `digits` is Rust's shortest form `-1.25e-7`; from 10 to the power `limit` on, and below 0.0001, PostgreSQL keeps the exponent.
fn shortest(digits: &str, limit: i32, out: &mut String) {
    let (mantissa, exponent) = digits.split_once('e').unwrap_or((digits, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    out.push_str(sign);
    if !(-4..limit).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = fmt::Write::write_fmt(out, format_args!("{mantissa}e{sign}{:02}", exponent.abs()));
        return;
    }
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if exponent < 0 {
        out.push_str("0.");
        (1..-exponent).for_each(|_| out.push('0'));
        out.push_str(&digits);
        return;
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        out.push_str(&digits);
        (digits.len()..whole).for_each(|_| out.push('0'));
    } else {
        out.push_str(&digits[..whole]);
        out.push('.');
        out.push_str(&digits[whole..]);
    }
}

/// Reads the text form.
pub(crate) fn parse(text: &str, ty: Type) -> Result<Float> {
    let trimmed = text.trim();
    let malformed =
        || SqlError::new(state::BAD_TEXT, format!("invalid input syntax for type {ty}: \"{text}\""));
    let value = match trimmed.to_ascii_lowercase().as_str() {
        "nan" => f64::NAN,
        "infinity" | "inf" | "+infinity" | "+inf" => f64::INFINITY,
        "-infinity" | "-inf" => f64::NEG_INFINITY,
        digits if digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e')) => {
            let value: f64 = digits.parse().map_err(|_| malformed())?;
            let nonzero =
                digits.split('e').next().is_some_and(|m| m.bytes().any(|b| matches!(b, b'1'..=b'9')));
            let kept = if ty == Type::Float4 { f64::from(value as f32) } else { value };
            if kept.is_infinite() || (kept == 0.0 && nonzero) {
                return Err(SqlError::new(
                    state::OUT_OF_RANGE,
                    format!("\"{trimmed}\" is out of range for type {ty}"),
                ));
            }
            kept
        }
        _ => return Err(malformed()),
    };
    Ok(Float(value))
}

/// The result of an operation that was given finite numbers.
pub(crate) fn checked(value: f64, finite_before: bool) -> Result<Float> {
    if value.is_infinite() && finite_before {
        return Err(SqlError::new(state::OUT_OF_RANGE, "value out of range: overflow"));
    }
    Ok(Float(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_postgresql_prints_them() {
        for (input, ty, output) in [
            ("0.1", Type::Float8, "0.1"),
            ("-0", Type::Float8, "-0"),
            ("1e14", Type::Float8, "100000000000000"),
            ("1e15", Type::Float8, "1e+15"),
            ("123456789012345678", Type::Float8, "1.2345678901234568e+17"),
            ("0.0001", Type::Float8, "0.0001"),
            ("0.00001234", Type::Float8, "1.234e-05"),
            ("1234.5", Type::Float8, "1234.5"),
            ("1e-300", Type::Float8, "1e-300"),
            ("0.1", Type::Float4, "0.1"),
            ("999999", Type::Float4, "999999"),
            ("1000000", Type::Float4, "1e+06"),
            ("inf", Type::Float8, "Infinity"),
            ("NaN", Type::Float8, "NaN"),
        ] {
            let mut out = String::new();
            write(parse(input, ty).unwrap(), ty == Type::Float4, &mut out);
            assert_eq!(out, output, "{input}");
        }
        for input in ["", "1x", "1e", "--1", "0x1"] {
            assert_eq!(parse(input, Type::Float8).unwrap_err().state, state::BAD_TEXT, "{input}");
        }
        for input in ["1e400", "1e-400"] {
            assert_eq!(parse(input, Type::Float8).unwrap_err().state, state::OUT_OF_RANGE, "{input}");
        }
    }
}
