//! SCENARIO      The exit brain is killed while two positions are open.
//! EXPECTED      The panic event follows the last heartbeat within 5.0 to 5.5 s, both positions are closed within 10 s of it
//!               and 15 s of the kill, with reduce-only orders, and trading is halted until somebody resets it.
//! FAILURE MODE  The watchdog waits for one more heartbeat.
//! SOURCE        emergency-exit-runbook

use sim::{Checks, Draw, Plan, World, mins, secs};

use crate::{
    desk::{self, EXIT_BRAIN},
    oracles::{
        flat_within_15_s_of_the_exit_brains_end, panic_follows_the_last_heartbeat, panic_is_completed,
        standing, standing_of_panics,
    },
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario =
    scenario("exit_brain_killed", "the exit brain is killed while two positions are open")
        .about(Category::Trading, Impact::Critical)
        .source("emergency-exit-runbook")
        .cost(Cost::Quick)
        .steps(setup, inject, verify)
        .lasting(mins(2), secs(20));

fn setup(world: &mut World) {
    desk::two_positions(world);
}

/// At any moment between two heartbeats.
fn inject(plan: &mut Plan, draw: &mut Draw) {
    let after = draw.span(secs(1), secs(3));
    plan.on("position.watched", 2).after(after).host(EXIT_BRAIN).kill();
}

fn verify(check: &mut Checks) {
    standing(check);
    standing_of_panics(check);
    check.reached("host kill");
    check.always(flat_within_15_s_of_the_exit_brains_end());
    check.eventually(
        "the panic event follows the last heartbeat",
        secs(1),
        panic_follows_the_last_heartbeat(),
    );
    check.eventually("both positions are closed and trading is halted", secs(1), panic_is_completed("2"));
}
