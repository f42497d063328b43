//! Faults that are single acts: they strike the moment they can.

use std::sync::Arc;

use super::user::expire;
use crate::{fault::Fault, server::Venue};

/// Does what the board tells to do at once, whenever it or the streams change.
pub(crate) async fn act(venue: Arc<Venue>) {
    let mut changes = venue.exchange.faults().subscribe();
    loop {
        while strike(&venue) {}
        tokio::select! { biased;
            changed = changes.changed() => changed.expect("the exchange keeps the board"),
            () = venue.stirred.notified() => {}
        }
    }
}

/// Whether something was done.
fn strike(venue: &Venue) -> bool {
    let mut state = venue.exchange.lock();
    let has_key = state.keys.next_expiry().is_some();
    let struck = venue.exchange.faults().strike(|fault| match fault {
        Fault::ListenKeyExpiry { silent } if has_key => Some(Some(*silent)),
        Fault::StreamDrop(audience) => venue.hub.cut(*audience).then_some(None),
        _ => None,
    });
    if let Some(Some(silent)) = struck {
        let keys = state.keys.expire_all();
        keys.iter().for_each(|key| expire(venue, key, silent));
    }
    struck.is_some()
}
