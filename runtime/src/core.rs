//! Decisions: pure state machines and the values they are made of.
//!
//! No async, no I/O, no clock and no randomness: time and answers are passed in, decisions come out.

pub mod age;
mod breaker;
pub mod emergency;
pub mod exit_rule;
mod gap;
mod halts;
pub mod heal;
pub mod health;
mod intent;
mod inventory;
pub mod journal;
pub mod kill_switch;
mod latches;
mod lease;
mod money;
mod names;
mod order;
mod oversight;
mod panic_event;
mod paper;
mod position;
pub mod pressure;
mod reconcile;
mod refusal;
mod risk;
mod signature;
pub mod sizing;
mod strategy;
pub mod throttle;
pub mod watchdog;

pub use breaker::{Breaker, BreakerState, Breakers, Record as BreakerRecord};
pub use gap::{GapDetector, Sequence};
pub use halts::{Cause, Halts, Latch, UnknownLatch};
pub use intent::{Intent, Signal};
pub use inventory::{Inventory, Source, Verdict};
pub use latches::{DataLost, LatchAct, LatchRecord, LatchSet, Latches, Shown};
pub use lease::{
    ANSWER_LIMIT, Change, EXTEND_EVERY, Epoch, Event as LeaseEvent, LOCK_TTL, Lease, MARGIN, NoLease,
    POLL_EVERY,
};
pub use money::{MoneyError, Price, Qty};
pub use names::{ClientOrderId, IntentId, NameError, Side, Symbol};
pub use order::{Decision, Fill, Input, Order, Question, Report, Status, UnknownStatus};
pub use oversight::{Dor, DorWatch, PanicNews, PanicView, PanicWatch};
pub use panic_event::{Claim, EventId, Handled, Ignored, PanicEvent, TRUSTED_ISSUER};
pub use paper::{PaperMode, Route};
pub use position::Position;
pub use reconcile::{Booked, Execution, Findings, Unfit, Venue, reconcile};
pub use refusal::Refusal;
pub use risk::{Breach, Risk, RiskLimits};
pub use signature::{Signature, Signatures, TTL as SIGNATURE_TTL};
pub use strategy::{Call, MarketTrade, Rule, Strategy};

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
