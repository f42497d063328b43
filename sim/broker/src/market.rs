//! One symbol's market: its tape, its latest prices and trades, and the customers' resting orders and fills.

use std::{collections::VecDeque, sync::Arc};

use env::WallTime;
use rust_decimal::Decimal;

use crate::{
    config::SymbolConfig,
    journal::Fill,
    matching::{Book, Quote},
    tape::{AggTrade, Cursor, Tape},
};

/// How many market trades can be asked for afterwards.
const HISTORY: usize = 20_000;

pub(crate) struct Market {
    pub rules: SymbolConfig,
    pub symbol: Arc<str>,
    pub cursor: Cursor,
    pub book: Book,
    /// Oldest first, at most [`HISTORY`], ids contiguous.
    pub history: VecDeque<AggTrade>,
    /// The customers' trades with their accounts, ids contiguous from 1.
    pub fills: Vec<(usize, Fill)>,
    pub ticker: Ticker,
    last: Decimal,
}

/// The best prices around the latest trade ("Individual Symbol Book Ticker Streams").
#[derive(Clone, Debug)]
pub(crate) struct Ticker {
    pub update_id: u64,
    pub bid: Decimal,
    pub ask: Decimal,
    /// Offered on either side.
    pub quantity: Decimal,
    /// Milliseconds since the epoch; 0 before the first trade.
    pub time: i64,
}

impl Market {
    pub fn new(rules: SymbolConfig) -> Self {
        let last = match &rules.tape {
            Tape::Synthetic(walk) => walk.start_price,
            Tape::Trades(trades) | Tape::Once(trades) => {
                trades.first().map_or(rules.tick_size, |first| first.price)
            }
        };
        Self {
            symbol: rules.symbol.as_str().into(),
            cursor: Cursor::new(&rules, 0),
            book: Book::default(),
            history: VecDeque::new(),
            fills: Vec::new(),
            ticker: Ticker {
                update_id: 0,
                bid: last,
                ask: last + rules.tick_size,
                quantity: rules.max_qty,
                time: 0,
            },
            last,
            rules,
        }
    }

    /// The latest trade's price.
    pub fn last(&self) -> Decimal {
        self.last
    }

    pub fn quote(&self) -> Quote {
        Quote { last: self.last, tick: self.rules.tick_size }
    }

    /// Plays the next trade of the tape.
    pub fn advance(&mut self, now: WallTime) -> Option<AggTrade> {
        let trade = self.cursor.pop(now)?;
        self.last = trade.price;
        let (bid, ask) = if trade.is_buyer_maker {
            (trade.price, trade.price + self.rules.tick_size)
        } else {
            (trade.price - self.rules.tick_size, trade.price)
        };
        self.ticker =
            Ticker { update_id: trade.last_trade_id, bid, ask, quantity: trade.quantity, time: trade.time };
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
}
