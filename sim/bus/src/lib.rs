//! A Redis-compatible server on `env` streams: the bus of a simulated system, and a server on a real port.
//!
//! It speaks RESP2 and RESP3 and answers as Redis 7.0 does, error texts included. Commands live in `command`, one file
//! per family; what they work on is `db` (keys, values, expiry), `hash`, `stream` (entries and consumer groups), `watch`
//! (transactions that depend on keys), `blocking` (clients that wait for a key) and `script` (a small part of Lua). What
//! changes data reports it to `effects`, which `aof` keeps. `resp` turns bytes into requests and replies into bytes;
//! `server` and `connection` join it all to sockets and time.
//!
//! Deliberately absent: snapshots, replication, lists, sets and sorted sets, databases other than 0, inline commands,
//! memory limits and eviction. One mutex guards all data and is never held across an await: like Redis, one command runs
//! at a time, and so does one transaction and one script.

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
