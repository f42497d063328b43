//! The market maker: how much of the market's own liquidity there is at each price.
//!
//! A level's quantity is a function of the market's seed, its side, its price and the age of the market, so that nothing is
//! computed or kept until somebody asks or trades. Only what customers have taken since the latest trade is remembered: the
//! market maker refills with each trade of the tape.
//!
//! Deliberately absent: reactions to customers beyond that. The maker never quotes through a customer's resting order.

use std::collections::BTreeMap;

use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::{config::SymbolConfig, order::Side, tape::mix};

/// A level keeps its quantity for this many trades of the tape.
const TRADES_PER_EPOCH: u64 = 8;

/// The market's own liquidity in one symbol.
#[derive(Debug)]
pub(crate) struct Maker {
    seed: u64,
    tick: Decimal,
    step: Decimal,
    /// The smallest level, in lots.
    least: u64,
    /// The largest level, in lots.
    most: u64,
    /// Levels on either side.
    levels: i64,
    /// Number of the epoch.
    epoch: u64,
    /// The latest trade's price in USDT, and whether its taker sold: then it is the best bid, otherwise the best ask.
    last: Decimal,
    is_bid: bool,
    /// Lots that customers have taken since the latest trade, by side of the maker and ticks.
    taken: BTreeMap<(Side, i64), u64>,
}

/// A price with what is offered there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    /// In ticks.
    pub ticks: i64,
    /// In USDT.
    pub price: Decimal,
    /// In units of the base asset; above zero.
    pub quantity: Decimal,
}

impl Maker {
    pub fn new(rules: &SymbolConfig) -> Self {
        let lots = |quantity: Decimal| (quantity / rules.step_size).trunc().to_u64().unwrap_or(0).max(1);
        let (least, most) = (lots(rules.liquidity.least), lots(rules.liquidity.most));
        Self {
            seed: 0,
            tick: rules.tick_size,
            step: rules.step_size,
            least,
            most: most.max(least),
            levels: i64::from(rules.liquidity.levels),
            epoch: 0,
            last: Decimal::ZERO,
            is_bid: true,
            taken: BTreeMap::new(),
        }
    }

    /// Chooses the quantities of all levels.
    pub fn seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// Moves with the market: the latest price, whether it is the best bid, and how many trades there have been.
    pub fn follow(&mut self, last: Decimal, is_bid: bool, trades: u64) {
        (self.last, self.is_bid, self.epoch) = (last, is_bid, trades / TRADES_PER_EPOCH);
        if !self.taken.is_empty() {
            self.taken.clear();
        }
    }

    /// The maker's best level on `side`, in ticks; a tape's price may lie between two ticks.
    fn touch(&self, side: Side) -> i64 {
        let below = self.ticks(self.last).max(1);
        let above = below + i64::from(self.price(below) != self.last);
        let bid = if self.is_bid { below } else { (above - 1).max(1) };
        match side {
            Side::Buy => bid,
            Side::Sell => above.max(bid + 1),
        }
    }

    /// `price` in whole ticks, rounded down.
    pub fn ticks(&self, price: Decimal) -> i64 {
        (price / self.tick).floor().to_i64().unwrap_or(i64::MAX / 4)
    }

    /// The price of `ticks`.
    pub fn price(&self, ticks: i64) -> Decimal {
        Decimal::from(ticks) * self.tick
    }

    /// The maker's levels on its `side`, best first. `wall` is the best resting order of a customer on the other side, which
    /// the maker does not quote through.
    pub fn levels(&self, side: Side, wall: Option<Decimal>) -> impl Iterator<Item = Level> + '_ {
        let (touch, wall) = (self.touch(side), wall.map(|price| self.ticks(price)));
        let (best, worse) = match side {
            Side::Buy => (wall.map_or(touch, |wall| touch.min(wall - 1)), -1),
            Side::Sell => (wall.map_or(touch, |wall| touch.max(wall + 1)), 1),
        };
        (0..self.levels)
            .map(move |n| best + n * worse)
            .take_while(|ticks| *ticks > 0)
            .filter_map(move |ticks| self.level(side, ticks))
    }

    /// What is left at one price; none when that is nothing.
    fn level(&self, side: Side, ticks: i64) -> Option<Level> {
        let taken = self.taken.get(&(side, ticks)).copied().unwrap_or(0);
        let lots = self.lots(side, ticks).checked_sub(taken).filter(|lots| *lots > 0)?;
        Some(Level { ticks, price: self.price(ticks), quantity: Decimal::from(lots) * self.step })
    }

    /// What the maker has at a price, whether or not it is among its levels now.
    pub fn queue(&self, side: Side, price: Decimal) -> Decimal {
        self.level(side, self.ticks(price)).map_or(Decimal::ZERO, |level| level.quantity)
    }

    /// A customer has taken `quantity` from the level at `ticks`.
    pub fn take(&mut self, side: Side, ticks: i64, quantity: Decimal) {
        let lots = (quantity / self.step).ceil().to_u64().unwrap_or(u64::MAX);
        let taken = self.taken.entry((side, ticks)).or_default();
        *taken = taken.saturating_add(lots);
    }

    /// The whole quantity of a level, in lots: as many levels between 1 and 2 lots as between 1,000 and 2,000.
    fn lots(&self, side: Side, ticks: i64) -> u64 {
        let key =
            self.seed ^ mix(ticks.unsigned_abs() << 1 | u64::from(side == Side::Sell)) ^ mix(!self.epoch);
        let bits = mix(key);
        let octaves = u64::from((self.most / self.least).ilog2()) + 1;
        let octave = self.least << (bits % octaves);
        (octave + (bits >> 8) % octave).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Liquidity;

    fn dec(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    fn maker(seed: u64) -> Maker {
        let mut maker = Maker::new(&SymbolConfig::default());
        maker.seed(seed);
        maker.follow(dec("42000.0"), true, 1);
        maker
    }

    #[test]
    fn what_is_taken_is_gone_until_the_next_trade() {
        let mut maker = maker(1);
        let first = maker.levels(Side::Sell, None).next().expect("a level");
        assert_eq!(first.price, dec("42000.1"));
        maker.take(Side::Sell, first.ticks, first.quantity);
        let next = maker.levels(Side::Sell, None).next().expect("a level");
        assert_eq!(next.price, dec("42000.2"));
        maker.follow(dec("42000.0"), true, 2);
        assert_eq!(maker.levels(Side::Sell, None).next(), Some(first));
    }

    #[test]
    fn the_maker_steps_back_from_a_customers_order_that_it_would_cross() {
        let maker = maker(1);
        let best = |side, wall: &str| maker.levels(side, Some(dec(wall))).next().map(|level| level.price);
        assert_eq!(best(Side::Sell, "42000.5"), Some(dec("42000.6")));
        assert_eq!(best(Side::Sell, "41999.0"), Some(dec("42000.1")));
        assert_eq!(best(Side::Buy, "41999.5"), Some(dec("41999.4")));
    }

    #[test]
    fn the_latest_price_is_the_bid_or_the_ask_and_one_between_two_ticks_is_neither() {
        let mut maker = maker(1);
        let mut touch = |price: &str, is_bid| {
            maker.follow(dec(price), is_bid, 1);
            [Side::Buy, Side::Sell]
                .map(|side| maker.levels(side, None).next().map(|level| level.price.normalize()))
        };
        assert_eq!(touch("42000.5", true), [Some(dec("42000.5")), Some(dec("42000.6"))]);
        assert_eq!(touch("42000.5", false), [Some(dec("42000.4")), Some(dec("42000.5"))]);
        for is_bid in [true, false] {
            assert_eq!(touch("42000.55", is_bid), [Some(dec("42000.5")), Some(dec("42000.6"))]);
        }
    }

    #[test]
    fn prices_above_zero_have_an_end() {
        let mut maker = maker(1);
        maker.follow(dec("0.3"), true, 1);
        let bids: Vec<_> = maker.levels(Side::Buy, None).map(|level| level.price).collect();
        assert_eq!(bids, [dec("0.3"), dec("0.2"), dec("0.1")]);
    }

    proptest! {
        #[test]
        fn levels_keep_their_bounds_and_follow_from_the_seed(seed: u64, trades in 0..1_000_u64) {
            let liquidity = Liquidity { least: dec("0.003"), most: dec("5"), levels: 50 };
            let rules = SymbolConfig { liquidity, ..SymbolConfig::default() };
            let [one, other] = [(); 2].map(|()| {
                let mut maker = Maker::new(&rules);
                maker.seed(seed);
                maker.follow(dec("42000.0"), true, trades);
                maker.levels(Side::Buy, None).collect::<Vec<_>>()
            });
            prop_assert_eq!(&one, &other);
            prop_assert_eq!(one.len(), 50);
            for level in one {
                prop_assert!(level.quantity >= dec("0.003") && level.quantity <= dec("5"));
            }
        }
    }
}
