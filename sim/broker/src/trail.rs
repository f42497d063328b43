//! Trailing stops: orders whose stop price follows the market as long as it moves in favour of their owner ("New Order",
//! "Condition orders will be triggered when …", `TRAILING_STOP_MARKET`).

use rust_decimal::Decimal;

use crate::order::Side;

/// How a trailing stop follows the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trail {
    /// The price that the market must have reached before the stop counts, in USDT. Zero in a request that leaves it open:
    /// then it is the latest price.
    pub activation_price: Decimal,
    /// How far the price must come back, in per cent of the best price since the order was placed.
    pub callback_rate: Decimal,
}

/// A trailing stop on its way: sees every price since it was placed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trailing {
    side: Side,
    trail: Trail,
    /// The lowest price so far for who will buy, the highest for who will sell.
    best: Decimal,
}

impl Trailing {
    /// A stop that is placed when the price that it watches is `price`.
    pub fn new(side: Side, trail: Trail, price: Decimal) -> Self {
        Self { side, trail, best: price }
    }

    /// Sees the next price and says whether it triggers the order.
    pub fn follow(&mut self, price: Decimal) -> bool {
        let Trail { activation_price, callback_rate } = self.trail;
        let callback = callback_rate / Decimal::ONE_HUNDRED;
        match self.side {
            Side::Buy => {
                self.best = self.best.min(price);
                self.best <= activation_price && price >= self.best * (Decimal::ONE + callback)
            }
            Side::Sell => {
                self.best = self.best.max(price);
                self.best >= activation_price && price <= self.best * (Decimal::ONE - callback)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    /// At which of `prices` a stop is triggered that is placed at the first.
    fn triggered_at(side: Side, activation: &str, rate: &str, prices: &[&str]) -> Option<usize> {
        let trail = Trail { activation_price: dec(activation), callback_rate: dec(rate) };
        let mut stop = Trailing::new(side, trail, dec(prices[0]));
        prices.iter().position(|price| stop.follow(dec(price)))
    }

    #[test]
    fn a_stop_follows_the_best_price_and_is_triggered_when_the_price_comes_back() {
        let prices = ["100", "110", "109", "120", "118.9", "118.8", "90"];
        assert_eq!(triggered_at(Side::Sell, "100", "1", &prices), Some(5), "one per cent below 120");
        let prices = ["100", "90", "90.8", "80", "80.7", "80.8"];
        assert_eq!(triggered_at(Side::Buy, "100", "1", &prices), Some(5), "one per cent above 80");
    }

    #[test]
    fn a_stop_does_not_count_before_its_activation_price_was_reached() {
        let prices = ["100", "104", "90", "105", "103.9"];
        assert_eq!(triggered_at(Side::Sell, "105", "1", &prices), Some(4), "not at 90");
        assert_eq!(triggered_at(Side::Sell, "106", "1", &prices), None);
    }

    proptest! {
        #[test]
        fn a_stop_is_triggered_by_the_first_price_that_the_documentation_names(
            buys: bool,
            steps in prop::collection::vec(-60..60_i64, 1..80),
            activation in -200..200_i64,
            tenths in 1..=100_i64,
        ) {
            let price = |ticks: i64| Decimal::new(10_000 + ticks, 1);
            let prices: Vec<Decimal> = steps
                .iter()
                .scan(0, |sum, step| {
                    *sum += step;
                    Some(price(*sum))
                })
                .collect();
            let (side, activation_price, callback_rate) =
                (if buys { Side::Buy } else { Side::Sell }, price(activation), Decimal::new(tenths, 1));
            // Word for word, and looking back at all prices each time.
            let names = |n: usize| {
                let (lowest, highest) = (*prices[..=n].iter().min().unwrap(), *prices[..=n].iter().max().unwrap());
                if buys {
                    lowest <= activation_price
                        && prices[n] >= lowest * (Decimal::ONE + callback_rate / Decimal::ONE_HUNDRED)
                } else {
                    highest >= activation_price
                        && prices[n] <= highest * (Decimal::ONE - callback_rate / Decimal::ONE_HUNDRED)
                }
            };
            let mut stop = Trailing::new(side, Trail { activation_price, callback_rate }, prices[0]);
            prop_assert_eq!(
                prices.iter().position(|price| stop.follow(*price)),
                (0..prices.len()).find(|n| names(*n))
            );
        }
    }
}
