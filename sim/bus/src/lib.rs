//! A Redis-compatible server on `env` streams: the bus of a simulated system, and a server on a real port.
//!
//! It speaks RESP2 and RESP3 and answers as Redis 7.4 does, error texts included. Commands live in `command`, one file
//! per family; what they work on is `db` (keys, values, expiry), `stream` (one stream) and `blocking` (clients that
//! wait for a key). `resp` turns bytes into requests and replies into bytes; `server` and `connection` join it all
//! to sockets and time.
//!
//! Deliberately absent: persistence, replication, databases other than 0, inline commands, memory limits and eviction.
//! One mutex guards all data and is never held across an await: like Redis, one command runs at a time.

mod blocking;
mod command;
mod connection;
mod db;
mod decimal;
mod effects;
mod error;
mod glob;
mod hash;
mod resp;
mod script;
mod server;
mod stream;
#[cfg(test)]
mod tests;
mod watch;

pub use server::{Config, Server, serve};
