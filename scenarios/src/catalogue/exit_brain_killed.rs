//! SCENARIO      The exit brain is killed while two positions are open.
//! EXPECTED      The panic event follows the last heartbeat within 5.0 to 5.5 s, both positions are closed within 10 s of it
//!               and 15 s of the kill, with reduce-only orders, and trading is halted until somebody resets it.
//! FAILURE MODE  The watchdog waits for one more heartbeat.
//! SOURCE        emergency-exit-runbook

use runtime::core::{Rule, exit_rule::ExitRule};
use sim::{Checks, Draw, Plan, World, mins, secs};

use crate::{
    desk::{self, EXIT_BRAIN},
    oracles::{
        emergency_orders_only_reduce, every_panic_is_completed_once, flat_within_10_s_of_the_panic,
        flat_within_15_s_of_the_exit_brains_end, no_entry_after_a_panic, panic_follows_the_last_heartbeat,
        panic_is_completed, standing,
    },
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario =
    scenario("exit_brain_killed", "the exit brain is killed while two positions are open")
        .about(Category::Trading, Impact::Critical)
        .source("emergency-exit-runbook")
        .cost(Cost::Quick)
        .steps(setup, inject, verify)
        .lasting(mins(2), secs(30));

fn setup(world: &mut World) {
    let exits = ExitRule { longest: mins(10), ..Default::default() };
    desk::full_trading_by(world, Rule { cadence: 16, lookback: 1, ..Rule::default() }, exits);
    desk::witness(world);
}

/// At any moment between two heartbeats.
fn inject(plan: &mut Plan, draw: &mut Draw) {
    let after = draw.span(secs(1), secs(3));
    plan.on("position.watched", 2).after(after).host(EXIT_BRAIN).kill();
}

fn verify(check: &mut Checks) {
    standing(check);
    check.reached("host kill");
    check.always(no_entry_after_a_panic());
    check.always(emergency_orders_only_reduce());
    check.always(flat_within_10_s_of_the_panic());
    check.always(flat_within_15_s_of_the_exit_brains_end());
    check.eventually(
        "the panic event follows the last heartbeat",
        secs(1),
        panic_follows_the_last_heartbeat(),
    );
    check.eventually("both positions are closed and trading is halted", secs(1), panic_is_completed("2"));
    check.eventually("every panic event has one completion", secs(1), every_panic_is_completed_once());
}
