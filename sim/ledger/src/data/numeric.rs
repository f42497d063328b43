//! `numeric`: exact decimals of up to 28 digits.
//!
//! Narrower than PostgreSQL's 131,072 digits: what does not fit is refused with 22003, never rounded silently. There is no
//! NaN and no infinity.

use bytes::{Buf, BufMut, BytesMut};
use rust_decimal::{Decimal, RoundingStrategy};

use crate::error::{Result, SqlError, state};

/// Digits after the point that [`Decimal`] can hold.
const MAX_SCALE: u32 = 28;
const OVERFLOW: &str = "value overflows numeric format";

pub(crate) fn overflow() -> Box<SqlError> {
    SqlError::new(state::OUT_OF_RANGE, OVERFLOW)
}

/// Parses PostgreSQL's text form: sign, digits, point, exponent, surrounding space.
pub(crate) fn parse(text: &str) -> Result<Decimal> {
    let malformed =
        || SqlError::new(state::BAD_TEXT, format!("invalid input syntax for type numeric: \"{text}\""));
    let trimmed = text.trim();
    let (mantissa, exponent) = match trimmed.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| malformed())?),
        None => (trimmed, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first() {
        Some(b'-') => (true, &mantissa[1..]),
        Some(b'+') => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if !all_digits || whole.len() + fraction.len() == 0 {
        return Err(
            if matches!(
                trimmed.to_ascii_lowercase().as_str(),
                "nan" | "infinity" | "-infinity" | "inf" | "-inf"
            ) {
                SqlError::unsupported(format!("numeric {trimmed}"))
            } else {
                malformed()
            },
        );
    }
    let mut coefficient: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        coefficient = coefficient
            .checked_mul(10)
            .and_then(|c| c.checked_add(i128::from(digit - b'0')))
            .ok_or_else(overflow)?;
    }
    let scale = i64::try_from(fraction.len()).map_err(|_| overflow())? - i64::from(exponent);
    from_parts(if negative { -coefficient } else { coefficient }, scale)
}

/// `coefficient` × 10^-`scale`, exactly.
fn from_parts(mut coefficient: i128, mut scale: i64) -> Result<Decimal> {
    if coefficient == 0 {
        return Ok(Decimal::new(0, u32::try_from(scale.clamp(0, i64::from(MAX_SCALE))).unwrap_or(0)));
    }
    while scale < 0 {
        coefficient = coefficient.checked_mul(10).ok_or_else(overflow)?;
        scale += 1;
    }
    while scale > i64::from(MAX_SCALE) && coefficient % 10 == 0 {
        coefficient /= 10;
        scale -= 1;
    }
    let scale = u32::try_from(scale).map_err(|_| overflow())?;
    Decimal::try_from_i128_with_scale(coefficient, scale).map_err(|_| overflow())
}

/// Fits `value` into `NUMERIC(precision, scale)`: rounds half away from zero, refuses what is too large.
pub(crate) fn fit(value: Decimal, precision: u32, scale: u32) -> Result<Decimal> {
    let mut fitted = value.round_dp_with_strategy(scale, RoundingStrategy::MidpointAwayFromZero);
    fitted.rescale(scale);
    let whole_digits = precision.saturating_sub(scale);
    let limit = 10_i128.checked_pow(precision).ok_or_else(overflow)?;
    if fitted.scale() != scale && !fitted.is_zero() {
        return Err(overflow());
    }
    if fitted.mantissa().abs() >= limit {
        return Err(SqlError::new(state::OUT_OF_RANGE, "numeric field overflow").detail(format!(
            "A field with precision {precision}, scale {scale} must round to an absolute value less than {}.",
            if whole_digits == 0 { "1".to_owned() } else { format!("10^{whole_digits}") }
        )));
    }
    Ok(fitted)
}

/// Rounds half away from zero to an integer, as the casts to integer types do.
pub(crate) fn to_int(value: Decimal) -> Option<i64> {
    i64::try_from(value.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero).mantissa()).ok()
}

/// The exact sum, with the larger scale of the two.
/// The nearest floating-point number.
pub(crate) fn to_float(value: Decimal) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}

/// The number that `digits` significant digits show (`float8_numeric` of PostgreSQL takes 15).
pub(crate) fn from_float(value: f64, digits: usize) -> Result<Decimal> {
    if !value.is_finite() {
        return Err(SqlError::unsupported(format!("numeric {value}")));
    }
    let shown = parse(&format!("{value:.*e}", digits - 1))?;
    Ok(shown.normalize())
}

pub(crate) fn add(a: Decimal, b: Decimal) -> Result<Decimal> {
    let scale = a.scale().max(b.scale());
    let sum = at_scale(a, scale)?.checked_add(at_scale(b, scale)?).ok_or_else(overflow)?;
    from_parts(sum, i64::from(scale))
}

/// The exact product, with the sum of the scales.
pub(crate) fn multiply(a: Decimal, b: Decimal) -> Result<Decimal> {
    let product = a.mantissa().checked_mul(b.mantissa()).ok_or_else(overflow)?;
    from_parts(product, i64::from(a.scale() + b.scale()))
}

/// The remainder, with the sign of `a` and the larger scale of the two.
pub(crate) fn remainder(a: Decimal, b: Decimal) -> Result<Decimal> {
    if b.is_zero() {
        return Err(division_by_zero());
    }
    let scale = a.scale().max(b.scale());
    from_parts(at_scale(a, scale)? % at_scale(b, scale)?, i64::from(scale))
}

fn at_scale(value: Decimal, scale: u32) -> Result<i128> {
    value.mantissa().checked_mul(10_i128.pow(scale - value.scale())).ok_or_else(overflow)
}

pub(crate) fn division_by_zero() -> Box<SqlError> {
    SqlError::new(state::DIVISION_BY_ZERO, "division by zero")
}

/// Divides with the scale that PostgreSQL's `select_div_scale` chooses: at least 16 significant digits.
pub(crate) fn divide(a: Decimal, b: Decimal) -> Result<Decimal> {
    if b.is_zero() {
        return Err(division_by_zero());
    }
    let (weight_a, first_a) = leading_group(a);
    let (weight_b, first_b) = leading_group(b);
    let quotient_weight = weight_a - weight_b - i32::from(first_a <= first_b);
    let significant = 16 - quotient_weight * 4;
    let floor = a.scale().max(b.scale());
    let scale = u32::try_from(significant).unwrap_or(0).max(floor).min(MAX_SCALE);
    let mut quotient = a
        .checked_div(b)
        .ok_or_else(overflow)?
        .round_dp_with_strategy(scale, RoundingStrategy::MidpointAwayFromZero);
    quotient.rescale(scale);
    Ok(quotient)
}

/// The weight and value of the first group of four digits, as PostgreSQL stores numbers in base 10,000.
fn leading_group(value: Decimal) -> (i32, u32) {
    let groups = Groups::of(value);
    if groups.count == 0 { (0, 0) } else { (i32::from(groups.weight), u32::from(groups.digits[0])) }
}

/// A number in base 10,000: digit `i` counts 10,000^(weight - i).
struct Groups {
    weight: i16,
    count: usize,
    digits: [u16; 16],
}

impl Groups {
    fn of(value: Decimal) -> Self {
        let mut groups = Self { weight: 0, count: 0, digits: [0; 16] };
        // Pad the fraction to whole groups: at most 29 digits + 3, so at most 9 groups; u128 holds 38 digits.
        let padding = (4 - value.scale() % 4) % 4;
        let mut rest = value.mantissa().unsigned_abs() * 10_u128.pow(padding);
        let fraction_groups = (value.scale() + padding) / 4;
        let mut position = 0;
        while rest > 0 {
            groups.digits[position] = (rest % 10_000) as u16;
            rest /= 10_000;
            position += 1;
        }
        groups.weight = position as i16 - fraction_groups as i16 - 1;
        groups.digits[..position].reverse();
        groups.count = position;
        while groups.count > 0 && groups.digits[groups.count - 1] == 0 {
            groups.count -= 1;
        }
        if groups.count == 0 {
            groups.weight = 0;
        }
        groups
    }
}

/// `numeric_send` of PostgreSQL 16: count, weight, sign, display scale, then base-10,000 digits.
pub(crate) fn write_binary(value: Decimal, out: &mut BytesMut) {
    let groups = Groups::of(value);
    out.put_u16(groups.count as u16);
    out.put_i16(groups.weight);
    out.put_u16(if value.is_sign_negative() && !value.is_zero() { 0x4000 } else { 0 });
    out.put_u16(value.scale() as u16);
    for digit in &groups.digits[..groups.count] {
        out.put_u16(*digit);
    }
}

/// `numeric_recv` of PostgreSQL 16.
pub(crate) fn read_binary(mut bytes: &[u8]) -> Result<Decimal> {
    let malformed = || SqlError::new(state::BAD_BINARY, "incorrect binary data format in numeric");
    if bytes.len() < 8 {
        return Err(malformed());
    }
    let (count, weight, sign, scale) = (
        usize::from(bytes.get_u16()),
        i32::from(bytes.get_i16()),
        bytes.get_u16(),
        i64::from(bytes.get_u16()),
    );
    if bytes.len() != count * 2 {
        return Err(malformed());
    }
    if !matches!(sign, 0 | 0x4000) {
        return Err(SqlError::unsupported("numeric NaN or infinity"));
    }
    let mut coefficient: i128 = 0;
    for _ in 0..count {
        let digit = bytes.get_u16();
        if digit > 9_999 {
            return Err(malformed());
        }
        coefficient = coefficient
            .checked_mul(10_000)
            .and_then(|c| c.checked_add(i128::from(digit)))
            .ok_or_else(overflow)?;
    }
    // The digits stand for coefficient × 10,000^(weight - count + 1); the display scale says how many to keep.
    let mut power = i64::from(weight) * 4 - (count as i64 - 1) * 4;
    let target = -scale;
    while power > target && coefficient != 0 {
        coefficient = coefficient.checked_mul(10).ok_or_else(overflow)?;
        power -= 1;
    }
    while power < target && coefficient != 0 {
        coefficient /= 10;
        power += 1;
    }
    from_parts(if sign == 0 { coefficient } else { -coefficient }, scale)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        parse(text).unwrap()
    }

    #[test]
    fn text_is_read_exactly_or_refused() {
        for (input, output) in [
            ("1.10", "1.10"),
            (" -0.5 ", "-0.5"),
            ("+7", "7"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-0", "0"),
            ("1.5e3", "1500"),
            ("15e-4", "0.0015"),
            ("79228162514264337593543950335", "79228162514264337593543950335"),
        ] {
            assert_eq!(decimal(input).to_string(), output, "{input}");
        }
        for input in ["", ".", "1x", "--1", "1e", "1 2", "0x10"] {
            assert_eq!(parse(input).unwrap_err().state, state::BAD_TEXT, "{input}");
        }
        for input in ["79228162514264337593543950336", "1e29", "1e-29", "1e2147483647", "1e-2147483648"] {
            assert_eq!(parse(input).unwrap_err().state, state::OUT_OF_RANGE, "{input}");
        }
    }

    #[test]
    fn a_column_rounds_half_away_from_zero_and_refuses_what_is_too_large() {
        assert_eq!(fit(decimal("1.005"), 10, 2).unwrap().to_string(), "1.01");
        assert_eq!(fit(decimal("-1.005"), 10, 2).unwrap().to_string(), "-1.01");
        assert_eq!(fit(decimal("5"), 10, 2).unwrap().to_string(), "5.00");
        assert!(fit(decimal("99.995"), 4, 2).is_err());
        assert!(fit(decimal("99.994"), 4, 2).is_ok());
    }

    #[test]
    fn casts_to_integers_round_half_away_from_zero() {
        for (input, output) in [("2.5", 3), ("-2.5", -3), ("2.4", 2), ("9223372036854775807", i64::MAX)] {
            assert_eq!(to_int(decimal(input)), Some(output), "{input}");
        }
        assert_eq!(to_int(decimal("9223372036854775807.5")), None);
    }

    #[test]
    fn quotients_have_the_digits_that_postgresql_gives() {
        for (a, b, quotient) in [
            ("1", "3", "0.33333333333333333333"),
            ("10", "4", "2.5000000000000000"),
            ("2", "3", "0.66666666666666666667"),
            ("100000", "7", "14285.714285714286"),
            ("0", "3", "0.00000000000000000000"),
        ] {
            assert_eq!(divide(decimal(a), decimal(b)).unwrap().to_string(), quotient, "{a}/{b}");
        }
        assert_eq!(divide(decimal("1"), decimal("0")).unwrap_err().state, state::DIVISION_BY_ZERO);
    }

    proptest! {
        #[test]
        fn the_binary_form_keeps_value_and_scale(mantissa in any::<i64>(), scale in 0_u32..=18) {
            let value = Decimal::from_i128_with_scale(i128::from(mantissa), scale);
            let mut bytes = BytesMut::new();
            write_binary(value, &mut bytes);
            let back = read_binary(&bytes).unwrap();
            prop_assert_eq!(back.to_string(), parse(&value.to_string()).unwrap().to_string());
        }

        #[test]
        fn no_binary_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read_binary(&bytes);
        }

        #[test]
        fn no_text_input_panics(text in "[0-9.eE+-]{0,40}") {
            let _ = parse(&text);
        }
    }
}
