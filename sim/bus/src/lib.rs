//! A Redis-compatible server on `env` streams: the bus of a simulated system, and a server on a real port.
//!
//! It speaks RESP2 and RESP3 and answers as Redis 7.0 does, error texts included. Commands live in `command`, one file
//! per family, and pass the `gate` (passwords, subscriber mode, a disk that refuses writes). What they work on is `db`
//! (keys, values, expiry), `hash`, `stream` (entries and consumer groups), `watch` (transactions that depend on keys),
//! `blocking` (clients that wait for a key), `pubsub` (who listens to what), `clients` (everyone who is connected) and
//! `script` (a small part of Lua). What changes data reports it to `effects`, which `aof` keeps; `epoch` tells clients
//! whether data may have been lost, and `fault` holds the faults that a test can inject. `resp` turns bytes into requests and
//! replies into bytes; `server` and `connection` join it all to sockets and time.
//!
//! Deliberately absent: snapshots (RDB files), replication, lists, sets and sorted sets, databases other than 0, inline
//! commands, users other than `default`, client-side caching, memory limits and eviction – except as a fault –, and TCP
//! keepalive, which `env` does not offer: a half-open client that waits or listens stays until it is written to.
//!
//! One mutex guards all data and is never held across an await: like Redis, one command runs at a time, and so does one
//! transaction and one script. Replies leave only when the append-only file is as safe as its policy wants it.

mod aof;
mod blocking;
mod clients;
mod command;
mod config;
mod connection;
mod db;
mod effects;
mod epoch;
mod error;
mod fault;
mod glob;
mod hash;
mod long_double;
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
