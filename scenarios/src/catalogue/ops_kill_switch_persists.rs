//! SCENARIO      An operator activates the kill switch, and around the acknowledgement machines lose their power; later
//!               every process is restarted.
//! EXPECTED      Once it is acknowledged no entry is accepted, from no later life of any process, until the operator
//!               deactivates it; then entries resume.
//! FAILURE MODE  The switch is kept in memory only.
//! SOURCE        tiered-chaos-suite, tier 4

use std::time::Duration;

use env::{Env, fact};
use runtime::{clients::process::Process, services::supervisor::SupervisorConfig};
use sim::{Checks, Draw, Plan, SimTime, World, invariant, ms, secs, trace::Value};

use crate::{
    desk::{self, BUS, LEDGER, SUPERVISOR, TRADERS},
    oracles::{restarts_follow_two_failing_checks, standing},
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario =
    scenario("ops_kill_switch_persists", "the kill switch is activated amid power losses")
        .tier(4)
        .about(Category::Recovery, Impact::Critical)
        .source("tiered-chaos-suite")
        .cost(Cost::Quick)
        .steps(setup, inject, verify)
        .lasting(secs(240), secs(5));

/// When the operator activates the switch, and how long they leave it so.
const ACTIVATED: Duration = secs(70);
const LEFT_ACTIVE: Duration = secs(90);

/// How long an order may still arrive that left before the switch acted: a leader's knowledge of halts lasts 1 s
/// (docs/system.md, "Control poll"), and an order travels for some milliseconds.
const UNDER_WAY: Duration = ms(1_200);

fn setup(world: &mut World) {
    desk::full(world);
    world.host("operator", |env: Env| async move {
        let supervisor = Process::new(env, SUPERVISOR);
        tokio::time::sleep(ACTIVATED).await;
        fact!("operator.activates");
        insist(&supervisor, "/execution/kill-switch/activate").await;
        fact!("operator.is_assured");
        tokio::time::sleep(LEFT_ACTIVE).await;
        fact!("operator.deactivates");
        insist(&supervisor, "/execution/kill-switch/deactivate").await;
    });
}

/// Asks again until it is acknowledged.
async fn insist(supervisor: &Process, path: &str) {
    let token = SupervisorConfig::default().token;
    loop {
        let body = r#"{"reason":"a drill"}"#.to_owned();
        match supervisor.post(path, &token, body, secs(40)).await {
            Ok(reply) if reply.status.is_success() => return,
            _ => tokio::time::sleep(secs(2)).await,
        }
    }
}

/// A request takes some 20 ms. Whoever has a part in it may go down before, during or after it.
fn inject(plan: &mut Plan, draw: &mut Draw) {
    for host in [SUPERVISOR, BUS, LEDGER, TRADERS[0], TRADERS[1]] {
        let (after, down) = (draw.span(ms(0), ms(60)), draw.span(secs(2), secs(6)));
        if draw.chance(60) {
            plan.on("operator.activates", 1).after(after).host(host).power_loss().lasting(down);
        }
    }
    for host in [BUS, LEDGER, SUPERVISOR, TRADERS[0], TRADERS[1]] {
        plan.on("operator.is_assured", 1).after(draw.span(secs(20), secs(50))).host(host).restart();
    }
}

fn verify(check: &mut Checks) {
    standing(check);
    check.always(restarts_follow_two_failing_checks());
    let mut assured: Option<SimTime> = None;
    check.always(invariant("no entry is accepted after an acknowledged kill switch", move |event, _| {
        match event.name {
            "operator.is_assured" => assured = Some(event.at),
            "operator.deactivates" => assured = None,
            "broker.order_accepted" if event.get("reduce_only") == Some(&Value::Bool(false)) => {
                if let Some(since) = assured.filter(|since| event.at.since(*since) > UNDER_WAY) {
                    return Err(format!("an entry was, {} ms later", event.at.since(since).as_millis()));
                }
            }
            _ => {}
        }
        Ok(())
    }));
    check.reached("operator.deactivates");
    check.eventually("entries resume after the deactivation", secs(60), |view| {
        let since = view.named("operator.deactivates").next().map(|event| event.at);
        let entry = view
            .named("broker.order_accepted")
            .rfind(|event| event.get("reduce_only") == Some(&Value::Bool(false)) && Some(event.at) > since);
        if since.is_some() && entry.is_some() { Ok(()) } else { Err("there was none".into()) }
    });
}
