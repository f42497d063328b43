//! The streams on the bus that join the services: their names, their length, and the fields of their entries.
//!
//! Consumers resume from the last entry they processed, never from `$`, and tolerate repeated entries: a producer that loses
//! its connection cannot know whether its last entry arrived, and adds it again.

pub mod panic;

use env::WallTime;
use redis::{Cmd, cmd};

use crate::{
    clients::bus::Entry,
    core::{Fill, MarketTrade, Signal},
};

/// The stream of strategies' signals.
pub const SIGNALS: &str = "signals";

/// The stream of the exit brain's signals, which only reduce.
pub const EXITS: &str = "exits";

/// The stream of booked fills.
pub const FILLS: &str = "fills";

/// The hash of booked positions.
pub const POSITIONS: &str = "positions";

/// The hash of latches: the halts that only a person clears.
pub const HALTS: &str = "system:halts";

/// The hash that says whether trading is halted.
pub const TRADING_STATE: &str = "system:state:trading";

/// The hash with the newest verdict of the health check.
pub const DOR: &str = "system:dor";

/// The stream of panic events.
pub const PANIC: &str = "system:panic_close";

/// The stream of panic events that were carried out.
pub const PANIC_COMPLETED: &str = "system:panic_close:completed";

/// The key of a process's heartbeat.
pub fn heartbeat(process: &str) -> String {
    format!("heartbeat:{process}")
}

/// About how many entries each stream keeps: 40 minutes of market at 4 trades per second.
const KEPT_ENTRIES: u32 = 10_000;

/// The stream of the market trades of a symbol.
pub fn market(symbol: &str) -> String {
    format!("md:{symbol}")
}

/// The symbol of a stream of market trades.
pub fn market_symbol(stream: &str) -> Option<&str> {
    stream.strip_prefix("md:")
}

/// Why an entry is not what its stream carries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the field {field:?} is missing or malformed")]
pub struct MalformedEntry {
    field: &'static str,
}

/// Adds to a stream and drops its oldest entries. `MAXLEN ~` trims whole nodes and is the cheap form.
fn add(stream: &str) -> Cmd {
    let mut add = cmd("XADD");
    add.arg(stream).arg("MAXLEN").arg("~").arg(KEPT_ENTRIES).arg("*");
    add
}

fn field<T: std::str::FromStr>(entry: &Entry<'_>, field: &'static str) -> Result<T, MalformedEntry> {
    entry.get(field).and_then(|text| text.parse().ok()).ok_or(MalformedEntry { field })
}

/// Asks for the newest entry of a stream.
pub fn newest(stream: &str) -> Cmd {
    let mut range = cmd("XREVRANGE");
    range.arg(stream).arg("+").arg("-").arg("COUNT").arg(1);
    range
}

/// Appends a market trade to `stream`, with the exchange's field names and the decimals of its texts.
pub fn add_market_trade(stream: &str, trade: &MarketTrade) -> Cmd {
    let mut add = add(stream);
    add.arg("a").arg(trade.id);
    add.arg("p").arg(trade.price.to_string());
    add.arg("q").arg(trade.qty.to_string());
    add.arg("T").arg(trade.time.as_millis());
    add.arg("m").arg(u8::from(trade.buyer_is_maker));
    add
}

/// Reads a market trade.
///
/// # Errors
/// Names the field at fault; the entry is to be skipped.
pub fn market_trade(entry: &Entry<'_>) -> Result<MarketTrade, MalformedEntry> {
    Ok(MarketTrade {
        id: field(entry, "a")?,
        price: field(entry, "p")?,
        qty: field(entry, "q")?,
        time: WallTime::from_millis(field(entry, "T")?),
        buyer_is_maker: field::<u8>(entry, "m")? != 0,
    })
}

/// Appends a signal to [`SIGNALS`] or [`EXITS`].
pub fn add_signal(stream: &str, signal: &Signal) -> Cmd {
    let mut add = add(stream);
    add.arg("signal_id").arg(signal.id.to_string());
    add.arg("symbol").arg(signal.symbol.as_str());
    add.arg("side").arg(signal.side.as_str());
    add.arg("qty").arg(signal.qty.to_string());
    add.arg("price").arg(signal.price.to_string());
    add.arg("reduce_only").arg(u8::from(signal.reduce_only));
    add.arg("T").arg(signal.market_time.as_millis());
    add
}

/// Reads a signal.
///
/// # Errors
/// Names the field at fault; the entry is to be skipped.
pub fn signal(entry: &Entry<'_>) -> Result<Signal, MalformedEntry> {
    Ok(Signal {
        id: field(entry, "signal_id")?,
        symbol: field(entry, "symbol")?,
        side: field(entry, "side")?,
        qty: field(entry, "qty")?,
        price: field(entry, "price")?,
        reduce_only: field::<u8>(entry, "reduce_only")? != 0,
        market_time: WallTime::from_millis(field(entry, "T")?),
    })
}

/// Appends a booked fill to [`FILLS`].
pub fn add_fill(fill: &Fill) -> Cmd {
    let mut add = add(FILLS);
    add.arg("symbol").arg(fill.symbol.as_str());
    add.arg("trade_id").arg(fill.trade_id);
    add.arg("client_order_id").arg(fill.client_order_id.as_str());
    add.arg("side").arg(fill.side.as_str());
    add.arg("qty").arg(fill.qty.to_string());
    add.arg("price").arg(fill.price.to_string());
    add.arg("T").arg(fill.time.as_millis());
    add
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    /// What a reader gets of an `XADD`: the arguments after the id.
    fn fields(add: &Cmd) -> Vec<Value> {
        add.args_iter()
            .skip_while(|arg| !matches!(arg, redis::Arg::Simple(b"*")))
            .skip(1)
            .map(|arg| match arg {
                redis::Arg::Simple(bytes) => Value::BulkString(bytes.to_vec()),
                _ => panic!("an XADD has plain arguments"),
            })
            .collect()
    }

    #[test]
    fn a_market_trade_reads_back_as_it_was_added() {
        let trade = MarketTrade {
            id: 7,
            price: "65000.1".parse().unwrap(),
            qty: "0.002".parse().unwrap(),
            time: WallTime::from_millis(1_700_000_000_123),
            buyer_is_maker: true,
        };
        let fields = fields(&add_market_trade("md:BTCUSDT", &trade));
        assert_eq!(market_trade(&Entry::new("1-0", &fields)), Ok(trade));
        assert_eq!(market_trade(&Entry::new("1-0", &fields[2..])), Err(MalformedEntry { field: "a" }));
        assert_eq!(market_symbol(&market("BTCUSDT")), Some("BTCUSDT"));
    }

    #[test]
    fn a_signal_reads_back_as_it_was_added() {
        let wish = Signal {
            id: "BTCUSDT-7-in".parse().unwrap(),
            symbol: "BTCUSDT".parse().unwrap(),
            side: crate::core::Side::Buy,
            qty: "0.002".parse().unwrap(),
            price: "65000.1".parse().unwrap(),
            reduce_only: false,
            market_time: WallTime::from_millis(1_700_000_000_123),
        };
        let mut fields = fields(&add_signal(SIGNALS, &wish));
        assert_eq!(signal(&Entry::new("1-0", &fields)), Ok(wish));
        fields[7] = Value::BulkString(b"-1".to_vec());
        assert_eq!(signal(&Entry::new("1-0", &fields)), Err(MalformedEntry { field: "qty" }));
    }
}
