//! A calm day has nothing to report.

use std::time::Duration;

use sim::{Invariant, invariant};

/// Facts that tell of trouble. Whatever ends like one of these counts, too.
const TROUBLE: &[&str] = &[
    "feeder.disconnected",
    "feeder.gap",
    "intent.in_outbox",
    "intent.refused",
    "ledger.panicked",
    "ledger.refused",
    "ledger.write_refused",
    "market.malformed",
    "order.rejected",
    "order.unknown",
    "server.failed",
    "signal.malformed",
];

/// Nothing troubling is reported once the system has had this long to start.
pub fn no_alert_after(start: Duration) -> Invariant {
    invariant("nothing troubling is reported", move |event, view| {
        let trouble =
            TROUBLE.contains(&event.name) || event.name.ends_with(".down") || event.name.ends_with("_failed");
        if trouble && view.now().elapsed() > start {
            Err(event.to_string().trim().to_string())
        } else {
            Ok(())
        }
    })
}
