//! SCENARIO      The emergency exit is killed and started again while it carries out a panic event.
//! EXPECTED      It goes on where it was: each position is closed, none is turned around, and the event has one completion.
//! FAILURE MODE  It starts reading at new events only, and forgets the one that it was carrying out.
//! SOURCE        emergency-exit-runbook

use sim::{Checks, Draw, Plan, World, mins, ms, plan::HostFault, secs};

use crate::{
    desk::{self, EMERGENCY_EXIT, EXIT_BRAIN},
    oracles::{panic_is_completed, standing, standing_of_panics},
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario =
    scenario("exit_worker_crash", "the emergency exit is killed while it closes two positions")
        .about(Category::Recovery, Impact::Critical)
        .source("emergency-exit-runbook")
        .cost(Cost::Quick)
        .steps(setup, inject, verify)
        .lasting(mins(2), secs(20));

fn setup(world: &mut World) {
    desk::two_positions(world);
}

/// Before, between and after the two closes, and around the completion.
fn inject(plan: &mut Plan, draw: &mut Draw) {
    plan.on("position.watched", 2).after(secs(1)).host(EXIT_BRAIN).kill();
    let moments = [
        ("panic.received", 1),
        ("emergency.looked", 1),
        ("emergency.close_sent", 1),
        ("emergency.close_sent", 2),
        ("emergency.closed", 1),
        ("emergency.closed", 2),
        ("panic.completed", 1),
    ];
    let (event, nth) = moments[draw.within(0..moments.len() as u64) as usize];
    plan.on(event, nth).after(draw.span(ms(0), ms(60))).host(EMERGENCY_EXIT).fault(HostFault::Restart);
}

fn verify(check: &mut Checks) {
    standing(check);
    standing_of_panics(check);
    check.reached("host restart");
    check.eventually("both positions are closed and trading is halted", secs(1), panic_is_completed("2"));
}
