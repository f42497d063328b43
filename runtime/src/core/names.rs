//! Names: symbols, sides and the identifiers of intents and orders.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use rust_decimal::Decimal;

use super::Qty;

/// The longest client order id. Source: Binance USD-M futures API, "New Order", `newClientOrderId`
/// (`^[\.A-Z\:/a-z0-9_-]{1,36}$`).
const CLIENT_ORDER_ID_MAX: usize = 36;

/// Marks the orders of this system among those that the account's owner places by hand.
const CLIENT_ORDER_ID_PREFIX: &str = "tw-";

/// The longest symbol that is accepted; quarterly contracts such as `BTCUSDT_251226` are among the exchange's longest.
const SYMBOL_MAX: usize = 20;

/// Why a text is not the name it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct NameError {
    text: String,
    expected: &'static str,
}

/// A traded instrument, e.g. `BTCUSDT`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(Arc<str>);

impl Symbol {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Symbol {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Symbol {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        checked(text, SYMBOL_MAX, allowed, "a symbol").map(Self)
    }
}

/// The direction of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Adds to a long position or reduces a short one.
    Buy,
    /// Adds to a short position or reduces a long one.
    Sell,
}

impl Side {
    /// The exchange's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "BUY",
            Self::Sell => "SELL",
        }
    }

    /// What a trade of `qty` adds to a position.
    pub fn signed(self, qty: Qty) -> Decimal {
        match self {
            Self::Buy => qty.get(),
            Self::Sell => -qty.get(),
        }
    }
}

impl FromStr for Side {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "BUY" => Ok(Self::Buy),
            "SELL" => Ok(Self::Sell),
            _ => Err(NameError { text: text.into(), expected: "a side" }),
        }
    }
}

/// Identifies one decision to trade; equal for every delivery of the same signal. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntentId(Arc<str>);

impl FromStr for IntentId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let max = CLIENT_ORDER_ID_MAX - CLIENT_ORDER_ID_PREFIX.len();
        checked(text, max, allowed_in_order_ids, "an intent id").map(Self)
    }
}

/// The exchange's name for an order, chosen by us. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientOrderId(Arc<str>);

impl ClientOrderId {
    /// The order of an intent: always the same one, so that no repetition can become a second order.
    pub fn of(intent: &IntentId) -> Self {
        Self(format!("{CLIENT_ORDER_ID_PREFIX}{intent}").into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientOrderId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        checked(text, CLIENT_ORDER_ID_MAX, allowed_in_order_ids, "a client order id").map(Self)
    }
}

fn allowed_in_order_ids(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".:/_-".contains(&byte)
}

pub(super) fn checked(
    text: &str,
    max: usize,
    allowed: impl Fn(u8) -> bool,
    expected: &'static str,
) -> Result<Arc<str>, NameError> {
    if (1..=max).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.into())
    } else {
        Err(NameError { text: text.into(), expected })
    }
}

macro_rules! display {
    ($($type:ident),+) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}
display!(Symbol, IntentId, ClientOrderId);

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

super::as_text!(Symbol, Side, IntentId, ClientOrderId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_an_intent_has_a_name_that_the_exchange_accepts() {
        let longest: IntentId = "A".repeat(33).parse().unwrap();
        let id = ClientOrderId::of(&longest);
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_eq!(id.as_str().len(), 36);
    }

    #[test]
    fn names_outside_their_alphabet_or_length_are_refused() {
        for text in ["", "btcusdt", "BTC USDT", "BTCUSDT&side=SELL", "AAAAAAAAAAAAAAAAAAAAA"] {
            assert!(text.parse::<Symbol>().is_err(), "{text:?} was taken for a symbol");
        }
        for text in ["", "a b", "é", &"A".repeat(34)] {
            assert!(text.parse::<IntentId>().is_err(), "{text:?} was taken for an intent id");
        }
        assert!("buy".parse::<Side>().is_err());
    }
}
