//! SCENARIO      The ledger's disk fills up while an order is being stored.
//! EXPECTED      Entries are rejected and the exchange never hears of them, exits go on, the ledger stays readable, and
//!               it stores again when there is room.
//! FAILURE MODE  An order is sent although its intent was never stored.
//! SOURCE        tiered-chaos-suite, tier 1

use sim::{Checks, Draw, Plan, World, invariant, ms, secs};

use crate::{
    desk::{self, LEDGER},
    oracles::{no_rejected_order_reaches_the_exchange, standing},
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario =
    scenario("disk_full_ledger_write", "the ledger's disk fills up while an order is being stored")
        .tier(1)
        .about(Category::Storage, Impact::Critical)
        .source("tiered-chaos-suite")
        .cost(Cost::Quick)
        .steps(setup, inject, verify)
        .lasting(secs(60), secs(20));

/// Bytes of the ledger's record of an entry's intent, the shortest that the trader writes. With less room than this the
/// first write of the outage, an exit's intent, is cut short, and so is every entry's, each after exactly the bytes that
/// still fit.
const INTENT_RECORD: u64 = 97;

fn setup(world: &mut World) {
    desk::slice_trading_by(world, desk::busy_rule());
    desk::operator(world);
}

/// The first fill means that a position is open: its exit is what finds the disk full.
fn inject(plan: &mut Plan, draw: &mut Draw) {
    let after = draw.span(ms(200), ms(1_500));
    plan.on("fill.booked", 1)
        .after(after)
        .disk(LEDGER)
        .full_after(draw.within(0..INTENT_RECORD))
        .lasting(secs(30));
}

fn verify(check: &mut Checks) {
    standing(check);
    check.always(no_rejected_order_reaches_the_exchange());
    check.always(invariant("the ledger stays readable", |event, _| match event.name {
        "operator.cannot_read" => Err(event.text("reason").unwrap_or_default().to_string()),
        _ => Ok(()),
    }));
    check.reached("disk full");
    check.reached("intent.in_outbox");
    check.eventually("an exit was executed while the disk was full", secs(5), |view| {
        let moment = |name: &str| view.named(name).next().map(|event| event.at);
        let (full, freed) = (moment("fault.begins"), moment("fault.ends"));
        let exits: Vec<&str> =
            view.named("intent.in_outbox").filter_map(|event| event.text("client_order_id")).collect();
        let executed = view.named("broker.order_filled").any(|event| {
            let during = Some(event.at) > full && Some(event.at) < freed;
            during && event.text("client_order_id").is_some_and(|id| exits.contains(&id))
        });
        if executed { Ok(()) } else { Err(format!("none of {exits:?} was")) }
    });
    check.eventually("an entry was rejected, and the rejection names the disk", secs(5), |view| {
        // The first one is rejected by the ledger, those after it because the ledger does not store.
        let rejected = view.named("order.rejected").filter_map(|event| event.text("reason"));
        let refused = view.named("signal.refused").filter_map(|event| event.text("why"));
        let reasons: Vec<&str> = rejected.chain(refused).collect();
        let named = reasons.iter().any(|reason| reason.contains("disk space"));
        if named { Ok(()) } else { Err(format!("the reasons were {reasons:?}")) }
    });
    check.eventually("an intent is stored again after the disk has room", secs(60), |view| {
        let freed = view.named("fault.ends").next().map(|event| event.at);
        let stored = view.named("intent.stored").next_back().map(|event| event.at);
        if freed.is_some() && stored > freed {
            Ok(())
        } else {
            Err(format!("freed {freed:?}, last stored {stored:?}"))
        }
    });
    check.eventually("the outbox is drained", secs(30), |view| {
        let filled = view.named("intent.in_outbox").next_back().map(|event| event.at);
        let drained = view.named("outbox.drained").next_back().map(|event| event.at);
        if drained >= filled {
            Ok(())
        } else {
            Err(format!("last filled {filled:?}, last drained {drained:?}"))
        }
    });
}
