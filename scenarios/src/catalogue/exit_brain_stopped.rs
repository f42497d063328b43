//! SCENARIO      The exit brain is asked to stop while two positions are open, and stops in order.
//! EXPECTED      As when it is killed: nobody decides on exits any more, so the account is flattened and trading is halted.
//! FAILURE MODE  A clean shutdown counts as healthy.
//! SOURCE        emergency-exit-runbook

use sim::{Checks, Draw, Plan, World, mins, plan::HostFault, secs};

use crate::{
    desk::{self, EXIT_BRAIN},
    oracles::{
        flat_within_15_s_of_the_exit_brains_end, panic_follows_the_last_heartbeat, panic_is_completed,
        standing, standing_of_panics,
    },
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario =
    scenario("exit_brain_stopped", "the exit brain stops in order while two positions are open")
        .about(Category::Trading, Impact::Critical)
        .source("emergency-exit-runbook")
        .cost(Cost::Quick)
        .steps(setup, inject, verify)
        .lasting(mins(2), secs(20));

fn setup(world: &mut World) {
    desk::two_positions(world);
}

fn inject(plan: &mut Plan, draw: &mut Draw) {
    let after = draw.span(secs(1), secs(3));
    plan.on("position.watched", 2).after(after).host(EXIT_BRAIN).fault(HostFault::Stop);
}

fn verify(check: &mut Checks) {
    standing(check);
    standing_of_panics(check);
    check.reached("exit_brain.stopped");
    check.always(flat_within_15_s_of_the_exit_brains_end());
    check.eventually(
        "the panic event follows the last heartbeat",
        secs(1),
        panic_follows_the_last_heartbeat(),
    );
    check.eventually("both positions are closed and trading is halted", secs(1), panic_is_completed("2"));
}
