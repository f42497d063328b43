//! S7: what the ledger says of an order only goes forward.

use std::collections::BTreeMap;

use runtime::core::Status;
use sim::{Invariant, invariant};

use super::{Platter, is_trader};

/// Facts after which an order's statuses have been written, or soon will be.
const LATE: &[&str] = &["fill.booked", "order.ended", "order.filled", "order.rejected", "order.resolved"];

/// The rank of an order's status never decreases, and nothing follows a terminal one, in the order of the ledger's rows.
pub fn statuses_only_go_forward() -> Invariant {
    let platter = Platter::default();
    let mut newest = 0;
    let mut last: BTreeMap<String, Status> = BTreeMap::new();
    invariant("the status of an order never goes back, and a terminal one is final", move |event, view| {
        if !LATE.contains(&event.name) || !is_trader(&event.host) {
            return Ok(());
        }
        platter.read(view, |replica| {
            for row in replica.news("order_events", &mut newest) {
                let text = row.text("status").unwrap_or_default();
                let status: Status = text.parse().map_err(|error| format!("{error}"))?;
                let id = row.text("client_order_id").unwrap_or_default();
                if let Some(before) = last.insert(id.clone(), status)
                    && (before.is_terminal() || status.rank() < before.rank())
                {
                    return Err(format!("{id} was {before} and became {status}"));
                }
            }
            Ok(())
        })
    })
}
