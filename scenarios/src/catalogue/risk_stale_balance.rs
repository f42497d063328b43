//! SCENARIO      The exchange answers with a balance from before the last fills; later it refuses to tell the balance.
//! EXPECTED      The balance is read before an entry is judged, no entry rests on one that is older than the last fill, exits
//!               go on, and entries resume when the balance is true again.
//! FAILURE MODE  Over-leverage: an entry is judged by a balance that was true before the last fills.
//! SOURCE        tiered-chaos-suite, tier 1

use sim::{Checks, Draw, Plan, World, ms, secs};

use crate::{
    desk::{self, BROKER},
    oracles::{ledger_holds_the_balance, no_entry_on_a_balance_from_before_a_fill, standing},
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario = scenario("risk_stale_balance", "the exchange tells an old balance, then none")
    .tier(1)
    .about(Category::Trading, Impact::Critical)
    .source("tiered-chaos-suite")
    .cost(Cost::Quick)
    .steps(setup, inject, verify)
    .lasting(secs(90), secs(20));

/// What may be on its way when a fill happens: an entry to the exchange, 20 ms, and the news of the fill, 20 ms; with the
/// trader's own time this is ample.
const ON_ITS_WAY: std::time::Duration = ms(250);

fn setup(world: &mut World) {
    desk::slice_trading_by(world, desk::busy_rule());
}

fn inject(plan: &mut Plan, draw: &mut Draw) {
    let (old, refused) = (draw.span(secs(12), secs(20)), draw.span(secs(50), secs(60)));
    plan.at(old).peer(BROKER, "stale-balance 2m").lasting(secs(20));
    plan.at(refused).peer(BROKER, "definite-503 100% balances").lasting(secs(20));
}

fn verify(check: &mut Checks) {
    standing(check);
    check.always(no_entry_on_a_balance_from_before_a_fill(ON_ITS_WAY));
    check.reached("peer broker stale-balance");
    check.reached("peer broker definite-503");
    check.eventually("entries were refused for want of a balance", secs(1), |view| {
        let refused = |reason: &str| {
            view.named("signal.refused").filter(|event| event.text("reason") == Some(reason)).count()
        };
        match refused("SKIP_STALE_BALANCE") {
            0 => Err("none was".into()),
            _ => Ok(()),
        }
    });
    check.eventually("entries resume when the balance is told again", secs(30), |view| {
        let told = view.named("fault.ends").next_back().map(|event| event.at);
        let entry = view.named("intent.stored").filter(|event| event.text("side") == Some("BUY"));
        let last = entry.map(|event| event.at).next_back();
        if told.is_some() && last > told {
            Ok(())
        } else {
            Err(format!("told {told:?}, last entry {last:?}"))
        }
    });
    check.eventually("the balance on record is the exchange's", secs(30), ledger_holds_the_balance());
}
