//! A term begins with reconciliation: whoever leads knows what the exchange knows.

use std::collections::BTreeSet;

use sim::{Invariant, invariant};

/// Nobody leads under an epoch, and no order leaves under it, before ledger and exchange were compared under it.
pub fn no_term_without_reconciliation() -> Invariant {
    let mut reconciled: BTreeSet<u64> = BTreeSet::new();
    invariant("a leader has reconciled before it trades", move |event, _| {
        let epoch = event.number("epoch").unwrap_or_default();
        match event.name {
            "reconcile.done" => {
                reconciled.insert(epoch);
                Ok(())
            }
            "leader.acquired" | "order.sent" if !reconciled.contains(&epoch) => Err(event.to_string()),
            _ => Ok(()),
        }
    })
}
