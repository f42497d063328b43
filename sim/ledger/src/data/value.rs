//! One value, and the row it stands in.
//!
//! Deliberately without its type: all integer types are [`Value::Int`] and all string types [`Value::Text`]; plans know
//! which. Cloning never copies a string.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::{Float, Interval, Json};

/// A row of a table; shared between the table, undo images and readers.
pub(crate) type Row = Arc<[Value]>;

/// A value. The order is that of one type: texts by byte (collation "C"), numbers by size, null first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Numeric(Decimal),
    /// Text; also `json`, which keeps its text.
    Text(Arc<str>),
    /// `timestamp with time zone`: microseconds since 2000-01-01T00:00:00Z, PostgreSQL's own epoch.
    Timestamp(i64),
    Json(Arc<Json>),
    Bytes(Arc<[u8]>),
    Float4(Float),
    Float8(Float),
    /// `timestamp without time zone`, as if it were UTC.
    LocalTimestamp(i64),
    /// Days since 2000-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    Interval(Interval),
    Uuid([u8; 16]),
    /// The number of an object of the catalog, and the name under which it is shown. Never in a table.
    Object(u32, Arc<str>),
    /// A one-dimensional array whose first index is 1.
    Array(Arc<[Value]>),
}

impl Value {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}
