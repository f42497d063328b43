//! Decimal numbers for INCRBYFLOAT and HINCRBYFLOAT.
//!
//! Redis adds in the 80-bit numbers of x86 and shows 17 digits behind the point (`ld2string`, Redis `util.c`). Here the sum
//! is exact to those 17 digits: the same where Redis is exact, without its noise in the last digits where it is not.
//! Deliberately absent: numbers of 10²⁰ and more, which are refused as not valid.

use std::fmt;

/// Digits behind the point.
const DIGITS: usize = 17;
const ONE: i128 = 10_i128.pow(DIGITS as u32);
/// Both summands are smaller, so a sum fits.
const BOUND: i128 = 10_i128.pow(20) * ONE;

/// A number with 17 digits behind the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal(i128);

impl Decimal {
    /// Parses `12`, `-1.5`, `.5`, `2.` and `3e-2`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut units = Units { sum: 0, place: i64::from(exponent) + whole.len() as i64, round: false };
        whole.bytes().chain(fraction.bytes()).try_for_each(|digit| units.take(digit))?;
        let magnitude = units.sum + i128::from(units.round);
        Some(Self(if negative { -magnitude } else { magnitude }))
    }

    /// The sum, unless it is too large.
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        Some(Self(self.0 + other.0)).filter(|sum| sum.0.abs() < BOUND)
    }
}

/// A number while its digits are read.
struct Units {
    /// What was read, in units of the last digit kept.
    sum: i128,
    /// How many digits before the point the next one is.
    place: i64,
    /// The first digit that is not kept was 5 or more.
    round: bool,
}

impl Units {
    fn take(&mut self, digit: u8) -> Option<()> {
        let value = i128::from(char::from(digit).to_digit(10)?);
        self.place -= 1;
        let power = self.place + DIGITS as i64;
        match u32::try_from(power) {
            Ok(power) if value > 0 => {
                self.sum += value.checked_mul(10_i128.checked_pow(power)?).filter(|part| *part < BOUND)?;
            }
            Ok(_) => {}
            Err(_) => self.round |= power == -1 && value >= 5,
        }
        (self.sum < BOUND).then_some(())
    }
}

impl fmt::Display for Decimal {
    /// Without zeros at the end, as Redis shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, fraction) = (self.0.abs() / ONE, self.0.abs() % ONE);
        let fraction = format!("{fraction:0width$}", width = DIGITS);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{sign}{whole}"),
            fraction => write!(f, "{sign}{whole}.{fraction}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    fn sum(a: &str, b: &str) -> Option<String> {
        let (a, b) = (Decimal::parse(a.as_bytes())?, Decimal::parse(b.as_bytes())?);
        a.plus(b).map(|sum| sum.to_string())
    }

    #[test]
    fn sums_are_those_of_redis() {
        for (a, b, expected) in [
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3", "-3", "0"),
            ("-0.5", "0.25", "-0.25"),
            (".5", "2.", "2.5"),
            ("0", "1e-17", "0.00000000000000001"),
            ("0", "5e-18", "0.00000000000000001"),
            ("0", "4e-18", "0"),
            ("99999999999999999999", "-1", "99999999999999999998"),
        ] {
            assert_eq!(sum(a, b).as_deref(), Some(expected), "{a} {b}");
        }
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
            "0x10",
            "inf",
            "nan",
            "1e",
            "1e20",
            "1e999999999",
            "--1",
            "1e+2147483648",
        ] {
            assert_eq!(Decimal::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(sum("99999999999999999999", "1"), None);
    }
}
