//! The processes of the trading system. Each is a function that runs until its process ends.

pub mod ares;
pub mod feeder;
pub mod trader;

use crate::core::Symbol;

pub(crate) fn default_symbols() -> Vec<Symbol> {
    vec!["BTCUSDT".parse().expect("BTCUSDT is a symbol")]
}

/// The key of a process whose signals the traders believe, in a system that nobody has configured: its name.
pub(crate) const fn default_key(process: &'static str) -> &'static str {
    process
}
