//! What the network has still to do, in the order of time; at one time, in the order in which it was noted.

use std::{cmp::Reverse, collections::BinaryHeap};

use turmoil_net::Packet;

use super::packet::FlowKey;
use crate::time::SimTime;

/// Something to be done at a time.
pub(super) enum What {
    /// A packet arrives.
    Deliver(Packet),
    /// What is stalled in a flow is sent again.
    Retry(FlowKey),
    /// A connection that both ends have closed need not be remembered any more.
    Forget(FlowKey),
}

#[derive(Default)]
pub(super) struct Queue {
    due: BinaryHeap<Reverse<Due>>,
    noted: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: SimTime, what: What) {
        self.noted += 1;
        self.due.push(Reverse(Due { at, order: self.noted, what }));
    }

    /// When the next thing is due.
    pub(super) fn next(&self) -> Option<SimTime> {
        self.due.peek().map(|Reverse(due)| due.at)
    }

    /// The next thing, if it is due by `now`.
    pub(super) fn pop(&mut self, now: SimTime) -> Option<What> {
        if self.next()? > now {
            return None;
        }
        self.due.pop().map(|Reverse(due)| due.what)
    }
}

struct Due {
    at: SimTime,
    order: u64,
    what: What,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
