//! The processes of the trading system. Each is a function that runs until its process ends.

pub mod ares;
mod audit;
pub mod emergency_exit;
pub mod exit_brain;
pub mod feeder;
mod heartbeat;
pub mod supervisor;
pub mod trader;
pub mod watchdog;

use crate::core::Symbol;

/// The tables of the ledger. Any process may apply it, and again.
const SCHEMA: &str = include_str!("schema.sql");

pub(crate) fn default_symbols() -> Vec<Symbol> {
    vec!["BTCUSDT".parse().expect("BTCUSDT is a symbol")]
}

/// The issuers of signals.
const ARES: &str = "ares";
const EXIT_BRAIN: &str = "exit-brain";

/// Whoever knows its key may give orders to processes.
const OPERATOR: &str = "operator";

/// The key of a process whose signals the traders believe, in a system that nobody has configured: its name.
pub(crate) const fn default_key(process: &'static str) -> &'static str {
    process
}
