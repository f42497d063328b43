//! What happened in a run: typed events, in order, each at a simulated time on a host.

mod render;
mod subscriber;

use std::{fmt, sync::Arc};

pub use render::{SCHEMA, json_line, semantic, story_line};
pub(crate) use subscriber::FactSubscriber;

use crate::time::SimTime;

/// The host name of events that belong to no host: faults and the network between hosts.
pub const WORLD: &str = "world";

/// How much an event matters to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A step of the story, reported by a service with `env::fact!`.
    Fact,
    /// One of many of its kind, reported with `env::detail!`.
    Detail,
    /// Done by the simulator: a fault begins, a host dies, a packet is sent.
    Engine,
}

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// Text, and everything that was recorded by its `Display` or `Debug` form.
    Text(Box<str>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Uint(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Uint(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at: SimTime,
    /// On which host; [`WORLD`] for none.
    pub host: Arc<str>,
    /// What, by its stable dotted name.
    pub name: &'static str,
    /// How much it matters.
    pub kind: Kind,
    /// The particulars, in the order of the report.
    pub fields: Vec<(&'static str, Value)>,
}

impl Event {
    /// The value of a field.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.iter().find(|(name, _)| *name == field).map(|(_, value)| value)
    }

    /// The text of a field; `None` when it is missing or not text.
    pub fn text(&self, field: &str) -> Option<&str> {
        match self.get(field)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number of a field; `None` when it is missing, negative or no number.
    pub fn number(&self, field: &str) -> Option<u64> {
        match self.get(field)? {
            Value::Uint(value) => Some(*value),
            Value::Int(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&story_line(self))
    }
}
