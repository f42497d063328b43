//! A PostgreSQL-compatible server on `env` streams and an `env` disk, small enough to run inside a simulation.
//!
//! Bird's eye: [`serve`] recovers the log and accepts clients; a session speaks the wire protocol and keeps its transaction;
//! the engine orders transactions and feeds the log; `sql` turns text into plans and runs them against the tables in `store`,
//! which the log makes durable. [`Replica`] reads such a log without a server.
//!
//! Invariants:
//! - A client hears of a commit only after its record has been written and synced.
//! - After a failed sync nothing is written before the log has been read again.
//! - Memory holds all tables; the log is never shortened.
//! - The same statements in the same order make the same log, byte for byte.
//!
//! Deliberately absent, refused with 0A000: windows, recursive queries, row locks, savepoints, `ALTER` and `DROP`,
//! isolation above READ COMMITTED, authentication, encryption, the system catalog.

mod connection;
mod data;
mod engine;
mod error;
mod replica;
mod server;
mod session;
mod settings;
mod sql;
mod store;
mod transaction;
mod wire;

pub use replica::{Replica, Row};
pub use server::{Config, ServeError, Server, serve};
pub use store::OpenError;

/// The path of the log on the disk.
pub const WAL: &str = "wal";
