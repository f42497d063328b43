//! SCENARIO      The bus is gone for longer than the leader's lock lives, and comes back.
//! EXPECTED      Both traders are unready and send nothing from 1 s on, nobody leads after 30 s, every process lives. Within
//!               90 s of the return one trader has the lock again, has reconciled, leads, and is ready with fresh heartbeats.
//! FAILURE MODE  The leader stays one in its own eyes during the outage.
//! SOURCE        leader-lock-suite, test 1

use std::time::Duration;

use rust_decimal::Decimal;
use sim::{Checks, Draw, Event, Plan, SimTime, View, World, invariant, ms, secs};

use crate::{
    desk::{self, BUS, TRADERS},
    oracles::standing,
    scenario::{Category, Cost, Impact, Scenario, scenario},
    watch::{says, watch},
};

pub const SCENARIO: Scenario =
    scenario("bus_leader_lock_lost", "the bus is gone for longer than the leader's lock lives")
        .about(Category::Recovery, Impact::Critical)
        .source("leader-lock-suite")
        .cost(Cost::Quick)
        .steps(setup, inject, verify)
        .lasting(secs(200), secs(5));

/// Longer than the lock lives (30 s).
const OUTAGE: Duration = secs(45);

/// How soon the trader pauses and is unready (ours).
const PAUSE_WITHIN: Duration = secs(1);

/// How soon nobody may call himself leader ("Wait longer for lock to expire (TTL is 30s)").
const NO_LEADER_WITHIN: Duration = secs(30);

/// How soon all is well after the return (`WAIT_READY_TIMEOUT`).
const READY_WITHIN: Duration = secs(90);

/// The oldest heartbeat of a healthy trader (`HEARTBEAT_MAX`).
const HEARTBEAT_MAX: Decimal = Decimal::from_parts(5, 0, 0, false, 0);

/// How long the answer of `/ready` is on its way.
const ON_ITS_WAY: Duration = ms(50);

fn setup(world: &mut World) {
    desk::full(world);
    watch(world, &TRADERS);
}

/// Somebody stops the bus in order, or it crashes.
fn inject(plan: &mut Plan, draw: &mut Draw) {
    let bus = plan.at(draw.span(secs(50), secs(62))).host(BUS);
    let gone = if draw.chance(50) { bus.kill() } else { bus.power_loss() };
    gone.lasting(OUTAGE);
}

fn verify(check: &mut Checks) {
    standing(check);
    check.always(invariant("every trader lives through the outage", |event, _| {
        let dead = event.name == "watch.saw" && says(event, "alive", false);
        if dead && event.at > SimTime::after(secs(5)) { Err(event.to_string()) } else { Ok(()) }
    }));
    check.always(during_the_outage(
        "a trader is unready 1 s into the outage",
        PAUSE_WITHIN + ON_ITS_WAY,
        |event| event.name == "watch.saw" && says(event, "ready", true),
    ));
    check.always(during_the_outage("no order leaves from 1 s into the outage on", PAUSE_WITHIN, |event| {
        event.name == "order.sent"
    }));
    check.always(during_the_outage("nobody leads 30 s into the outage", NO_LEADER_WITHIN, |event| {
        event.name == "watch.measured" && says(event, "leads", true)
    }));
    check.reached("order.sent");
    check.eventually(
        "a trader leads, is ready and has fresh heartbeats within 90 s of the return",
        secs(1),
        |view| {
            let Some(back) = ended(view) else { return Err("the bus has not come back".into()) };
            let well = view.events().iter().find(|event| event.at > back && is_well(event, view));
            match well {
                Some(event) if event.at.since(back) <= READY_WITHIN => Ok(()),
                Some(event) => Err(format!("it took {} s", event.at.since(back).as_secs())),
                None => Err("none is".into()),
            }
        },
    );
    check.eventually("a trader trades again", secs(1), |view| {
        let back = ended(view);
        let sent = view.named("order.sent").next_back().map(|event| event.at);
        if back.is_some() && sent > back { Ok(()) } else { Err(format!("last sent at {sent:?}")) }
    });
}

/// Something that may not happen from so long into the outage until its end.
fn during_the_outage(
    words: &'static str,
    from: Duration,
    is_wrong: impl Fn(&Event) -> bool + Send + 'static,
) -> sim::Invariant {
    let mut gone: Option<SimTime> = None;
    invariant(words, move |event, _| {
        match event.name {
            "fault.begins" => gone = Some(event.at),
            "fault.ends" => gone = None,
            _ => {}
        }
        match gone {
            Some(since) if event.at.since(since) > from && is_wrong(event) => {
                Err(format!("{} s into the outage: {event}", event.at.since(since).as_secs()))
            }
            _ => Ok(()),
        }
    })
}

fn ended(view: &View<'_>) -> Option<SimTime> {
    view.named("fault.ends").next().map(|event| event.at)
}

/// A measurement of a leader whose heartbeats are fresh and whose `/ready` was 200 when it was asked just before.
fn is_well(event: &Event, view: &View<'_>) -> bool {
    let fresh = |field: &str| {
        event.text(field).and_then(|age| age.parse::<Decimal>().ok()).is_some_and(|age| age < HEARTBEAT_MAX)
    };
    let leads = event.name == "watch.measured" && says(event, "leads", true);
    leads && ["scan", "order", "md"].into_iter().all(fresh) && {
        let saw = view.events().iter().rev().find(|saw| {
            saw.name == "watch.saw" && saw.at <= event.at && saw.text("process") == event.text("process")
        });
        saw.is_some_and(|saw| says(saw, "ready", true))
    }
}
