//! Our peers beside the real servers: the same requests to both, the answers compared.
//!
//! Needs Debian's Redis and PostgreSQL and some Python packages, which `prepare` makes available (root or sudo, network):
//! `cargo test -p tests --test conformance`. `CONFORMANCE_OPS=100000` compares more than the usual number of operations;
//! `UPDATE_DOCS=1` writes docs/conformance.md anew.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "these tests talk to real servers and run nothing inside a simulation"
)]

mod bus;
mod clients;
mod exchange;
mod postgres;
mod report;
mod servers;
mod tolerated;
