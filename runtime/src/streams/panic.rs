//! The keys by which the exit brain, the watchdog and the emergency exit tell each other and everybody else what happens.
//!
//! Deliberately absent: waiting for them, and judging what they say.

use std::time::Duration;

use env::WallTime;
use redis::{Cmd, Value, cmd};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::{HALTS, PANIC, PANIC_COMPLETED, TRADING_STATE};
use crate::{
    clients::bus::{self, Entry},
    core::{
        Claim, EventId, Latch, LatchRecord, PanicEvent, Symbol, TRUSTED_ISSUER, emergency::Flattened,
        exit_rule::Holding,
    },
};

/// The stream that proves that the exit brain decides.
pub const HEARTBEAT: &str = "exit_brain:heartbeat";

/// About how many heartbeats are kept; a quarter of an hour.
const KEPT_HEARTBEATS: u32 = 1_000;

/// How many of the newest entries of a panic stream are looked through: anybody can add to it.
const LOOKED_THROUGH: u32 = 64;

/// Adds a heartbeat after a finished round of decisions (emergency exit runbook, step 1).
pub fn add_heartbeat(active_positions: usize, now: WallTime) -> Cmd {
    let mut add = cmd("XADD");
    add.arg(HEARTBEAT).arg("MAXLEN").arg("~").arg(KEPT_HEARTBEATS).arg("*");
    add.arg("status").arg("ALIVE");
    add.arg("active_positions").arg(active_positions);
    add.arg("ts").arg(now.as_millis());
    add
}

/// Adds a panic event (emergency exit runbook, step 5).
pub fn add_panic(event: &PanicEvent) -> Cmd {
    let mut add = cmd("XADD");
    add.arg(PANIC).arg("*");
    add.arg("event_id").arg(event.event_id.as_str());
    add.arg("reason").arg(&event.reason);
    add.arg("severity").arg("CRITICAL");
    add.arg("issued_by").arg(&event.issued_by);
    add.arg("ts").arg(event.issued_ms);
    add
}

/// What an entry of [`PANIC`] claims to be.
pub fn claim<'a>(entry: &Entry<'a>) -> Claim<'a> {
    Claim {
        event_id: entry.get("event_id"),
        reason: entry.get("reason"),
        issued_by: entry.get("issued_by"),
        ts: entry.get("ts"),
    }
}

/// A panic event that was carried out.
#[derive(Clone, Copy, Debug)]
pub struct Completion<'a> {
    /// Which.
    pub event: &'a PanicEvent,
    /// With what result.
    pub flattened: &'a Flattened,
    /// When it was taken up.
    pub started: WallTime,
    /// How long it took, measured by the clock that cannot jump.
    pub took: Duration,
}

/// Adds a completion (emergency exit runbook, step 7).
pub fn add_completion(completion: &Completion<'_>) -> Cmd {
    let Completion { event, flattened, started, took } = completion;
    let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
    let failed: Vec<&str> = flattened.failed.iter().map(Symbol::as_str).collect();
    let mut add = cmd("XADD");
    add.arg(PANIC_COMPLETED).arg("*");
    add.arg("event_id").arg(event.event_id.as_str());
    add.arg("positions_total").arg(flattened.total);
    add.arg("positions_closed").arg(flattened.closed());
    add.arg("positions_failed").arg(failed.len());
    add.arg("failed_symbols").arg(serde_json::json!(failed).to_string());
    add.arg("ts_started").arg(started.as_millis());
    add.arg("ts_completed").arg(started.as_millis().saturating_add(took));
    add.arg("execution_time_ms").arg(took);
    add
}

/// Halts trading until somebody resets it by hand (emergency exit runbook, step 8).
pub fn halt_trading(event: &PanicEvent, closed: u64) -> Cmd {
    let mut set = cmd("HSET");
    set.arg(TRADING_STATE);
    set.arg("halted").arg("true");
    set.arg("reason").arg(&event.reason);
    set.arg("source").arg(&event.issued_by);
    set.arg("positions_closed").arg(closed);
    set.arg("requires_manual_reset").arg("true");
    set
}

/// Sets the latch of a panic among the halts.
pub fn latch_panic(event: &PanicEvent) -> Cmd {
    let record = event.latch();
    let LatchRecord { set_by, set_at, why } = &record;
    let text = serde_json::json!({ "set_by": set_by, "set_at": set_at, "why": why }).to_string();
    let mut set = cmd("HSET");
    set.arg(HALTS).arg(Latch::Panic.as_str()).arg(text);
    set
}

/// Asks for the newest entries of a panic stream, newest first.
pub fn newest(stream: &str) -> Cmd {
    let mut range = cmd("XREVRANGE");
    range.arg(stream).arg("+").arg("-").arg("COUNT").arg(LOOKED_THROUGH);
    range
}

/// The newest event of the watchdog in the answer to [`newest`] of [`PANIC`].
pub fn newest_trusted(reply: &Value) -> Option<EventId> {
    bus::entries(reply)
        .find(|entry| entry.get("issued_by") == Some(TRUSTED_ISSUER))
        .and_then(|entry| entry.get("event_id")?.parse().ok())
}

/// The events in the answer to [`newest`], newest first.
pub fn event_ids(reply: &Value) -> impl Iterator<Item = EventId> {
    bus::entries(reply).filter_map(|entry| entry.get("event_id")?.parse().ok())
}

/// Asks who halted trading.
pub fn ask_halted() -> Cmd {
    let mut get = cmd("HMGET");
    get.arg(TRADING_STATE).arg("halted").arg("source");
    get
}

/// Whether the answer to [`ask_halted`] tells of a panic.
pub fn is_halted_by_panic(reply: &Value) -> bool {
    let mut values = bus::items(reply).iter().map(bus::text);
    let (halted, source) = (values.next().flatten(), values.next().flatten());
    halted == Some("true") && source == Some(TRUSTED_ISSUER)
}

/// A field of [`super::POSITIONS`] is not what it should be: what it stands for cannot be watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the position {symbol:?} is malformed: {text:?}")]
pub struct MalformedPosition {
    symbol: String,
    text: String,
}

/// The booked position of a symbol, from a field of [`super::POSITIONS`].
///
/// # Errors
/// Names the field.
pub fn position(symbol: &str, text: &str) -> Result<(Symbol, Holding), MalformedPosition> {
    #[derive(Deserialize)]
    struct Booked {
        qty: Decimal,
        avg_price: Decimal,
        /// Milliseconds of the trader's clock.
        since: i64,
    }
    let malformed = || MalformedPosition { symbol: symbol.into(), text: text.into() };
    let Booked { qty, avg_price, since } = serde_json::from_str(text).map_err(|_| malformed())?;
    let symbol = symbol.parse().map_err(|_| malformed())?;
    Ok((symbol, Holding { qty, avg_price, since: WallTime::from_millis(since) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    /// The arguments of a command as text.
    fn words(command: &Cmd) -> Vec<String> {
        command
            .args_iter()
            .map(|arg| match arg {
                redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => panic!("these commands have plain arguments"),
            })
            .collect()
    }

    fn event() -> PanicEvent {
        PanicEvent {
            event_id: EventId::from_bits(1, 2),
            reason: "EXIT_BRAIN_HEARTBEAT_MISSING_(5.1S_>_5.0S)".into(),
            issued_by: "watchdog".into(),
            issued_ms: 1_707_840_128_456,
        }
    }

    #[test]
    fn a_completion_has_the_runbooks_fields_and_its_times_add_up() {
        let flattened = Flattened { total: 2, failed: vec!["ETHUSDT".parse().unwrap()] };
        let (event, started) = (event(), WallTime::from_millis(1_707_840_128_456));
        let completion = Completion {
            event: &event,
            flattened: &flattened,
            started,
            took: Duration::from_micros(1_847_900),
        };
        let words = words(&add_completion(&completion));
        let id = event.event_id.as_str();
        let fields = [
            ["event_id", id],
            ["positions_total", "2"],
            ["positions_closed", "1"],
            ["positions_failed", "1"],
            ["failed_symbols", r#"["ETHUSDT"]"#],
            ["ts_started", "1707840128456"],
            ["ts_completed", "1707840130303"],
            ["execution_time_ms", "1847"],
        ];
        assert_eq!(words[3..], fields.concat());
    }

    #[test]
    fn a_panic_event_claims_what_was_published() {
        let words = words(&add_panic(&event()));
        let fields: Vec<Value> = words[3..].iter().map(|word| bulk(word)).collect();
        let entry = Entry::new("1-0", &fields);
        let claim = claim(&entry);
        assert_eq!(claim.event_id, Some(event().event_id.as_str()));
        assert_eq!((claim.reason, claim.issued_by), (Some(event().reason.as_str()), Some("watchdog")));
    }

    #[test]
    fn only_a_panic_counts_as_halted_by_a_panic() {
        let reply = |halted: &str, source: &str| Value::Array(vec![bulk(halted), bulk(source)]);
        assert!(is_halted_by_panic(&reply("true", "watchdog")));
        assert!(!is_halted_by_panic(&reply("true", "supervisor")));
        assert!(!is_halted_by_panic(&reply("false", "watchdog")));
        assert!(!is_halted_by_panic(&Value::Array(vec![Value::Nil, Value::Nil])));
        assert!(!is_halted_by_panic(&Value::Nil));
    }

    #[test]
    fn events_of_others_are_not_the_watchdogs_newest() {
        let entry = |issuer: &str, id: &str| {
            let fields = ["event_id", id, "issued_by", issuer].map(bulk);
            Value::Array(vec![bulk("1-0"), Value::Array(fields.into())])
        };
        let reply =
            Value::Array(vec![entry("ares", "e-3"), entry("watchdog", "e-2"), entry("watchdog", "e-1")]);
        assert_eq!(newest_trusted(&reply), "e-2".parse().ok());
        assert_eq!(newest_trusted(&Value::Array(vec![entry("ares", "e-3")])), None);
    }

    #[test]
    fn a_position_is_read_or_named_as_malformed() {
        let text = r#"{"qty":"-0.05","avg_price":"2250.1","since":1700000000000}"#;
        let (symbol, holding) = position("ETHUSDT", text).unwrap();
        assert_eq!((symbol.as_str(), holding.qty), ("ETHUSDT", "-0.05".parse().unwrap()));
        assert_eq!(holding.since, WallTime::from_millis(1_700_000_000_000));
        for (symbol, text) in [("ETHUSDT", "{}"), ("eth", text), ("ETHUSDT", ""), ("ETHUSDT", "[]")] {
            assert!(position(symbol, text).is_err(), "{symbol} {text}");
        }
    }
}
