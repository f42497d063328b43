//! SCENARIO      The feeder dies one second after every start.
//! EXPECTED      Exactly three restarts, then FAILSAFE within 360 s: the flags are set, STOP.TXT is written, operators are
//!               notified, and from then on DOR is false for good.
//! FAILURE MODE  Each successful start resets the counter: it is restarted for ever.
//! SOURCE        auto-heal-runbook, scenario 1 ("Failure Handling") and stages 3 and 4

use sim::{Checks, Draw, Plan, View, World, invariant, secs, trace::Value};

use crate::{
    desk::{self, FEEDER, SUPERVISOR},
    oracles::{dor_only_with_live_streams, restarts_follow_two_failing_checks, standing},
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario =
    scenario("crash_feeder_unrecoverable", "the feeder dies one second after every start")
        .about(Category::Recovery, Impact::Critical)
        .source("auto-heal-runbook")
        .cost(Cost::Ordinary)
        .steps(setup, inject, verify)
        .lasting(secs(450), secs(10));

fn setup(world: &mut World) {
    desk::full(world);
}

/// Its first life is a minute long; each later one that auto-heal may give it, a second.
fn inject(plan: &mut Plan, draw: &mut Draw) {
    plan.at(draw.span(secs(60), secs(75))).host(FEEDER).kill();
    for start in 2..=4 {
        plan.on("feeder.started", start).after(secs(1)).host(FEEDER).kill();
    }
}

fn verify(check: &mut Checks) {
    standing(check);
    check.always(dor_only_with_live_streams());
    check.always(restarts_follow_two_failing_checks());
    check.always(invariant("DOR stays false after FAILSAFE", |event, view| {
        let after = view.named("failsafe.entered").next().is_some();
        if after && event.name == "health.checked" && event.get("dor") == Some(&Value::Bool(true)) {
            return Err("a check found DOR true".into());
        }
        Ok(())
    }));
    check.eventually("the feeder is restarted exactly three times, then given up", secs(1), |view| {
        let restarts = view.named("heal.restarts").count();
        let given_up = view.named("heal.gives_up").count();
        if (restarts, given_up) == (3, 1) {
            Ok(())
        } else {
            Err(format!("{restarts} restarts, given up {given_up} times"))
        }
    });
    for (words, name) in
        [("FAILSAFE is entered", "failsafe.entered"), ("the operators are notified", "operators.notified")]
    {
        check.eventually(format!("{words} within 360 s of the first death"), secs(1), move |view| {
            let died = view.named("host.killed").next().map(|event| event.at);
            match (died, view.named(name).next()) {
                (Some(died), Some(event)) if event.at.since(died) <= secs(360) => Ok(()),
                (died, event) => Err(format!("died {died:?}, {:?}", event.map(|event| event.at))),
            }
        });
    }
    for (file, words) in [
        ("shared_data/global_flags.json", r#""failsafe_active":true,"mode":"SIGNAL_READ_ONLY""#),
        ("STOP.TXT", "FAILSAFE"),
        ("logs/notifications.log", "NOTIFY FAILSAFE"),
        ("shared_data/autoheal_state.json", r#""stage":"FAILSAFE""#),
    ] {
        check.eventually(format!("{file} says so, durably"), secs(1), move |view| says(view, file, words));
    }
}

fn says(view: &View<'_>, file: &str, words: &str) -> Result<(), String> {
    view.durable(SUPERVISOR, file, |content| match content.map(String::from_utf8_lossy) {
        Some(text) if text.contains(words) => Ok(()),
        Some(text) => Err(text.into_owned()),
        None => Err("the file is not there".into()),
    })
}
