//! Decisions: pure state machines and the values they are made of.
//!
//! No async, no I/O, no clock and no randomness: time and answers are passed in, decisions come out.

mod gap;
mod halts;
pub mod heal;
pub mod health;
mod intent;
pub mod kill_switch;
mod lease;
mod money;
mod names;
mod order;
mod position;
pub mod pressure;
mod strategy;

pub use gap::{GapDetector, Sequence};
pub use halts::{Cause, Halts, Latch, UnknownLatch};
pub use intent::{Intent, Signal};
pub use lease::{
    ANSWER_LIMIT, Change, EXTEND_EVERY, Epoch, Event as LeaseEvent, LOCK_TTL, Lease, MARGIN, NoLease,
    POLL_EVERY,
};
pub use money::{MoneyError, Price, Qty};
pub use names::{ClientOrderId, IntentId, NameError, Side, Symbol};
pub use order::{Decision, Fill, Input, Order, Question, Report, Status, UnknownStatus};
pub use position::Position;
pub use strategy::{Call, MarketTrade, Rule, Strategy};

/// Lets values that have one text form travel in JSON as that text. Borrows while reading, so escaped text is refused:
/// none of these forms ever needs an escape.
macro_rules! json_as_text {
    ($($type:ty),+) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <&str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
use json_as_text;
