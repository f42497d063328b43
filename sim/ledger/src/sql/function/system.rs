//! What a session may ask about the server (PostgreSQL 16 docs, §9.26).

use super::{Function, function};
use crate::data::{Type, Value};

pub(super) const ALL: &[Function] = &[
    function("current_schema", &[], Type::Name, |_, _| Ok(Value::from("public"))),
    function("version", &[], Type::Text, |_, _| Ok(Value::from("PostgreSQL 16.4 (tradewind ledger)"))),
];
