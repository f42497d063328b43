//! SCENARIO      Orders fail three times within a minute, and the trader is killed while the breaker is open.
//! EXPECTED      The third failure opens the breaker: no entry for 120 s, through the restart; then one probe, and when the
//!               exchange takes it, entries as before.
//! FAILURE MODE  The restart closes the breaker.
//! SOURCE        auto-heal-runbook, scenario 7

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use broker::{Event as Truth, Journal};
use sim::{Checks, Draw, Invariant, Plan, SimTime, World, invariant, ms, secs};

use crate::{
    desk::{self, BROKER, TRADER},
    oracles::standing,
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario = scenario("risk_breaker_trips", "three orders fail within a minute")
    .about(Category::Trading, Impact::Critical)
    .source("auto-heal-runbook")
    .cost(Cost::Quick)
    .steps(setup, inject, verify)
    .lasting(secs(190), secs(30));

/// Three failures within this time open the breaker (auto-heal runbook, scenario 7), for this long.
const WINDOW: Duration = secs(60);
const OPEN_FOR: Duration = secs(120);

/// What was on its way when the breaker opened has arrived after this long.
const ON_ITS_WAY: Duration = ms(250);

fn setup(world: &mut World) {
    desk::slice_trading_by(world, desk::busy_rule());
}

/// Unanswered orders never get to the exchange, so that what it receives is what was sent before and after.
fn inject(plan: &mut Plan, draw: &mut Draw) {
    plan.at(draw.span(secs(12), secs(20))).peer(BROKER, "unknown-503 100% orders dropped").lasting(secs(40));
    let lasting = draw.span(secs(1), secs(10));
    plan.on("order.unknown", 3).after(draw.span(ms(0), secs(100))).host(TRADER).kill().lasting(lasting);
}

fn verify(check: &mut Checks) {
    standing(check);
    check.always(no_entry_while_open());
    check.reached("peer broker unknown-503");
    check.eventually("the third failure opens the breaker, and the probe closes it", secs(30), |view| {
        let states: Vec<&str> =
            view.named("breaker.changed").filter_map(|event| event.text("state")).collect();
        if states.starts_with(&["OPEN"]) && states.ends_with(&["CLOSED"]) {
            Ok(())
        } else {
            Err(format!("it went through {states:?}"))
        }
    });
}

/// S12, without trusting the breaker: reckoned from the failures that the trader reports. After the time of an open breaker
/// one entry may be under way until the exchange has taken it.
fn no_entry_while_open() -> Invariant {
    let mut seen = 0;
    let mut failures: Vec<SimTime> = Vec::new();
    let mut opened: Option<SimTime> = None;
    let mut probes: BTreeSet<Arc<str>> = BTreeSet::new();
    invariant(
        "an open breaker lets no entry through, and a half-open one a single probe",
        move |event, view| {
            if event.name == "order.unknown" && opened.is_none_or(|at| view.now().since(at) > OPEN_FOR) {
                failures.retain(|at| view.now().since(*at) <= WINDOW);
                failures.push(event.at);
                if failures.len() >= 3 || opened.is_some() {
                    opened = Some(event.at);
                    probes.clear();
                }
            }
            let journal = view.exhibit::<Journal>();
            let records = journal.since(seen);
            seen += records.len();
            for record in records.iter() {
                match (&record.event, opened) {
                    (Truth::OrderReceived(order), Some(at)) if !order.reduce_only => {
                        let since = view.now().since(at);
                        if since > ON_ITS_WAY && since < OPEN_FOR {
                            return Err(format!(
                                "{} was received {since:?} after the breaker opened",
                                order.client_order_id
                            ));
                        }
                        if since >= OPEN_FOR {
                            probes.insert(order.client_order_id.clone());
                        }
                        if probes.len() > 1 {
                            return Err(format!(
                                "{} was received while a probe was under way",
                                order.client_order_id
                            ));
                        }
                    }
                    (Truth::OrderAccepted { client_order_id, .. }, Some(at))
                        if view.now().since(at) >= OPEN_FOR && probes.contains(client_order_id) =>
                    {
                        opened = None;
                        failures.clear();
                    }
                    _ => {}
                }
            }
            Ok(())
        },
    )
}
