//! The register: one line and one file for each scenario, in alphabetical order.

mod calm_day;
mod crash_feeder_killed;
mod crash_feeder_unrecoverable;
mod disk_flush_fails;
mod disk_full_ledger_write;
mod exit_brain_killed;
mod first_light;
mod risk_stale_balance;

use crate::Scenario;

/// Every scenario.
pub const ALL: &[Scenario] = &[
    calm_day::SCENARIO,
    crash_feeder_killed::SCENARIO,
    crash_feeder_unrecoverable::SCENARIO,
    disk_flush_fails::SCENARIO,
    disk_full_ledger_write::SCENARIO,
    exit_brain_killed::SCENARIO,
    first_light::SCENARIO,
    risk_stale_balance::SCENARIO,
];
