//! What is checked in more than one scenario. Each oracle reads sources that the checked service cannot touch: the
//! exchange's truth journal, the ledger's platter, the trace.

mod alerts;
mod balance;
mod books;
mod durable_intent;
mod equity;
mod healing;
mod intents;
mod journal;
mod latches;
mod leaders;
mod market;
mod orders;
mod panics;
mod positions;
mod state_files;
mod statuses;

pub use alerts::no_alert_after;
pub use balance::{ledger_holds_the_balance, no_entry_on_a_balance_from_before_a_fill};
pub use books::{booked_fills_are_true, every_fill_booked_within, ledger_holds_every_fill};
pub use durable_intent::no_order_without_durable_intent;
pub use equity::ledger_and_exchange_agree_on_equity;
pub use healing::{dor_only_with_live_streams, restarts_follow_two_failing_checks};
pub use journal::{no_entry_before_its_line, the_journal_is_whole};
pub use latches::no_entry_while_a_latch_stands;
pub use leaders::leaders_do_not_interleave;
pub use market::market_trades_are_contiguous;
pub use orders::{
    no_order_executes_more_than_intended, no_order_is_sent_twice, no_reduce_only_order_grows_a_position,
    no_rejected_order_reaches_the_exchange,
};
pub use panics::{
    flat_within_15_s_of_the_exit_brains_end, no_panic, panic_follows_the_last_heartbeat, panic_is_completed,
    standing_of_panics,
};
pub use positions::{booked_positions_are_those_of_the_booked_fills, positions_equal_the_truth_replayed};
pub use state_files::acknowledged_state_survives;
pub use statuses::statuses_only_go_forward;

use std::sync::{Arc, Mutex};

use ledger::Replica;
use sim::{Checks, View, secs};

use crate::desk::{LEDGER, TRADER};

/// The standing invariants, as far as the slice has what they speak of (S1, S2, S4 to S8, S10, S11,
/// S13, S15, S16, S18, S21).
pub fn standing(check: &mut Checks) {
    check.always(no_order_without_durable_intent());
    check.always(no_order_is_sent_twice());
    check.always(no_order_executes_more_than_intended());
    check.always(no_reduce_only_order_grows_a_position());
    check.always(booked_fills_are_true());
    check.always(booked_positions_are_those_of_the_booked_fills());
    check.always(statuses_only_go_forward());
    check.always(leaders_do_not_interleave());
    check.always(no_entry_while_a_latch_stands());
    check.always(acknowledged_state_survives());
    check.always(market_trades_are_contiguous());
    check.always(the_journal_is_whole());
    check.always(no_entry_before_its_line());
    check.eventually("every fill of the exchange is in the ledger", secs(30), ledger_holds_every_fill());
    check.eventually(
        "the ledger's positions are those of the exchange's fills, replayed",
        secs(30),
        positions_equal_the_truth_replayed(),
    );
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

/// Of one or two traders, whichever the world has.
fn is_trader(host: &str) -> bool {
    host.starts_with(TRADER)
}
