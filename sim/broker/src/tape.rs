//! Where market trades come from: a recording or a seeded random walk.

mod csv;
mod cursor;
mod walk;

use std::{sync::Arc, time::Duration};

use env::WallTime;
use rust_decimal::Decimal;

pub use csv::{HEADER, TapeError, parse_csv, to_csv};
pub(crate) use cursor::Cursor;
pub(crate) use walk::{hash, mix};

use crate::config::SymbolConfig;

/// An aggregate trade: what one taker order traded at one price ("Aggregate Trade Streams").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggTrade {
    /// Contiguous per symbol.
    pub id: u64,
    /// In USDT.
    pub price: Decimal,
    /// In units of the base asset.
    pub quantity: Decimal,
    /// The first of the single trades in it; these are contiguous, too.
    pub first_trade_id: u64,
    /// The last of the single trades in it.
    pub last_trade_id: u64,
    /// When it happened, in milliseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
    /// Whether the taker sold.
    pub is_buyer_maker: bool,
}

/// A symbol's market trades.
#[derive(Clone)]
pub enum Tape {
    /// A random walk.
    Synthetic(Synthetic),
    /// A recording: its prices and intervals, not its dates. A second after its end it starts over; ids go on.
    Trades(Arc<Vec<AggTrade>>),
}

/// A random walk on the tick grid, whose every step is a function of the seed, the symbol and the step's number.
#[derive(Clone, Debug)]
pub struct Synthetic {
    /// The price before the first trade, in USDT; the walk stays between half and twice of it.
    pub start_price: Decimal,
    /// Mean time between trades; single ones are exponentially distributed.
    pub mean_interval: Duration,
    /// The largest move from trade to trade, in ticks.
    pub volatility: u32,
}

impl Default for Synthetic {
    /// Four trades a second around 42,000 USDT, moving at most 20 ticks each.
    fn default() -> Self {
        Self {
            start_price: Decimal::new(4_200_000, 2),
            mean_interval: Duration::from_millis(250),
            volatility: 20,
        }
    }
}

/// The first `count` trades of `symbol`'s tape under `seed`, as a recording that starts at `from`.
pub fn record(symbol: &SymbolConfig, seed: u64, from: WallTime, count: usize) -> Vec<AggTrade> {
    let mut cursor = Cursor::new(symbol, seed);
    let mut micros = from.as_micros();
    let trades = std::iter::from_fn(|| {
        micros += i64::try_from(cursor.delay()?.as_micros()).ok()?;
        cursor.pop(WallTime::from_micros(micros))
    });
    trades.take(count).collect()
}
