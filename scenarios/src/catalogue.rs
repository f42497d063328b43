//! The register: one line and one file for each scenario, in alphabetical order.

mod calm_day;
mod disk_full_ledger_write;
mod exit_brain_killed;

use crate::Scenario;

/// Every scenario.
pub const ALL: &[Scenario] =
    &[calm_day::SCENARIO, disk_full_ledger_write::SCENARIO, exit_brain_killed::SCENARIO];
