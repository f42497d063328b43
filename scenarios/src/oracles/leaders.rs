//! S4: the orders of two leaders never interleave.

use broker::Event as Truth;
use sim::{Invariant, invariant};

use super::{Platter, orders::news};

/// The exchange receives orders in the order of the fencing epochs under which their intents were stored: once it has
/// heard from a new leader, nothing of an old one arrives.
pub fn leaders_do_not_interleave() -> Invariant {
    let platter = Platter::default();
    let mut seen = 0;
    let mut newest: u64 = 0;
    invariant("orders of an old leader do not follow those of a new one", move |_, view| {
        for truth in news(view, &mut seen) {
            let Truth::OrderReceived(order) = truth else { continue };
            let epoch = platter.read(view, |replica| {
                let row = replica.find("order_intents", "client_order_id", &order.client_order_id)?;
                row.text("epoch")?.parse::<u64>().ok()
            });
            // What is in an outbox only, or came from the emergency exit, has no epoch on the platter.
            let Some(epoch) = epoch else { continue };
            if epoch < newest {
                return Err(format!(
                    "order {} of epoch {epoch} arrived after one of epoch {newest}",
                    order.client_order_id
                ));
            }
            newest = epoch;
        }
        Ok(())
    })
}
