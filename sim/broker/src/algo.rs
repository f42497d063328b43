//! What the algo service knows of a conditional order that was placed with it: it keeps the order until it is triggered and
//! then hands it to the matching engine ("Event: Algo Order Update").

use std::sync::Arc;

use env::WallTime;

use crate::order::{AlgoStatus, OrderStatus};

/// The algo service's part of an order.
#[derive(Clone, Debug)]
pub(crate) struct Algo {
    pub status: AlgoStatus,
    pub triggered_at: Option<WallTime>,
    /// Why the matching engine did not take it.
    pub failure: Option<Arc<str>>,
}

impl Algo {
    pub fn new() -> Self {
        Self { status: AlgoStatus::New, triggered_at: None, failure: None }
    }

    /// Whether the matching engine has, or had, the order.
    pub fn is_placed(&self) -> bool {
        matches!(self.status, AlgoStatus::Triggered | AlgoStatus::Finished)
    }

    /// The order has ended.
    pub fn end(&mut self, ended: OrderStatus) {
        self.status = match self.status {
            AlgoStatus::Triggered => AlgoStatus::Finished,
            AlgoStatus::Triggering => AlgoStatus::Rejected,
            AlgoStatus::New if ended == OrderStatus::Canceled => AlgoStatus::Canceled,
            AlgoStatus::New => AlgoStatus::Expired,
            over => over,
        };
    }
}
