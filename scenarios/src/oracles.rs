//! What is checked in more than one scenario. Each oracle reads sources that the checked service cannot touch: the
//! exchange's truth journal, the ledger's platter, the trace.

mod alerts;
mod balance;
mod books;
mod durable_intent;
mod equity;
mod healing;
mod market;
mod orders;

pub use alerts::no_alert_after;
pub use balance::{ledger_holds_the_balance, no_entry_on_a_balance_from_before_a_fill};
pub use books::{booked_fills_are_true, every_fill_booked_within, ledger_holds_every_fill};
pub use durable_intent::no_order_without_durable_intent;
pub use equity::ledger_and_exchange_agree_on_equity;
pub use healing::{dor_only_with_live_streams, restarts_follow_two_failing_checks};
pub use market::market_trades_are_contiguous;
pub use orders::{
    no_order_executes_more_than_intended, no_order_is_sent_twice, no_reduce_only_order_grows_a_position,
    no_rejected_order_reaches_the_exchange,
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
