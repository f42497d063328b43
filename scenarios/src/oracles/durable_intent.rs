//! S2: the intent first, durably; then the order.

use runtime::{
    core::emergency::EMERGENCY_ORDER_PREFIX,
    services::trader::{OUTBOX_FILE, held_in_outbox},
};
use sim::{Invariant, View, invariant};

use super::{Platter, is_trader};

/// At the moment when an order request reaches the exchange, its intent would survive a power loss of every machine: as a
/// row of `order_intents` on the ledger's platter, or in the trader's own outbox. The orders of an emergency exit need none.
pub fn no_order_without_durable_intent() -> Invariant {
    let platter = Platter::default();
    invariant("every order request is preceded by a durable intent", move |event, view| {
        if event.name != "broker.order_received" {
            return Ok(());
        }
        let id = event.text("client_order_id").unwrap_or_default();
        let stored =
            platter.read(view, |replica| replica.find("order_intents", "client_order_id", id).is_some());
        if stored || id.starts_with(EMERGENCY_ORDER_PREFIX) || in_outbox(view, id) {
            return Ok(());
        }
        Err(format!(
            "order {id} reached the exchange, its intent is neither on the ledger's disk nor in the outbox"
        ))
    })
}

fn in_outbox(view: &View<'_>, id: &str) -> bool {
    view.hosts().filter(|host| is_trader(host)).any(|trader| {
        view.durable(trader, OUTBOX_FILE, |image| {
            held_in_outbox(image.unwrap_or_default()).any(|intent| intent.client_order_id.to_string() == id)
        })
    })
}
