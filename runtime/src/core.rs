//! Decisions: pure state machines and the values they are made of.
//!
//! No async, no I/O, no clock and no randomness: time and answers are passed in, decisions come out.

mod emergency;
mod exit_rule;
mod gap;
mod intent;
mod money;
mod names;
mod order;
mod panic_event;
mod position;
mod strategy;
mod watchdog;

pub use emergency::{
    Chunk, Closing, EMERGENCY_ORDER_PREFIX, Flattened, Flattening, Heard, Move, Outcome, Progress, Step,
};
pub use exit_rule::{Exit, ExitCause, ExitNumber, ExitRule, Exits, Holding, Quote};
pub use gap::{GapDetector, Sequence};
pub use intent::{Intent, Signal};
pub use money::{MoneyError, Price, Qty};
pub use names::{ClientOrderId, IntentId, NameError, Side, Symbol};
pub use order::{Decision, Fill, Input, Order, Question, Report, Status, UnknownStatus};
pub use panic_event::{Claim, EVENT_AGE_LIMIT, EventId, Handled, Ignored, PanicEvent, TRUSTED_ISSUER};
pub use position::Position;
pub use strategy::{Call, MarketTrade, Rule, Strategy};
pub use watchdog::{Alarm, HEARTBEAT_LIMIT, POLL, Question as BusQuestion, Sight, Watchdog};

/// Lets values that have one text form travel in JSON and TOML as that text.
macro_rules! as_text {
    ($($type:ty),+) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::core::Text(std::marker::PhantomData))
            }
        }
    )+};
}
use as_text;

/// Reads a value from its text, without a copy of the text.
struct Text<T>(std::marker::PhantomData<T>);

impl<T: std::str::FromStr<Err: std::fmt::Display>> serde::de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}
