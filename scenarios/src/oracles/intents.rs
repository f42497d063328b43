//! What the trader meant: intents as a power loss of every machine would leave them.

use runtime::services::trader::{OUTBOX_FILE, held_in_outbox};
use rust_decimal::Decimal;
use sim::View;

use super::{Platter, is_trader};

/// A durable intent.
#[derive(Clone, Debug)]
pub(super) struct Intended {
    pub(super) intent_id: String,
    pub(super) qty: Decimal,
    pub(super) reduce_only: bool,
}

/// The intent of an order: a row of `order_intents` on the ledger's platter, or a record in a trader's own outbox.
pub(super) fn intent_of(view: &View<'_>, platter: &Platter, id: &str) -> Option<Intended> {
    let row = platter.read(view, |replica| {
        let row = replica.find("order_intents", "client_order_id", id)?;
        Some(Intended {
            intent_id: row.text("intent_id")?,
            qty: row.text("qty")?.parse().ok()?,
            reduce_only: row.text("reduce_only")? == "t",
        })
    });
    row.or_else(|| view.hosts().filter(|host| is_trader(host)).find_map(|trader| in_outbox(view, trader, id)))
}

fn in_outbox(view: &View<'_>, trader: &str, id: &str) -> Option<Intended> {
    view.durable(trader, OUTBOX_FILE, |image| {
        let intent =
            held_in_outbox(image.unwrap_or_default()).find(|intent| intent.client_order_id.as_str() == id)?;
        Some(Intended {
            intent_id: intent.intent_id.to_string(),
            qty: intent.qty.get(),
            reduce_only: intent.reduce_only,
        })
    })
}
