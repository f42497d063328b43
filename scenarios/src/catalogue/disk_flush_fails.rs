//! SCENARIO      An fsync fails, once in the trader's order journal, once in its outbox or wherever it is next, perhaps
//!               once in the ledger's log; each time the next one would succeed.
//! EXPECTED      What was not synced counts for nothing: entries halt until the journal stands in a new file, exits go
//!               on, the ledger recovers from its log.
//! FAILURE MODE  The fsync is tried again and succeeds, but the data are gone.
//! SOURCE        tiered-chaos-suite, tier 1

use sim::{Checks, Draw, Plan, World, ms, secs};

use crate::{
    desk::{self, LEDGER, TRADER},
    oracles::{no_rejected_order_reaches_the_exchange, standing},
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario =
    scenario("disk_flush_fails", "an fsync fails once, and the next would succeed without the data")
        .tier(1)
        .about(Category::Storage, Impact::Critical)
        .source("tiered-chaos-suite")
        .cost(Cost::Quick)
        .steps(setup, inject, verify)
        .lasting(secs(60), secs(20));

fn setup(world: &mut World) {
    desk::slice_trading_by(world, desk::busy_rule());
}

/// A signal's first trace on the trader's disk is its line in the journal: that fsync fails. The first fill means that a
/// position is open: while the ledger's disk is full its exit goes to the outbox, and an fsync after a refusal fails, too.
fn inject(plan: &mut Plan, draw: &mut Draw) {
    plan.on("fill.booked", 1)
        .after(draw.span(ms(200), ms(1_500)))
        .disk(LEDGER)
        .full_after(0)
        .lasting(secs(12));
    plan.on("ledger.write_refused", draw.within(1..4)).disk(TRADER).fsync_fails();
    plan.on("signal.issued", draw.within(4..9)).disk(TRADER).fsync_fails();
    if draw.chance(50) {
        plan.at(secs(40) + draw.span(ms(0), ms(10_000))).disk(LEDGER).fsync_fails();
    }
}

fn verify(check: &mut Checks) {
    standing(check);
    check.always(no_rejected_order_reaches_the_exchange());
    check.reached("journal.failed");
    check.reached("intent.in_outbox");
    check.eventually("the journal stands in a new file", secs(30), |view| {
        let moment = |name: &str| view.named(name).next_back().map(|event| event.at);
        let (failed, rewritten) = (moment("journal.failed"), moment("journal.rewritten"));
        if rewritten >= failed {
            Ok(())
        } else {
            Err(format!("last failed {failed:?}, last rewritten {rewritten:?}"))
        }
    });
    check.eventually("an order is filled after the last fsync that failed", secs(60), |view| {
        let failed = view.named("fault.bit").next_back().map(|event| event.at);
        let filled = view.named("order.filled").next_back().map(|event| event.at);
        if filled > failed { Ok(()) } else { Err(format!("failed {failed:?}, last filled {filled:?}")) }
    });
}
