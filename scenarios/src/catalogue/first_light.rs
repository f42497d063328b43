//! SCENARIO      Everything starts from empty disks, in an order that suits nobody.
//! EXPECTED      Whatever comes first waits for what it needs; the supervisor starts what nobody has started; within 90 s of
//!               the first start every process is ready, DOR is true, and an order has been executed.
//! FAILURE MODE  A process that finds its peer missing gives up, or asks again too late.
//! SOURCE        ours (liveness L3)

use sim::{Checks, Draw, Plan, World, secs, trace::Value};

use crate::{
    desk::{self, BROKER, BUS, LEDGER, PROCESSES, SUPERVISOR, WATCHDOG},
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
/// comes by itself in half of the cases only. The watchdog waits to be started: one that finds no exit brain for 5 s is
/// right to panic.
fn inject(plan: &mut Plan, draw: &mut Draw) {
    for host in [BROKER, BUS, LEDGER, SUPERVISOR] {
        plan.at(secs(0)).host(host).kill().lasting(draw.span(secs(1), secs(30)));
    }
    for host in PROCESSES.into_iter().filter(|host| *host != SUPERVISOR) {
        let (start, comes_by_itself) = (draw.span(secs(1), secs(30)), draw.chance(50));
        let dead = plan.at(secs(0)).host(host).kill();
        if comes_by_itself && host != WATCHDOG {
            dead.lasting(start);
        }
    }
}

fn verify(check: &mut Checks) {
    standing(check);
    check.always(dor_only_with_live_streams());
    check.always(restarts_follow_two_failing_checks());
    check.eventually("everything is ready within 90 s", secs(0), |view| {
        let is_ready = |process: &str| {
            let seen = view.named("watcher.sees").rfind(|event| event.text("process") == Some(process));
            seen.and_then(|event| event.get("ready")) == Some(&Value::Bool(true))
        };
        let unready: Vec<&str> = PROCESSES.into_iter().filter(|process| !is_ready(process)).collect();
        if unready.is_empty() { Ok(()) } else { Err(format!("not ready are {unready:?}")) }
    });
    check.eventually("an order is executed", secs(60), |view| {
        view.named("order.filled").next().map(drop).ok_or_else(|| "none was".into())
    });
}
