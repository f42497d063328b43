//! A PostgreSQL-compatible server on `env` streams and an `env` disk, small enough to run inside a simulation.
//!
//! Bird's eye: [`serve`] recovers the log and accepts clients; a session speaks the wire protocol and keeps its transaction;
//! the engine orders transactions and feeds the log; `sql` turns text into plans and runs them against the tables in `store`,
//! which the log makes durable. [`Replica`] reads such a log without a server.
//!
//! Invariants:
//! - A client hears of a commit only after its record has been written and synced.
//! - Nobody sees, changes or builds on what is not durable; a row has at most one uncommitted change.
//! - After a failed sync nothing is written before the log has been read again.
//! - Memory holds all tables; the log is cut off behind each checkpoint, which is there as a whole or not at all.
//! - The same statements in the same order make the same files, byte for byte.
//!
//! Deliberately absent, refused with 0A000: windows, recursive queries, row locks in joins, views, changes of
//! a column's type, indexes over expressions, isolation above READ COMMITTED, encryption, users and their rights, COPY.

mod connection;
mod data;
mod engine;
mod error;
mod fault;
mod patience;
mod replica;
mod server;
mod session;
mod settings;
mod sql;
mod startup;
mod store;
mod transaction;
mod wire;

pub use fault::{Fault, Share};
pub use replica::{Replica, Row};
pub use server::{Config, ServeError, Server, serve};
pub use store::OpenError;

/// The file of the log before the first checkpoint.
pub const WAL: &str = "wal.1";

/// The file of the last checkpoint. The log behind it is in files called `wal.1`, `wal.2`, …
pub const CHECKPOINT: &str = "checkpoint";
