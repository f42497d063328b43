//! SCENARIO      The bus is down for 20 s twice; the second time the exit brain dies meanwhile.
//! EXPECTED      The first outage is no panic. The second time the panic event follows within 5.5 s of the bus's return.
//! FAILURE MODE  An outage of the bus is read as the death of the exit brain, or hides it.
//! SOURCE        emergency-exit-runbook

use sim::{Checks, Draw, Plan, View, World, mins, ms, secs};

use crate::{
    desk::{self, BUS, EXIT_BRAIN},
    oracles::{no_panic, standing, standing_of_panics},
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario =
    scenario("exit_bus_outage", "the bus is down twice, and the exit brain dies the second time")
        .about(Category::Trading, Impact::Critical)
        .source("emergency-exit-runbook")
        .cost(Cost::Quick)
        .steps(setup, inject, verify)
        .lasting(mins(4), secs(20));

fn setup(world: &mut World) {
    desk::two_positions(world);
}

fn inject(plan: &mut Plan, draw: &mut Draw) {
    plan.at(draw.span(secs(60), secs(70))).host(BUS).kill().lasting(secs(20));
    plan.at(draw.span(secs(190), secs(195))).host(BUS).kill().lasting(secs(20));
    plan.at(draw.span(secs(198), secs(205))).host(EXIT_BRAIN).kill();
}

fn verify(check: &mut Checks) {
    standing(check);
    standing_of_panics(check);
    check.reached("host kill");
    check.eventually("an outage of the bus is no panic", secs(1), no_panic("host kill exit-brain"));
    check.eventually(
        "the panic event follows within 5.5 s of the bus's return",
        secs(1),
        |view: &View<'_>| {
            let back = view.named("host.started").rfind(|event| &*event.host == BUS).map(|event| event.at);
            let panic = view.named("panic.published").next().map(|event| event.at).ok_or("there was none")?;
            let back = back.ok_or("the bus never started")?;
            let after = panic.since(back);
            if panic > back && after <= ms(5_500) { Ok(()) } else { Err(format!("it came after {after:?}")) }
        },
    );
}
