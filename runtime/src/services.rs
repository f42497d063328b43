//! The processes of the trading system. Each is a function that runs until its process ends.

pub mod ares;
pub mod feeder;
pub mod trader;

use crate::core::Symbol;

pub(crate) fn default_symbols() -> Vec<Symbol> {
    vec!["BTCUSDT".parse().expect("BTCUSDT is a symbol")]
}

/// The issuers of signals.
const ARES: &str = "ares";
const EXIT_BRAIN: &str = "exit-brain";

/// A key that everybody knows: for tests.
fn default_key(issuer: &str) -> String {
    issuer.into()
}
