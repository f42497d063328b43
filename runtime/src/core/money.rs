//! Quantities and prices: exact, bounded decimals, so that no sum or product of them can overflow.

use std::{fmt, str::FromStr};

use rust_decimal::Decimal;

/// The greatest quantity or price: far above any instrument, and small enough that ten thousand products of a quantity and
/// a price add up below the range of [`Decimal`] (7.9 × 10²⁸).
const LIMIT: Decimal = Decimal::from_parts(0xD4A5_1000, 0xE8, 0, false, 0);

/// The finest resolution; the exchange quotes at most 8 decimal places.
const MAX_SCALE: u32 = 12;

/// Why a text or number is no quantity or price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a decimal number.
    #[error("{0:?} is not a decimal number")]
    NotDecimal(String),
    /// Negative, zero where that makes no sense, too great or too fine.
    #[error("{0} is out of range")]
    OutOfRange(Decimal),
}

/// An amount of the base asset, zero or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Qty(Decimal);

impl Qty {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// From a decimal.
    ///
    /// # Errors
    /// Negative, above 10¹², or finer than 12 decimal places.
    pub fn new(value: Decimal) -> Result<Self, MoneyError> {
        bounded(value, value >= Decimal::ZERO).map(Self)
    }

    /// The number.
    pub const fn get(self) -> Decimal {
        self.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl std::iter::Sum for Qty {
    fn sum<I: Iterator<Item = Self>>(quantities: I) -> Self {
        Self(quantities.map(|qty| qty.0).sum())
    }
}

/// An amount of the quote asset for one unit of the base asset, more than zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(Decimal);

impl Price {
    /// From a decimal.
    ///
    /// # Errors
    /// Not positive, above 10¹², or finer than 12 decimal places.
    pub fn new(value: Decimal) -> Result<Self, MoneyError> {
        bounded(value, value > Decimal::ZERO).map(Self)
    }

    /// The number.
    pub const fn get(self) -> Decimal {
        self.0
    }
}

fn bounded(value: Decimal, sign_is_right: bool) -> Result<Decimal, MoneyError> {
    let value = value.normalize();
    if sign_is_right && value <= LIMIT && value.scale() <= MAX_SCALE {
        Ok(value)
    } else {
        Err(MoneyError::OutOfRange(value))
    }
}

macro_rules! text {
    ($($type:ident),+) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $type {
            type Err = MoneyError;

            fn from_str(text: &str) -> Result<Self, MoneyError> {
                Self::new(Decimal::from_str_exact(text).map_err(|_| MoneyError::NotDecimal(text.into()))?)
            }
        }
    )+};
}
text!(Qty, Price);
super::as_text!(Qty, Price);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_and_prices_are_shown_without_trailing_zeros() {
        assert_eq!("0.00200000".parse::<Qty>().unwrap().to_string(), "0.002");
        assert_eq!("65000.10".parse::<Price>().unwrap().to_string(), "65000.1");
    }

    #[test]
    fn the_limit_itself_is_the_greatest_value() {
        assert_eq!(LIMIT, Decimal::from(10_u64.pow(12)));
        assert!("1000000000000".parse::<Price>().is_ok());
        assert!("1000000000000.1".parse::<Price>().is_err());
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "x", "1e5", "-1", "0.0000000000001", "99999999999999999999999999999999"] {
            assert!(text.parse::<Qty>().is_err(), "{text:?} was taken for a quantity");
        }
        assert!("0".parse::<Qty>().is_ok());
        assert!("0".parse::<Price>().is_err());
    }
}
