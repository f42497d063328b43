//! SCENARIO      The feeder is killed.
//! EXPECTED      The health check names it within 15 s, auto-heal restarts it after the second failing check and within
//!               30 s, and within 90 s the streams are fresh, DOR is true and auto-heal observes again. Nobody else acts.
//! FAILURE MODE  It is restarted but never resubscribes: DOR is true on a dead stream.
//! SOURCE        auto-heal-runbook, scenario 1

use std::time::Duration;

use sim::{Checks, Draw, Event, Plan, SimTime, View, World, secs};

use crate::{
    desk::{self, FEEDER},
    oracles::{dor_only_with_live_streams, restarts_follow_two_failing_checks, standing},
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario = scenario("crash_feeder_killed", "the feeder is killed")
    .about(Category::Recovery, Impact::High)
    .source("auto-heal-runbook")
    .cost(Cost::Quick)
    .steps(setup, inject, verify)
    .lasting(secs(170), secs(10));

fn setup(world: &mut World) {
    desk::full(world);
}

/// At any moment between two checks.
fn inject(plan: &mut Plan, draw: &mut Draw) {
    plan.at(draw.span(secs(60), secs(75))).host(FEEDER).kill();
}

fn verify(check: &mut Checks) {
    standing(check);
    check.always(dor_only_with_live_streams());
    check.always(restarts_follow_two_failing_checks());
    for (words, within, name, field, value) in [
        ("the health check names the feeder", 15, "health.fails", "component", "Feeder"),
        ("auto-heal restarts the feeder", 30, "heal.restarts", "component", "Feeder"),
        ("DOR is true again", 90, "health.dor", "failing", ""),
        ("auto-heal observes again", 90, "heal.stage", "stage", "OBSERVE"),
    ] {
        check.eventually(format!("{words} within {within} s of the kill"), secs(1), move |view| {
            happens(view, secs(within), |event| event.name == name && event.text(field) == Some(value))
        });
    }
    check.eventually("every stream is fresh within 90 s of the kill", secs(1), |view| {
        for symbol in desk::SYMBOLS {
            let restarted = |event: &Event| event.name == "feeder.started" && event.at > killed(view);
            let Some(since) = view.events().iter().find(|event| restarted(event)).map(|event| event.at)
            else {
                return Err("the feeder was not started".into());
            };
            happens(view, secs(90), |event| {
                event.name == "feeder.trade" && event.text("symbol") == Some(symbol) && event.at > since
            })?;
        }
        Ok(())
    });
    check.eventually("the feeder is restarted once, and nothing else is", secs(1), |view| {
        let restarted: Vec<_> =
            view.named("heal.restarts").filter_map(|event| event.text("component")).collect();
        if restarted == ["Feeder"] { Ok(()) } else { Err(format!("restarted were {restarted:?}")) }
    });
}

fn killed(view: &View<'_>) -> SimTime {
    view.named("host.killed").next().map_or(SimTime::ZERO, |event| event.at)
}

/// Whether something happens after the kill, and no later than so long after it.
fn happens(view: &View<'_>, within: Duration, what: impl Fn(&Event) -> bool) -> Result<(), String> {
    let killed = killed(view);
    match view.events().iter().find(|event| event.at > killed && what(event)) {
        Some(event) if event.at.since(killed) <= within => Ok(()),
        Some(event) => Err(format!("it took {} ms", event.at.since(killed).as_millis())),
        None => Err(format!("not since the kill at {killed}")),
    }
}
