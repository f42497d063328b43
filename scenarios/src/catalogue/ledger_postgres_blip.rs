//! SCENARIO      The ledger goes down for 20 s; after its return it cuts a connection right behind a commit.
//! EXPECTED      Every trader lives. Entries are rejected, exits go to the outbox, nothing is lost, and the outbox is empty within
//!               30 s of the return. A commit whose answer was cut off is settled without a double.
//! FAILURE MODE  What is run again after an ambiguous commit is applied twice.
//! SOURCE        leader-lock-suite, test 2

use std::{collections::BTreeMap, time::Duration};

use runtime::core::{Rule, exit_rule::ExitRule};
use sim::{Checks, Draw, Plan, SimTime, World, invariant, secs};

use crate::{
    desk::{self, LEDGER, TRADERS},
    oracles::{every_fill_booked_within, no_rejected_order_reaches_the_exchange, standing},
    scenario::{Category, Cost, Impact, Scenario, scenario},
    watch::{says, watch},
};

pub const SCENARIO: Scenario = scenario(
    "ledger_postgres_blip",
    "the ledger goes down for 20 s, and later cuts a connection behind a commit",
)
.about(Category::Recovery, Impact::Critical)
.source("leader-lock-suite")
.cost(Cost::Quick)
.steps(setup, inject, verify)
.lasting(secs(170), secs(10));

/// How long the ledger is down.
const OUTAGE: Duration = secs(20);

/// How soon the outbox is empty and every fill booked after the ledger's return (L1, L4).
const CAUGHT_UP_WITHIN: Duration = secs(30);

fn setup(world: &mut World) {
    // A chance to enter each symbol every 4 s, and out after 10 s: the outage meets both.
    let rule = Rule { cadence: 16, lookback: 1, ..Rule::default() };
    desk::full_trading_by(world, rule, ExitRule::default());
    watch(world, &TRADERS);
}

fn inject(plan: &mut Plan, draw: &mut Draw) {
    let down = draw.span(secs(60), secs(70));
    plan.at(down).host(LEDGER).kill().lasting(OUTAGE);
    let later = draw.span(secs(5), secs(40));
    for _ in 0..3 {
        let nth = draw.within(1..12);
        plan.at(down + OUTAGE + later).peer(LEDGER, format!("cut-after-commit {nth}"));
    }
}

fn verify(check: &mut Checks) {
    standing(check);
    check.always(no_rejected_order_reaches_the_exchange());
    check.always(every_fill_booked_within(OUTAGE + CAUGHT_UP_WITHIN));
    check.always(invariant("every trader lives through the outage", |event, _| {
        let dead = event.name == "watch.saw" && says(event, "alive", false);
        if dead && event.at > SimTime::after(secs(5)) { Err(event.to_string()) } else { Ok(()) }
    }));
    check.reached("order.sent");
    check.reached("peer ledger");
    check.eventually(
        "no intent is left in an outbox 30 s after the ledger's return",
        CAUGHT_UP_WITHIN,
        |view| {
            let mut waiting: BTreeMap<&str, i64> = BTreeMap::new();
            for event in view.events() {
                let change = match event.name {
                    "intent.in_outbox" => 1,
                    "outbox.drained" => -i64::try_from(event.number("count").unwrap_or(0)).unwrap_or(0),
                    _ => 0,
                };
                *waiting.entry(&*event.host).or_default() += change;
            }
            waiting.retain(|_, count| *count != 0);
            if waiting.is_empty() { Ok(()) } else { Err(format!("{waiting:?}")) }
        },
    );
    check.eventually("an intent is stored again after the ledger's return", secs(60), |view| {
        let back = view.named("fault.ends").next().map(|event| event.at);
        let stored = view.named("intent.stored").next_back().map(|event| event.at);
        if back.is_some() && stored > back {
            Ok(())
        } else {
            Err(format!("back at {back:?}, last stored {stored:?}"))
        }
    });
}
