//! What is checked in more than one scenario. Each oracle reads sources that the checked service cannot touch: the
//! exchange's truth journal, the ledger's platter, the trace.

mod alerts;
mod books;
mod durable_intent;
mod equity;
mod market;
mod orders;
mod panics;

pub use alerts::no_alert_after;
pub use books::{booked_fills_are_true, every_fill_booked_within, ledger_holds_every_fill};
pub use durable_intent::no_order_without_durable_intent;
pub use equity::ledger_and_exchange_agree_on_equity;
pub use market::market_trades_are_contiguous;
pub use orders::{
    no_order_executes_more_than_intended, no_order_is_sent_twice, no_reduce_only_order_grows_a_position,
    no_rejected_order_reaches_the_exchange,
};

pub use panics::{
    emergency_orders_only_reduce, every_panic_is_completed_once, flat_within_10_s_of_the_panic,
    flat_within_15_s_of_the_exit_brains_end, no_entry_after_a_panic, panic_follows_the_last_heartbeat,
    panic_is_completed,
};

use std::sync::{Arc, Mutex};

use ledger::Replica;
use sim::{Checks, View, secs};

use crate::desk::LEDGER;

/// The standing invariants, as far as the slice has what they speak of (S1, S2, S6, S8, S13, S18).
pub fn standing(check: &mut Checks) {
    check.always(no_order_without_durable_intent());
    check.always(no_order_is_sent_twice());
    check.always(no_order_executes_more_than_intended());
    check.always(no_reduce_only_order_grows_a_position());
    check.always(booked_fills_are_true());
    check.always(market_trades_are_contiguous());
    check.eventually("every fill of the exchange is in the ledger", secs(30), ledger_holds_every_fill());
    check.eventually(
        "ledger and exchange agree on the equity",
        secs(30),
        ledger_and_exchange_agree_on_equity(),
    );
}

/// What the ledger would know after a power loss at this moment, read from its platter and kept up to date.
#[derive(Clone, Default)]
struct Platter(Arc<Mutex<Replica>>);

impl Platter {
    fn read<T>(&self, view: &View<'_>, look: impl FnOnce(&Replica) -> T) -> T {
        let mut replica = self.0.lock().expect("looking does not panic");
        replica.catch_up(|file, look| view.durable(LEDGER, file, look));
        look(&replica)
    }
}
