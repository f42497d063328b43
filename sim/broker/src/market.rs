//! One symbol's market: its tape, its latest prices and trades, the market maker, and the customers' orders and fills.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use env::WallTime;
use rust_decimal::Decimal;

use crate::{
    book::Book,
    candles::Candles,
    config::SymbolConfig,
    depth::{Level, Maker},
    differences::Differences,
    journal::Fill,
    order::{Side, WorkingType},
    tape::{AggTrade, Cursor, SingleTrade, Tape, hash, mix, singles},
    triggers::Triggers,
};

/// How many market trades can be asked for afterwards.
const HISTORY: usize = 20_000;
const FUNDING_MS: i64 = 8 * 60 * 60 * 1_000;
/// Of the distance between mark price and latest price, each trade closes this share.
const MARK_WEIGHT: Decimal = Decimal::from_parts(1, 0, 0, false, 1);

pub(crate) struct Market {
    pub rules: SymbolConfig,
    pub symbol: Arc<str>,
    pub cursor: Cursor,
    pub book: Book,
    pub triggers: Triggers,
    pub maker: Maker,
    pub candles: Candles,
    /// Oldest first, at most [`HISTORY`], ids contiguous.
    pub history: VecDeque<AggTrade>,
    /// The customers' trades with their accounts, ids contiguous from 1.
    pub fills: Vec<(usize, Fill)>,
    /// Grows with every change of the order book.
    pub version: u64,
    /// What the listeners of each stream of differences know of the order book, by the stream's name.
    pub differences: BTreeMap<Arc<str>, Differences>,
    last: Decimal,
    mark: Decimal,
}

impl Market {
    pub fn new(rules: SymbolConfig) -> Self {
        let last = match &rules.tape {
            Tape::Synthetic(walk) => walk.start_price,
            Tape::Trades(trades) | Tape::Once(trades) => {
                trades.first().map_or(rules.tick_size, |first| first.price)
            }
        };
        let mut maker = Maker::new(&rules);
        maker.follow(last, true, 0);
        Self {
            symbol: rules.symbol.as_str().into(),
            cursor: Cursor::new(&rules, 0),
            book: Book::default(),
            triggers: Triggers::default(),
            maker,
            candles: Candles::default(),
            history: VecDeque::new(),
            fills: Vec::new(),
            version: 0,
            differences: BTreeMap::new(),
            last,
            mark: last,
            rules,
        }
    }

    /// Chooses the price path and the market maker's quantities.
    pub fn seed(&mut self, seed: u64) {
        self.cursor = Cursor::new(&self.rules, seed);
        self.maker.seed(mix(seed) ^ hash(&self.symbol));
    }

    /// The latest trade's price.
    pub fn last(&self) -> Decimal {
        self.last
    }

    /// What positions are valued at: follows the latest price with a delay, so that a single trade liquidates nobody. The
    /// venue takes it from an index of other markets ("Mark Price"), of which there are none here.
    pub fn mark(&self) -> Decimal {
        self.mark
    }

    /// The price that conditional orders of this kind watch.
    pub fn watched(&self, working_type: WorkingType) -> Decimal {
        match working_type {
            WorkingType::Contract => self.last,
            WorkingType::Mark => self.mark,
        }
    }

    /// When the venue would next exchange funding, which it does every eight hours, in milliseconds since the epoch.
    pub fn next_funding(&self, now: i64) -> i64 {
        now - now.rem_euclid(FUNDING_MS) + FUNDING_MS
    }

    /// When the latest trade happened, in milliseconds since the epoch; 0 before the first.
    pub fn time(&self) -> i64 {
        self.history.back().map_or(0, |trade| trade.time)
    }

    /// The market maker's levels on its `side`, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.maker.levels(side, self.book.best(side.opposite()))
    }

    /// Plays the next trade of the tape.
    pub fn advance(&mut self, now: WallTime) -> Option<AggTrade> {
        let trade = self.cursor.pop(now)?;
        self.last = trade.price;
        self.mark += ((self.last - self.mark) * MARK_WEIGHT).round_dp(8);
        self.maker.follow(trade.price, trade.is_buyer_maker, trade.id);
        self.version += 1;
        self.candles.add(&trade);
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(trade.clone());
        Some(trade)
    }

    /// At most `limit` trades from id `from` on, or the latest ones.
    pub fn trades(&self, from: Option<u64>, limit: usize) -> impl Iterator<Item = &AggTrade> {
        let oldest = self.history.front().map_or(0, |trade| trade.id);
        let start = match from {
            Some(id) => usize::try_from(id.saturating_sub(oldest)).unwrap_or(usize::MAX),
            None => self.history.len().saturating_sub(limit),
        };
        self.history.iter().skip(start).take(limit)
    }

    /// At most `limit` single trades from id `from` on, or the latest ones; oldest first.
    pub fn single_trades(&self, from: Option<u64>, limit: usize) -> Vec<SingleTrade> {
        let lot = self.rules.step_size;
        if let Some(from) = from {
            let start = self.history.partition_point(|trade| trade.last_trade_id < from);
            let trades = self.history.range(start..);
            return trades.flat_map(|trade| singles(trade, from, lot)).take(limit).collect();
        }
        let latest = self.history.iter().rev().flat_map(|trade| singles(trade, 0, lot).rev());
        let mut trades: Vec<_> = latest.take(limit).collect();
        trades.reverse();
        trades
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_trades_can_be_asked_for_by_id_or_by_number() {
        let mut market = Market::new(SymbolConfig::default());
        for n in 0..HISTORY as i64 + 10 {
            market.advance(WallTime::from_millis(n)).expect("a synthetic tape has no end");
        }
        let ids = |from, limit| market.trades(from, limit).map(|trade| trade.id).collect::<Vec<_>>();
        assert_eq!(ids(Some(15), 3), [15, 16, 17]);
        assert_eq!(ids(None, 2), [20_009, 20_010]);
        assert_eq!(ids(Some(1), 1), [11]);
        assert_eq!(ids(Some(u64::MAX), 5), [] as [u64; 0]);
    }

    #[test]
    fn single_trades_can_be_asked_for_by_id_or_by_number() {
        let mut market = Market::new(SymbolConfig::default());
        for n in 0..100 {
            market.advance(WallTime::from_millis(n)).expect("a synthetic tape has no end");
        }
        let all = market.single_trades(Some(0), usize::MAX);
        let last = market.history.back().map(|trade| trade.last_trade_id);
        assert_eq!(all.last().map(|trade| trade.id), last);
        assert!(all.windows(2).all(|pair| pair[0].id + 1 == pair[1].id));
        assert_eq!(market.single_trades(None, 7), all[all.len() - 7..]);
        assert_eq!(market.single_trades(Some(all[40].id), 3), all[40..43]);
        assert_eq!(market.single_trades(Some(u64::MAX), 3), []);
    }

    #[test]
    fn the_mark_price_follows_the_latest_price_without_passing_it() {
        let mut market = Market::new(SymbolConfig::default());
        for n in 0..1_000 {
            let before = market.mark();
            market.advance(WallTime::from_millis(n)).expect("a synthetic tape has no end");
            let (low, high) = (before.min(market.last()), before.max(market.last()));
            assert!((low..=high).contains(&market.mark()));
        }
        assert_ne!(market.mark(), market.last());
    }
}
