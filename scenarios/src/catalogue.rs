//! The register: one line and one file for each scenario, in alphabetical order.

mod calm_day;
mod disk_flush_fails;
mod disk_full_ledger_write;

use crate::Scenario;

/// Every scenario.
pub const ALL: &[Scenario] =
    &[calm_day::SCENARIO, disk_flush_fails::SCENARIO, disk_full_ledger_write::SCENARIO];
