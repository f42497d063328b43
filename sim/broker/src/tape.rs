//! Where market trades come from: a recording or a seeded random walk.

mod bend;
mod csv;
mod cursor;
mod single;
mod walk;

use std::{sync::Arc, time::Duration};

use env::WallTime;
use rust_decimal::Decimal;

pub use bend::{Bend, bend};
pub use csv::{HEADER, TapeError, parse_csv, to_csv};
pub(crate) use cursor::Cursor;
pub(crate) use single::{SingleTrade, singles};
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
    /// A recording: its prices and intervals, not its dates. Its first trade happens when the market opens, which is when
    /// the exchange is first served. A second after its end it starts over; ids go on.
    Trades(Arc<Vec<AggTrade>>),
    /// As [`Tape::Trades`], played once: after its end the market stands at its last price, and no trade happens any more.
    Once(Arc<Vec<AggTrade>>),
}

impl Tape {
    /// Reads a recording from `text`, one of the venue's dumps of aggregate trades (see [`parse_csv`]); it starts over
    /// after its end. `name` is the file's name, for errors.
    ///
    /// ```
    /// let text = "1,42000.10,0.003,1,2,1700000000000,true\n2,42000.20,0.010,3,3,1700000000250,False\n";
    /// let tape = broker::Tape::read("btcusdt.csv", text)?;
    /// let symbol = broker::SymbolConfig { tape, ..broker::SymbolConfig::default() };
    /// let config = broker::Config { symbols: vec![symbol], ..broker::Config::default() };
    /// # assert_eq!(config.symbols[0].tape.trades().len(), 2);
    /// # Ok::<_, broker::TapeError>(())
    /// ```
    ///
    /// # Errors
    /// As [`parse_csv`]: file, line, column, what was expected and what was found.
    pub fn read(name: &str, text: &str) -> Result<Self, TapeError> {
        Ok(Self::Trades(Arc::new(parse_csv(name, text)?)))
    }

    /// The same, but without a second time: see [`Tape::Once`]. A random walk has no end and stays one.
    #[must_use]
    pub fn once(self) -> Self {
        match self {
            Self::Trades(trades) => Self::Once(trades),
            other => other,
        }
    }

    /// The trades of a recording; none of a random walk.
    pub fn trades(&self) -> &[AggTrade] {
        match self {
            Self::Synthetic(_) => &[],
            Self::Trades(trades) | Self::Once(trades) => trades,
        }
    }
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
