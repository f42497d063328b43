//! A position on a tape: knows the next trade and when it is due, and numbers what it hands out.

use std::{sync::Arc, time::Duration};

use env::WallTime;
use rust_decimal::Decimal;

use super::{AggTrade, Tape, walk::Walk};
use crate::config::SymbolConfig;

/// The pause between the end of a recording and its next beginning.
const REPEAT_AFTER: Duration = Duration::from_secs(1);

/// A trade that is due `delay` after the one before.
pub(crate) struct Step {
    pub delay: Duration,
    pub price: Decimal,
    pub quantity: Decimal,
    /// How many single trades it aggregates.
    pub trades: u64,
    pub is_buyer_maker: bool,
}

pub(crate) struct Cursor {
    source: Source,
    next: Option<Step>,
    next_id: u64,
    next_trade_id: u64,
}

enum Source {
    Walk(Walk),
    Recording { trades: Arc<Vec<AggTrade>>, position: usize, once: bool },
}

impl Cursor {
    pub fn new(symbol: &SymbolConfig, seed: u64) -> Self {
        let (mut source, next_id, next_trade_id) = match &symbol.tape {
            Tape::Synthetic(synthetic) => (Source::Walk(Walk::new(symbol, synthetic, seed)), 1, 1),
            Tape::Trades(trades) | Tape::Once(trades) => {
                let (id, trade_id) = trades.first().map_or((1, 1), |first| (first.id, first.first_trade_id));
                let once = matches!(symbol.tape, Tape::Once(_));
                (Source::Recording { trades: trades.clone(), position: 0, once }, id, trade_id)
            }
        };
        let next = source.advance();
        Self { source, next, next_id, next_trade_id }
    }

    /// Time from the trade before to the next one; none when the tape is empty.
    pub fn delay(&self) -> Option<Duration> {
        self.next.as_ref().map(|step| step.delay)
    }

    /// Hands out the next trade as one that happens `at`.
    pub fn pop(&mut self, at: WallTime) -> Option<AggTrade> {
        let following = self.source.advance();
        let step = std::mem::replace(&mut self.next, following)?;
        let trade = AggTrade {
            id: self.next_id,
            price: step.price,
            quantity: step.quantity,
            first_trade_id: self.next_trade_id,
            last_trade_id: self.next_trade_id + step.trades - 1,
            time: at.as_millis(),
            is_buyer_maker: step.is_buyer_maker,
        };
        self.next_id += 1;
        self.next_trade_id += step.trades;
        Some(trade)
    }
}

impl Source {
    fn advance(&mut self) -> Option<Step> {
        match self {
            Self::Walk(walk) => Some(walk.step()),
            Self::Recording { trades, position, once } => {
                if *once && *position == trades.len() {
                    return None;
                }
                let index = *position % trades.len().max(1);
                let trade = trades.get(index)?;
                let delay = match (index.checked_sub(1), *position) {
                    (Some(before), _) => {
                        let elapsed = trade.time.saturating_sub(trades[before].time);
                        Duration::from_millis(u64::try_from(elapsed).unwrap_or(0))
                    }
                    (None, 0) => Duration::ZERO,
                    (None, _) => REPEAT_AFTER,
                };
                *position += 1;
                Some(Step {
                    delay,
                    price: trade.price,
                    quantity: trade.quantity,
                    trades: (trade.last_trade_id.saturating_sub(trade.first_trade_id)).saturating_add(1),
                    is_buyer_maker: trade.is_buyer_maker,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::record;

    #[test]
    fn the_same_seed_walks_the_same_path_and_another_seed_another() {
        let path = |seed| record(&SymbolConfig::default(), seed, WallTime::from_millis(0), 100);
        assert_eq!(path(1), path(1));
        assert_ne!(path(1), path(2));
    }

    #[test]
    fn a_recording_starts_over_after_its_end_with_ids_that_go_on() {
        let walked = record(&SymbolConfig::default(), 1, WallTime::from_millis(5_000), 3);
        let symbol = SymbolConfig { tape: Tape::Trades(Arc::new(walked.clone())), ..SymbolConfig::default() };
        let played = record(&symbol, 99, walked_start(&walked), 6);
        assert_eq!(played[..3], walked);
        for (index, trade) in played.iter().enumerate() {
            assert_eq!(trade.id, 1 + index as u64);
            assert_eq!(trade.price, walked[index % 3].price);
        }
        assert!(played.windows(2).all(|pair| pair[0].last_trade_id + 1 == pair[1].first_trade_id));
        assert_eq!(played[3].time, played[2].time + 1_000);
    }

    #[test]
    fn a_recording_that_is_played_once_ends() {
        let walked = record(&SymbolConfig::default(), 1, WallTime::from_millis(0), 3);
        let tape = Tape::Trades(Arc::new(walked.clone())).once();
        let symbol = SymbolConfig { tape, ..SymbolConfig::default() };
        assert_eq!(record(&symbol, 1, walked_start(&walked), 6), walked);
    }

    fn walked_start(trades: &[AggTrade]) -> WallTime {
        WallTime::from_millis(trades[0].time)
    }

    #[test]
    fn an_empty_recording_is_a_market_without_trades() {
        let symbol = SymbolConfig { tape: Tape::Trades(Arc::default()), ..SymbolConfig::default() };
        assert_eq!(record(&symbol, 1, WallTime::from_millis(0), 3), []);
    }
}
