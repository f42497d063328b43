//! The orders that are under way, each with the chain of requests that belongs to it until it is settled: send, ask, ask for
//! trades. Events of the user stream come in between, and usually settle it first.

use std::{collections::BTreeMap, time::Duration};

use env::fact;
use tokio::time::Instant;

use crate::{
    clients::backoff::Backoff,
    core::{ClientOrderId, Order, Status, age::PriceAge},
};

/// How long after an answer an order that is not settled is asked about: the user stream needs some milliseconds, and a
/// fill is to be in the ledger within 2 s.
const ASK_FIRST: Duration = Duration::from_secs(1);

/// The longest pause between questions about one order; an order is to be resolved within 60 s of being resolvable.
const ASK_CAP: Duration = Duration::from_secs(10);

/// The next step of an order's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Ask,
    Send,
}

/// An order under way.
pub(super) struct Tracked {
    pub(super) order: Order,
    /// Of an entry of this life.
    pub(super) price_age: Option<PriceAge>,
    pub(super) sent_at: Instant,
    pub(super) attempts: u64,
    pub(super) backoff: Backoff,
    /// Whether a request is queued or under way; otherwise the chain pauses.
    pub(super) in_flight: bool,
    /// Counts the pauses, so that one can be cut short: the end of an older one is void.
    step: u64,
    /// What the next step of the chain is.
    next: Next,
}

/// All of them.
#[derive(Default)]
pub(super) struct Orders(BTreeMap<ClientOrderId, Tracked>);

impl Orders {
    pub(super) fn track(&mut self, order: Order, price_age: Option<PriceAge>) {
        let tracked = Tracked {
            price_age,
            sent_at: Instant::now(),
            attempts: 0,
            backoff: Backoff::new("trader.ask", ASK_FIRST, ASK_CAP),
            in_flight: false,
            step: 0,
            next: Next::Ask,
            order,
        };
        self.0.insert(tracked.order.intent().client_order_id.clone(), tracked);
    }

    pub(super) fn get(&self, id: &ClientOrderId) -> Option<&Tracked> {
        self.0.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &ClientOrderId) -> Option<&mut Tracked> {
        self.0.get_mut(id)
    }

    /// How many there are of which nobody knows whether the exchange has them.
    pub(super) fn unknown(&self) -> u64 {
        self.0.values().filter(|tracked| tracked.order.status() == Status::Unknown).count() as u64
    }

    /// Takes a settled order out.
    pub(super) fn forget(&mut self, id: &ClientOrderId) -> Option<Order> {
        self.0.remove(id).map(|tracked| tracked.order)
    }

    /// The orders that pause before this step.
    pub(super) fn pausing(&self, next: Next) -> Vec<ClientOrderId> {
        let pausing = self.0.iter().filter(|(_, tracked)| !tracked.in_flight && tracked.next == next);
        pausing.map(|(id, _)| id.clone()).collect()
    }

    /// Begins a pause before this step; its number.
    pub(super) fn pause(&mut self, id: &ClientOrderId, next: Next) -> Option<u64> {
        let tracked = self.0.get_mut(id)?;
        tracked.in_flight = false;
        tracked.step += 1;
        tracked.next = next;
        Some(tracked.step)
    }

    /// The step that follows the end of this pause, unless it was cut short.
    pub(super) fn after_pause(&self, id: &ClientOrderId, step: u64) -> Option<Next> {
        let tracked = self.0.get(id)?;
        (tracked.step == step && !tracked.in_flight).then_some(tracked.next)
    }
}

/// Reports a change of status.
pub(super) fn report(id: &ClientOrderId, from: Status, to: Status, reason: Option<&str>) {
    if from == Status::Unknown {
        fact!("order.resolved", client_order_id = %id, status = to.as_str());
    }
    match to {
        Status::Unknown => fact!("order.unknown", client_order_id = %id, reason = reason.unwrap_or_default()),
        Status::Rejected => {
            let reason = reason.unwrap_or("the exchange rejected it");
            fact!("order.rejected", client_order_id = %id, reason);
        }
        _ if from == Status::Sent => fact!("order.acked", client_order_id = %id, status = to.as_str()),
        _ => {}
    }
}

/// Reports the end of an order that the exchange had.
pub(super) fn report_end(order: &Order) {
    let id = &order.intent().client_order_id;
    let qty = order.executed();
    let avg_price = order.avg_price().unwrap_or_default();
    match order.status() {
        Status::Filled => fact!("order.filled", client_order_id = %id, qty = %qty, avg_price = %avg_price),
        Status::Canceled | Status::Expired => {
            fact!("order.ended", client_order_id = %id, status = order.status().as_str(), qty = %qty, avg_price = %avg_price);
        }
        _ => {}
    }
}
