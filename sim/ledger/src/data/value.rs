//! One value, and the row it stands in.
//!
//! Deliberately without its type: both integer types are [`Value::Int`] and both string types [`Value::Text`]; plans know
//! which. Cloning never copies a string.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::Json;

/// A row of a table; shared between the table, undo images and readers.
pub(crate) type Row = Arc<[Value]>;

/// A value. The order is that of one type: texts by byte (collation "C"), numbers by size, null first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Numeric(Decimal),
    Text(Arc<str>),
    /// Microseconds since 2000-01-01T00:00:00Z, PostgreSQL's own epoch.
    Timestamp(i64),
    Json(Arc<Json>),
    Bytes(Arc<[u8]>),
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
