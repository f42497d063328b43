//! The catalogue: every scenario that the trading system must survive, with the oracles that judge it.
//!
//! A scenario is one file in `catalogue`: four header lines (what happens, what is expected, the bug that it exists to
//! catch, the document that demands it), then setup, faults and checks. `desk` builds the worlds, `oracles` hold what is
//! checked in more than one scenario.

mod catalogue;
pub mod desk;
mod oracles;
mod scenario;
mod watch;

pub use catalogue::ALL;
pub use scenario::{Category, Cost, Impact, Length, Scenario};

/// The scenario with this name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}
