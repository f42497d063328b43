//! Makes a recording rise or fall.

use std::time::Duration;

use rust_decimal::Decimal;

use super::AggTrade;

/// A move of the market on top of what a recording does by itself.
#[derive(Clone, Copy, Debug)]
pub struct Bend {
    /// When it begins, from the first trade on.
    pub after: Duration,
    /// How long it takes, in a straight line.
    pub span: Duration,
    /// How far it goes, as a share of the price: −0.08 is a fall by 8 %.
    pub share: Decimal,
}

/// Bends the prices of `trades`, rounded to `tick`. A trade below the one before it was sold by its taker.
pub fn bend(trades: &mut [AggTrade], tick: Decimal, bend: Bend) {
    let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let (after, span) = (millis(bend.after), millis(bend.span).max(1));
    let Some(start) = trades.first().map(|first| first.time) else { return };
    let mut before = None;
    for trade in trades {
        let passed = (trade.time - start).saturating_sub(after).clamp(0, span);
        let share = bend.share * Decimal::from(passed) / Decimal::from(span);
        trade.price = ((trade.price * (Decimal::ONE + share) / tick).round() * tick).max(tick);
        match before.replace(trade.price) {
            Some(price) if price != trade.price => trade.is_buyer_maker = trade.price < price,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SymbolConfig, tape::record};

    #[test]
    fn a_bend_leaves_what_is_before_it_and_moves_what_is_after_it_in_full() {
        let symbol = SymbolConfig::default();
        let straight = record(&symbol, 1, env::WallTime::from_millis(0), 400);
        let mut bent = straight.clone();
        let fall = Bend {
            after: Duration::from_secs(20),
            span: Duration::from_secs(40),
            share: Decimal::new(-8, 2),
        };
        bend(&mut bent, symbol.tick_size, fall);
        let start = straight[0].time;
        for (before, after) in straight.iter().zip(&bent) {
            let moved = after.price / before.price - Decimal::ONE;
            match before.time - start {
                ..=20_000 => assert_eq!(moved, Decimal::ZERO),
                60_000.. => assert_eq!(moved.round_dp(4), fall.share),
                _ => assert!(moved <= Decimal::ZERO && moved >= Decimal::new(-801, 4)),
            }
            assert!((after.price % symbol.tick_size).is_zero());
        }
    }
}
