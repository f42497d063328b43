//! The rule of `ares`: when the market enters and leaves.
//!
//! It depends on the numbered trades alone: whoever replays them gets the same calls, also when the replay starts later.

use std::collections::VecDeque;

use env::WallTime;
use rust_decimal::Decimal;

use super::{Price, Qty, Side};

/// One trade of the market, as the exchange aggregates them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketTrade {
    /// Contiguous per symbol.
    pub id: u64,
    /// What was paid.
    pub price: Price,
    /// How much changed hands.
    pub qty: Qty,
    /// When, by the exchange's clock.
    pub time: WallTime,
    /// Whether the buyer's order rested in the book.
    pub buyer_is_maker: bool,
}

/// The parameters of the rule. Counts are trades of the symbol.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Every trade whose id is a multiple of this one may enter.
    pub cadence: u64,
    /// An entry needs a price not below the one this many trades ago.
    pub lookback: usize,
    /// An exit follows its entry after this many trades; without this figure others see to the exits.
    pub hold: Option<u64>,
    /// How much an entry buys.
    pub qty: Qty,
}

impl Default for Rule {
    /// At 4 trades per second: a chance to enter each 12 s, taken when the price has not fallen for 5 s, and out after 10 s.
    /// 0.003 BTC are worth the exchange's least notional of 100 USDT from a price of 33,334 USDT on.
    fn default() -> Self {
        let qty = Qty::new(Decimal::new(3, 3)).expect("0.003 is a quantity");
        Self { cadence: 48, lookback: 20, hold: Some(40), qty }
    }
}

/// What the rule wants at a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The direction.
    pub side: Side,
    /// Whether it only reduces.
    pub reduce_only: bool,
}

/// The rule applied to one symbol.
#[derive(Clone, Debug)]
pub struct Strategy {
    rule: Rule,
    newest: Option<u64>,
    /// The prices of the last `lookback` trades, without holes, oldest first.
    window: VecDeque<Price>,
    /// The trade id at which the open entry ends.
    exit_at: Option<u64>,
}

impl Strategy {
    /// A rule that has seen nothing.
    pub fn new(rule: Rule) -> Self {
        Self { rule, newest: None, window: VecDeque::with_capacity(rule.lookback), exit_at: None }
    }

    /// Takes note of a trade; repeated and older ones are ignored.
    pub fn observe(&mut self, trade: &MarketTrade) -> Option<Call> {
        if self.newest.is_some_and(|newest| trade.id <= newest) {
            return None;
        }
        if self.newest.is_some_and(|newest| trade.id != newest + 1) {
            self.window.clear();
        }
        self.newest = Some(trade.id);
        let call = self.call(trade);
        if self.window.len() == self.rule.lookback {
            self.window.pop_front();
        }
        self.window.push_back(trade.price);
        call
    }

    fn call(&mut self, trade: &MarketTrade) -> Option<Call> {
        match self.exit_at {
            Some(due) if trade.id >= due => {
                self.exit_at = None;
                Some(Call { side: Side::Sell, reduce_only: true })
            }
            Some(_) => None,
            None => {
                let full = self.window.len() == self.rule.lookback;
                let rising = full && self.window.front().is_some_and(|past| trade.price >= *past);
                (rising && trade.id.is_multiple_of(self.rule.cadence)).then(|| {
                    self.exit_at = self.rule.hold.map(|hold| trade.id.saturating_add(hold));
                    Call { side: Side::Buy, reduce_only: false }
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    const RULE: Rule = Rule { cadence: 10, lookback: 4, hold: Some(6), qty: Qty::ZERO };

    fn trade(id: u64, price: u32) -> MarketTrade {
        MarketTrade {
            id,
            price: Price::new(price.into()).unwrap(),
            qty: "1".parse().unwrap(),
            time: WallTime::from_millis(0),
            buyer_is_maker: false,
        }
    }

    fn calls(strategy: &mut Strategy, trades: impl IntoIterator<Item = (u64, u32)>) -> Vec<(u64, Side)> {
        trades
            .into_iter()
            .filter_map(|(id, price)| strategy.observe(&trade(id, price)).map(|call| (id, call.side)))
            .collect()
    }

    #[test]
    fn a_rising_market_is_bought_at_the_cadence_and_sold_after_the_hold() {
        let seen = calls(&mut Strategy::new(RULE), (1..=30).map(|id| (id, 100)));
        assert_eq!(
            seen,
            [(10, Side::Buy), (16, Side::Sell), (20, Side::Buy), (26, Side::Sell), (30, Side::Buy)]
        );
    }

    #[test]
    fn a_falling_market_is_not_bought() {
        assert_eq!(calls(&mut Strategy::new(RULE), (1..=30).map(|id| (id, 1000 - id as u32))), []);
    }

    #[test]
    fn a_hole_in_the_trades_delays_the_entry_but_not_the_exit() {
        let mut strategy = Strategy::new(RULE);
        assert_eq!(calls(&mut strategy, (5..=12).map(|id| (id, 100))), [(10, Side::Buy)]);
        assert_eq!(calls(&mut strategy, [(18, 100)]), [(18, Side::Sell)]);
        assert_eq!(calls(&mut strategy, [(19, 100), (20, 100)]), [], "the window has a hole");
    }

    #[test]
    fn without_a_hold_there_are_entries_only() {
        let rule = Rule { hold: None, ..RULE };
        let seen = calls(&mut Strategy::new(rule), (1..=30).map(|id| (id, 100)));
        assert_eq!(seen, [(10, Side::Buy), (20, Side::Buy), (30, Side::Buy)]);
    }

    #[test]
    fn repeated_trades_change_nothing() {
        let mut strategy = Strategy::new(RULE);
        assert_eq!(calls(&mut strategy, (1..=10).map(|id| (id, 100))), [(10, Side::Buy)]);
        assert_eq!(calls(&mut strategy, (1..=10).map(|id| (id, 100))), []);
    }

    proptest! {
        #[test]
        fn calls_alternate_between_entry_and_exit(prices in prop::collection::vec(1..5_u32, 1..300)) {
            let seen = calls(&mut Strategy::new(RULE), prices.into_iter().enumerate().map(|(id, price)| (id as u64, price)));
            for (index, (id, side)) in seen.iter().enumerate() {
                prop_assert_eq!(*side, if index % 2 == 0 { Side::Buy } else { Side::Sell });
                prop_assert!(*side == Side::Sell || id % RULE.cadence == 0);
            }
        }
    }
}
