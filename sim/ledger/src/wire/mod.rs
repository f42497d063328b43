//! The PostgreSQL wire protocol, version 3 (PostgreSQL 16 docs, chapter 55), as bytes.
//!
//! Deliberately not `pgwire`'s handlers: they flush after every message, which costs a packet each, accept frames of a
//! gigabyte, and panic on a frame that is shorter than its own fields say.

pub(crate) mod backend;
pub(crate) mod frontend;
