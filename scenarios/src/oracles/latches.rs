//! S10 and S11: what only a person clears holds through every restart and failover.

use std::{collections::BTreeMap, time::Duration};

use broker::Event as Truth;
use sim::{Invariant, SimTime, invariant, ms};

use super::orders::news;

/// From the first panic event on, so long may an entry still arrive at the exchange (S10).
const PANIC_GRACE: Duration = ms(500);

/// From the acknowledgement of a halt on, so long may an entry still arrive: the age at which the leader's knowledge of the
/// halts is no knowledge any more, and the way to the exchange.
const GRACE: Duration = ms(1_100);

/// Once a halt that only a person clears is acknowledged, or a panic event published, the exchange accepts no order that
/// may open or grow a position until it is cleared.
pub fn no_entry_while_a_latch_stands() -> Invariant {
    let mut seen = 0;
    let mut standing: BTreeMap<String, (SimTime, Duration)> = BTreeMap::new();
    invariant("no entry is taken while a halt stands that only a person clears", move |event, view| {
        let reason = || event.text("reason").unwrap_or_default().to_owned();
        match event.name {
            "halt.set" => {
                standing.entry(reason()).or_insert((event.at, GRACE));
            }
            "panic.published" => {
                standing.entry("PANIC".into()).or_insert((event.at, PANIC_GRACE));
            }
            // Of the supervisor, which clears it everywhere or finds that a person has. A trader's word does not count.
            "halt.cleared" => {
                standing.remove(&reason());
            }
            _ => {}
        }
        for truth in news(view, &mut seen) {
            let Truth::OrderReceived(order) = truth else { continue };
            let broken = standing.iter().find(|(_, (since, grace))| event.at.since(*since) > *grace);
            if let (false, Some((reason, (since, _)))) = (order.reduce_only, broken) {
                return Err(format!("{reason} stands since {since}, and {} arrived", order.client_order_id));
            }
        }
        Ok(())
    })
}
