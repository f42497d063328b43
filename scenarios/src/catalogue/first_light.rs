//! SCENARIO      Everything starts from empty disks, in an order that suits nobody.
//! EXPECTED      Whatever comes first waits for what it needs; the supervisor starts what nobody has started; within 90 s of
//!               the first start every process is ready, DOR is true, and an order has been executed.
//! FAILURE MODE  A process that finds its peer missing gives up, or asks again too late.
//! SOURCE        ours (liveness L3)

use sim::{Checks, Draw, Plan, World, secs, trace::Value};

use crate::{
    desk::{self, ARES, BROKER, BUS, FEEDER, LEDGER, SUPERVISED, SUPERVISOR, TRADER},
    oracles::{dor_only_with_live_streams, restarts_follow_two_failing_checks, standing},
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario = scenario("first_light", "everything starts in an adverse order")
    .about(Category::Recovery, Impact::High)
    .cost(Cost::Quick)
    .steps(setup, inject, verify)
    .lasting(secs(90), secs(10));

fn setup(world: &mut World) {
    desk::full(world);
    desk::watcher(world);
}

/// Every machine is there, and nothing runs. The supervisor comes last or first or in between, and what it supervises
/// comes by itself in half of the cases only.
fn inject(plan: &mut Plan, draw: &mut Draw) {
    for host in [BROKER, BUS, LEDGER, SUPERVISOR, TRADER] {
        plan.at(secs(0)).host(host).kill().lasting(draw.span(secs(1), secs(30)));
    }
    for host in [ARES, FEEDER] {
        let start = draw.span(secs(1), secs(30));
        let dead = plan.at(secs(0)).host(host).kill();
        if draw.chance(50) {
            dead.lasting(start);
        }
    }
}

fn verify(check: &mut Checks) {
    standing(check);
    check.always(dor_only_with_live_streams());
    check.always(restarts_follow_two_failing_checks());
    check.eventually("everything is ready within 90 s", secs(0), |view| {
        let supervised = SUPERVISED.iter().filter_map(|component| component.process());
        for process in supervised.chain([SUPERVISOR]) {
            let seen = view.named("watcher.sees").rfind(|event| event.text("process") == Some(process));
            if seen.and_then(|event| event.get("ready")) != Some(&Value::Bool(true)) {
                return Err(format!("{process} is not"));
            }
        }
        Ok(())
    });
    check.eventually("an order is executed within 90 s", secs(0), |view| {
        view.named("order.filled").next().map(drop).ok_or_else(|| "none was".into())
    });
}
