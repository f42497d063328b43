//! Numbers for INCRBYFLOAT and HINCRBYFLOAT: the 80-bit ones in which Redis adds on x86, bit for bit, with its way to show
//! them (`string2ld` and `ld2string`, Redis `util.c`).
//!
//! Deliberately absent: hexadecimal digits, and the denormal numbers below 10⁻⁴⁹³², which are shown as 0 anyway.

mod natural;

use std::fmt;

use natural::Natural;

/// Digits behind the point that are shown.
const DIGITS: usize = 17;
const ONE: u128 = 10_u128.pow(DIGITS as u32);
/// Bits of a mantissa.
const BITS: u32 = 64;
/// The exponent of the largest numbers: their value is below 2¹⁶³⁸⁴.
const MAX_EXPONENT: i32 = 16_384 - BITS as i32;
/// Decimal places between which a number's first digit can be: 2¹⁶³⁸⁴ is about 1.2 × 10⁴⁹³², 2⁻¹⁶⁴⁴⁵ about 3.6 × 10⁻⁴⁹⁵¹.
const PLACES: std::ops::RangeInclusive<i64> = -4_949..=4_933;
/// The longest text that is taken for a number (`MAX_LONG_DOUBLE_CHARS`, Redis `util.h`).
const MAX_TEXT: usize = 5 * 1024;

/// ± mantissa × 2 ^ exponent. The mantissa's highest bit is set unless it is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LongDouble {
    negative: bool,
    mantissa: u64,
    exponent: i32,
}

impl LongDouble {
    /// Parses `12`, `-1.5`, `.5`, `2.` and `3e-2`; none when it is no number, too large, or so small that it would be 0.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= MAX_TEXT {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let leading = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..leading);
        let power = exponent - fraction.len() as i64;
        if digits.is_empty() {
            return Some(Self { negative, mantissa: 0, exponent: 0 });
        }
        if !PLACES.contains(&(power + digits.len() as i64)) {
            return None;
        }
        let (mut above, mut below) = (Natural::from_digits(&digits), Natural::from(1));
        let scaled = if power < 0 { &mut below } else { &mut above };
        scaled.multiply_by_power_of_ten(power.unsigned_abs());
        // So that the quotient has two or three bits more than are kept.
        let shift = below.bits() as i32 + BITS as i32 + 2 - above.bits() as i32;
        let shifted = if shift < 0 { &mut below } else { &mut above };
        shifted.shift_left(shift.unsigned_abs());
        let (quotient, inexact) = above.divide(below);
        Self::round(negative, quotient, inexact, -shift)
    }

    /// The sum, unless it is too large.
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        if self.mantissa == 0 || other.mantissa == 0 {
            return Some(if self.mantissa == 0 { other } else { self });
        }
        let magnitude = |number: &Self| (number.exponent, number.mantissa);
        let (large, small) = if magnitude(&self) < magnitude(&other) { (other, self) } else { (self, other) };
        // Bits below the mantissas, for what is lost where they do not overlap.
        let below = BITS - 1;
        let distance = large.exponent.abs_diff(small.exponent);
        let (left, right) = (u128::from(large.mantissa) << below, u128::from(small.mantissa) << below);
        let kept = right.checked_shr(distance).unwrap_or(0);
        let inexact = kept.checked_shl(distance) != Some(right);
        let sum =
            if large.negative == small.negative { left + kept } else { left - kept - u128::from(inexact) };
        Self::round(large.negative, sum, inexact, large.exponent - below as i32)
    }

    /// The nearest number to `value` × 2 ^ `exponent`, and to a little more when that is `inexact`; of two the even one. None
    /// when it is too large.
    fn round(negative: bool, value: u128, inexact: bool, exponent: i32) -> Option<Self> {
        let bits = u128::BITS - value.leading_zeros();
        if bits == 0 {
            return Some(Self { negative: false, mantissa: 0, exponent: 0 });
        }
        let surplus = bits.saturating_sub(BITS);
        let mut mantissa = value >> surplus << (BITS - (bits - surplus));
        let mut exponent = exponent + bits as i32 - BITS as i32;
        let (rest, half) = (value & ((1 << surplus) - 1), (1 << surplus) >> 1);
        if surplus > 0 && (rest > half || rest == half && (inexact || mantissa & 1 == 1)) {
            mantissa += 1;
        }
        if mantissa >> BITS != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
        let mantissa = u64::try_from(mantissa).expect("a carry was shifted out");
        (exponent <= MAX_EXPONENT).then_some(Self { negative, mantissa, exponent })
    }
}

/// The digits after `e`. More than any number has count as that many.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let magnitude = i64::from(digits.parse::<u32>().unwrap_or(u32::MAX));
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

impl fmt::Display for LongDouble {
    /// `%.17Lf` without zeros at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let Ok(places) = u32::try_from(-self.exponent) else {
            let mut whole = Natural::from(self.mantissa);
            whole.shift_left(self.exponent.unsigned_abs());
            return write!(f, "{sign}{whole}");
        };
        let scaled = u128::from(self.mantissa) * ONE;
        let mut units = scaled.checked_shr(places).unwrap_or(0);
        if let Some(half) = 1_u128.checked_shl(places.wrapping_sub(1)) {
            let rest = scaled - (units << places.min(u128::BITS - 1));
            units += u128::from(rest > half || rest == half && units & 1 == 1);
        }
        let (whole, fraction) = (units / ONE, format!("{:0width$}", units % ONE, width = DIGITS));
        match fraction.trim_end_matches('0') {
            "" if whole == 0 => f.write_str("0"),
            "" => write!(f, "{sign}{whole}"),
            fraction => write!(f, "{sign}{whole}.{fraction}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LongDouble;

    fn sum(a: &str, b: &str) -> Option<String> {
        let (a, b) = (LongDouble::parse(a.as_bytes())?, LongDouble::parse(b.as_bytes())?);
        a.plus(b).map(|sum| sum.to_string())
    }

    /// As Redis 7.0.15 answers.
    #[test]
    fn sums_are_those_of_redis() {
        for (a, b, expected) in [
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3", "-3", "0"),
            ("-0.5", "0.25", "-0.25"),
            (".5", "2.", "2.5"),
            ("-0", "0", "0"),
            ("0", "1e-17", "0.00000000000000001"),
            ("0", "5e-18", "0"),
            ("0", "-4e-18", "0"),
            ("1", "1e-4940", "1"),
            ("1000000.1", "0.1", "1000000.20000000000004547"),
            ("1e18", "0.3", "1000000000000000000.3125"),
            ("1e19", "0.7", "10000000000000000001"),
            ("18446744073709551616", "1", "18446744073709551616"),
            ("18446744073709551617", "2", "18446744073709551618"),
            ("99999999999999999999", "-1", "100000000000000000000"),
            ("1e20", "-99999999999999999999", "0"),
            ("-1e21", "1e-3", "-1000000000000000000000"),
            ("79228162514264337593543950335", "-0.5", "79228162514264337593543950336"),
            ("123456789012345678901234567890", "1", "123456789012345678899921813504"),
            ("0.30000000000000001", "0.00000000000000001", "0.30000000000000002"),
        ] {
            assert_eq!(sum(a, b).as_deref(), Some(expected), "{a} {b}");
        }
        let large = sum("1.5e300", "-1.4999999999999999999e300").expect("a number");
        assert!(large.starts_with(
            "145216494968533502226373290834951226575318379068300240142165220636322329800820739"
        ));
        assert_eq!(large.len(), 282);
        let largest = sum("1e4932", "1").expect("a number");
        assert!(
            largest.starts_with(
                "10000000000000000000060189493879638913238377742545331147737850413525330194866087"
            )
        );
        assert!(largest.len() == 4_933 && largest.ends_with("63141086538418113791886622720"));
    }

    #[test]
    fn what_is_no_number_or_too_large_is_refused() {
        for bad in [
            "",
            "-",
            ".",
            "1 ",
            " 1",
            "1,5",
            "inf",
            "nan",
            "1e",
            "e1",
            "--1",
            "1e+-1",
            "1e4933",
            "1e-5000",
            "1e999999999",
            "1e99999999999999999999",
            "1e-2147483649",
            "é",
        ] {
            assert_eq!(LongDouble::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(LongDouble::parse(&[b'1'; 5 * 1024]), None);
        assert_eq!(sum("1.18e4932", "1.18e4932"), None);
    }

    proptest::proptest! {
        /// Sums of numbers with 32 bits have 64 at most and are exact.
        #[test]
        fn small_numbers_are_added_exactly(a in -0xFFFF_FFFF_i64..0xFFFF_FFFF, b in -0xFFFF_FFFF_i64..0xFFFF_FFFF) {
            proptest::prop_assert_eq!(sum(&a.to_string(), &b.to_string()), Some((a + b).to_string()));
        }

        #[test]
        fn any_text_is_taken_without_a_panic(text in "[-+]?[0-9]{0,30}[.]?[0-9]{0,30}([eE][-+]?[0-9]{1,5})?", other in "[0-9.]{1,9}") {
            if let (Some(a), Some(b)) = (LongDouble::parse(text.as_bytes()), LongDouble::parse(other.as_bytes())) {
                let _ = a.plus(b).map(|sum| sum.to_string());
            }
        }
    }
}
