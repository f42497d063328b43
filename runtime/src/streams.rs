//! The streams on the bus that join the services: their names, their length, and the fields of their entries.
//!
//! Consumers resume from the last entry they processed, never from `$`, and tolerate repeated entries: a producer that loses
//! its connection cannot know whether its last entry arrived, and adds it again.

pub mod panic;
mod seal;

use env::WallTime;
use redis::{Cmd, cmd};
pub use seal::{Issuer, Keys};

use crate::{
    clients::bus::Entry,
    core::{Fill, MarketTrade, Signal},
};

/// The stream of strategies' signals.
pub const SIGNALS: &str = "signals";

/// The stream of the exit brain's signals, in the same form.
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

/// Where a signal stands, as it is recorded with its intent: the stream and the entry's id.
pub fn position_of(stream: &str, id: &str) -> String {
    format!("{stream} {id}")
}

/// Reads what [`position_of`] wrote.
pub fn position(text: &str) -> Option<(&str, &str)> {
    text.split_once(' ')
}

/// The order of the ids of entries: milliseconds, then a number. What is no id comes first.
pub fn entry_order(id: &str) -> Option<(u64, u64)> {
    let (millis, number) = id.split_once('-')?;
    Some((millis.parse().ok()?, number.parse().ok()?))
}

/// The fields of a signal that its mac covers, in the order in which it does.
const SIGNAL_FIELDS: [&str; 8] =
    ["signal_id", "symbol", "side", "qty", "price", "reduce_only", "T", "issuer"];

/// Why an entry is not a signal to act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignal {
    /// Nobody who may trade has issued it.
    #[error("the mac is not that of a known issuer")]
    Unauthentic,
    /// It was issued, and makes no sense.
    #[error(transparent)]
    Malformed(#[from] MalformedEntry),
}

/// Appends a signal to `stream`, sealed by its issuer.
pub fn add_signal(stream: &str, signal: &Signal, issuer: &Issuer) -> Cmd {
    let values = [
        signal.id.to_string(),
        signal.symbol.to_string(),
        signal.side.to_string(),
        signal.qty.to_string(),
        signal.price.to_string(),
        u8::from(signal.reduce_only).to_string(),
        signal.market_time.as_millis().to_string(),
        issuer.name().to_owned(),
    ];
    let mut add = add(stream);
    for (field, value) in SIGNAL_FIELDS.into_iter().zip(&values) {
        add.arg(field).arg(value);
    }
    add.arg("mac").arg(issuer.seal(values.iter().map(String::as_str)));
    add
}

/// Reads a signal that one of the issuers with these keys has sealed.
///
/// # Errors
/// The entry is to be skipped, and an unauthentic one to be audited.
pub fn sealed_signal(entry: &Entry<'_>, keys: &Keys) -> Result<Signal, BadSignal> {
    let values = SIGNAL_FIELDS.map(|field| entry.get(field).unwrap_or_default());
    let [.., issuer] = values;
    if keys.verify(issuer, values, entry.get("mac").unwrap_or_default()) {
        Ok(signal(entry)?)
    } else {
        Err(BadSignal::Unauthentic)
    }
}

/// Reads what a signal says, whoever has issued it.
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
        let issuer = Issuer::new("ares", "secret");
        let keys = Keys::new([("ares".to_owned(), "secret".to_owned())]);
        let mut fields = fields(&add_signal(SIGNALS, &wish, &issuer));
        assert_eq!(sealed_signal(&Entry::new("1-0", &fields), &keys), Ok(wish));
        fields[7] = Value::BulkString(b"-1".to_vec());
        assert_eq!(signal(&Entry::new("1-0", &fields)), Err(MalformedEntry { field: "qty" }));
        assert_eq!(sealed_signal(&Entry::new("1-0", &fields), &keys), Err(BadSignal::Unauthentic));
    }

    #[test]
    fn a_signal_that_nobody_known_has_sealed_is_not_acted_on() {
        let wish = Signal {
            id: "forged".parse().unwrap(),
            symbol: "BTCUSDT".parse().unwrap(),
            side: crate::core::Side::Sell,
            qty: "1".parse().unwrap(),
            price: "65000.1".parse().unwrap(),
            reduce_only: true,
            market_time: WallTime::from_millis(1),
        };
        let keys = Keys::new([("ares".to_owned(), "secret".to_owned())]);
        for issuer in [Issuer::new("ares", "guess"), Issuer::new("nobody", "secret")] {
            let sealed = fields(&add_signal(EXITS, &wish, &issuer));
            assert_eq!(sealed_signal(&Entry::new("1-0", &sealed), &keys), Err(BadSignal::Unauthentic));
        }
        let sealed = fields(&add_signal(EXITS, &wish, &Issuer::new("ares", "secret")));
        let unsealed = &sealed[..sealed.len() - 2];
        assert_eq!(sealed_signal(&Entry::new("1-0", unsealed), &keys), Err(BadSignal::Unauthentic));
        assert_eq!(sealed_signal(&Entry::new("1-0", &[]), &keys), Err(BadSignal::Unauthentic));
        for field in (1..sealed.len()).step_by(2) {
            let mut changed = sealed.clone();
            let Value::BulkString(text) = &mut changed[field] else { panic!("a field is text") };
            text[0] ^= 1;
            assert_eq!(sealed_signal(&Entry::new("1-0", &changed), &keys), Err(BadSignal::Unauthentic));
        }
    }
}
