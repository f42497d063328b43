//! A Redis-compatible server on `env` streams: the bus of a simulated system, and a server on a real port.
//!
//! It speaks RESP2 and RESP3 and answers as Redis 7.4 does, error texts included. Commands live in `command`, one file
//! per family; what they work on is `db` (keys, values, expiry), `stream` (one stream) and `blocking` (clients that
//! wait for a key). `resp` turns bytes into requests and replies into bytes; `server` and `connection` join it all
//! to sockets and time.
//!
//! Deliberately absent: persistence, replication, databases other than 0, inline commands, memory limits and eviction.
//! One mutex guards all data and is never held across an await: like Redis, one command runs at a time.

mod aof;
mod blocking;
mod clients;
mod command;
mod config;
mod connection;
mod db;
mod decimal;
mod effects;
mod epoch;
mod error;
mod fault;
mod glob;
mod hash;
mod pubsub;
mod resp;
mod script;
mod server;
mod stream;
#[cfg(test)]
mod tests;
mod watch;

pub use aof::AofError;
pub use clients::OutputLimit;
pub use config::{AppendFsync, Config};
pub use fault::Fault;
pub use server::{Error, Server, serve};
