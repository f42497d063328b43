//! The holdings in one symbol, from its fills.

use rust_decimal::Decimal;

use super::{Price, Qty, Side};

/// Decimal places of an average price, as the exchange reports it.
const AVERAGE_SCALE: u32 = 8;

/// A net position (one-way mode).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Long when positive, short when negative.
    pub qty: Decimal,
    /// The average price of what is held; zero when nothing is.
    pub avg_price: Decimal,
}

impl Position {
    /// Adds a fill. What grows the position moves the average; what reduces it does not; what crosses zero starts anew.
    pub fn fill(&mut self, side: Side, qty: Qty, price: Price) {
        let signed = side.signed(qty);
        let after = self.qty + signed;
        if after.is_zero() {
            *self = Self::default();
            return;
        }
        let grows = self.qty.is_zero() || self.qty.is_sign_negative() == signed.is_sign_negative();
        if grows {
            let cost = self.avg_price * self.qty.abs() + price.get() * qty.get();
            self.avg_price = (cost / after.abs()).round_dp(AVERAGE_SCALE).normalize();
        } else if after.is_sign_negative() != self.qty.is_sign_negative() {
            self.avg_price = price.get();
        }
        self.qty = after.normalize();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(fills: &[(Side, &str, &str)]) -> (String, String) {
        let mut position = Position::default();
        for (side, qty, price) in fills {
            position.fill(*side, qty.parse().unwrap(), price.parse().unwrap());
        }
        (position.qty.to_string(), position.avg_price.to_string())
    }

    #[test]
    fn growing_averages_and_reducing_keeps_the_average() {
        let bought = [(Side::Buy, "1", "100"), (Side::Buy, "3", "104")];
        assert_eq!(position(&bought), ("4".into(), "103".into()));
        let reduced = [bought[0], bought[1], (Side::Sell, "1", "500")];
        assert_eq!(position(&reduced), ("3".into(), "103".into()));
    }

    #[test]
    fn crossing_zero_starts_a_position_at_the_new_price() {
        assert_eq!(position(&[(Side::Buy, "1", "100"), (Side::Sell, "3", "90")]), ("-2".into(), "90".into()));
        assert_eq!(position(&[(Side::Sell, "2", "90"), (Side::Buy, "2", "80")]), ("0".into(), "0".into()));
    }

    proptest! {
        #[test]
        fn the_quantity_is_the_signed_sum_and_the_average_lies_between_the_prices(
            fills in prop::collection::vec((any::<bool>(), 1..1000_u32, 1..1000_u32), 1..50),
        ) {
            let mut position = Position::default();
            let mut sum = Decimal::ZERO;
            for &(buys, qty, price) in &fills {
                let (side, sign) = if buys { (Side::Buy, 1) } else { (Side::Sell, -1) };
                position.fill(side, Qty::new(qty.into()).unwrap(), Price::new(price.into()).unwrap());
                sum += Decimal::from(qty) * Decimal::from(sign);
            }
            prop_assert_eq!(position.qty, sum);
            if sum.is_zero() {
                prop_assert!(position.avg_price.is_zero());
            } else {
                let prices = fills.iter().map(|&(_, _, price)| Decimal::from(price));
                let (least, greatest) = (prices.clone().min().unwrap(), prices.max().unwrap());
                prop_assert!((least..=greatest).contains(&position.avg_price));
            }
        }
    }
}
