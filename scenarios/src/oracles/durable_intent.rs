//! S2: the intent first, durably; then the order.

use runtime::core::emergency::EMERGENCY_ORDER_PREFIX;
use sim::{Invariant, invariant};

use super::{Platter, intents::intent_of};

/// At the moment when an order request reaches the exchange, its intent would survive a power loss of every machine: as a
/// row of `order_intents` on the ledger's platter, or in the trader's own outbox. The orders of an emergency exit need none.
pub fn no_order_without_durable_intent() -> Invariant {
    let platter = Platter::default();
    invariant("every order request is preceded by a durable intent", move |event, view| {
        if event.name != "broker.order_received" {
            return Ok(());
        }
        let id = event.text("client_order_id").unwrap_or_default();
        if id.starts_with(EMERGENCY_ORDER_PREFIX) || intent_of(view, &platter, id).is_some() {
            return Ok(());
        }
        Err(format!(
            "order {id} reached the exchange, its intent is neither on the ledger's disk nor in the outbox"
        ))
    })
}
