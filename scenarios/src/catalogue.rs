//! The register: one line and one file for each scenario, in alphabetical order.

mod calm_day;
mod crash_feeder_killed;
mod crash_feeder_unrecoverable;
mod disk_flush_fails;
mod disk_full_ledger_write;
mod exit_brain_killed;
mod exit_brain_stopped;
mod exit_bus_outage;
mod exit_worker_crash;
mod first_light;
mod ops_kill_switch_persists;
mod risk_breaker_trips;
mod risk_duplicate_signals;
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
    exit_brain_stopped::SCENARIO,
    exit_bus_outage::SCENARIO,
    exit_worker_crash::SCENARIO,
    first_light::SCENARIO,
    ops_kill_switch_persists::SCENARIO,
    risk_breaker_trips::SCENARIO,
    risk_duplicate_signals::SCENARIO,
    risk_stale_balance::SCENARIO,
];
