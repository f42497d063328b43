//! The queue in front of the exchange: exits before entries before scans, within the exchange's limits.
//!
//! The exchange counts orders per 10 s and per minute, and the weight of requests per minute; orders have no weight. Windows
//! slide here and are aligned there, so that what fits here fits there. A share of the orders is for exits only. After a
//! `Retry-After` nothing is sent before its time. The queue of entries is bounded: the oldest, whose price is the oldest,
//! gives way. Exits are bounded by what there is to sell, scans by the orders they ask about.
//! Deliberately absent: sending.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

const TEN_SECONDS: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

/// What a request is for, in the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// An order that reduces.
    Exit,
    /// An order that may add.
    Entry,
    /// A question about an order, of this weight.
    Scan(u32),
}

/// The limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleLimits {
    /// Orders per 10 s.
    pub orders_per_10s: u32,
    /// Orders per minute.
    pub orders_per_minute: u32,
    /// How many percent of either are for exits only.
    pub exit_percent: u32,
    /// Weight of scans per minute.
    pub weight_per_minute: u32,
    /// How many entries wait at most.
    pub entries: usize,
}

impl Default for ThrottleLimits {
    /// The exchange's limits ("General Info", LIMITS: 300 orders per 10 s, 1,200 per minute, weight 2,400 per minute) less a
    /// tenth for what is on its way when a window begins; a fifth of the orders for exits; half of the weight, for the
    /// rest of this process asks, too.
    fn default() -> Self {
        Self {
            orders_per_10s: 270,
            orders_per_minute: 1_080,
            exit_percent: 20,
            weight_per_minute: 1_200,
            entries: 512,
        }
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// Send this.
    Send(T),
    /// Nothing before this moment, unless something is added.
    Wait(Instant),
    /// Nothing is queued.
    Idle,
}

/// The queue.
#[derive(Clone, Debug)]
pub struct Throttle<T> {
    limits: ThrottleLimits,
    exits: VecDeque<T>,
    entries: VecDeque<T>,
    scans: VecDeque<(T, u32)>,
    /// When orders were sent, within the last minute, oldest first.
    orders: VecDeque<Instant>,
    /// When scans were sent, and their weights, within the last minute.
    scanned: VecDeque<(Instant, u32)>,
    /// What the exchange counts beyond what was sent here, until when it is taken to count.
    foreign: [Foreign; 2],
    not_before: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Foreign {
    orders: u32,
    until: Option<Instant>,
}

impl<T> Throttle<T> {
    /// An empty queue.
    pub const fn new(limits: ThrottleLimits) -> Self {
        Self {
            limits,
            exits: VecDeque::new(),
            entries: VecDeque::new(),
            scans: VecDeque::new(),
            orders: VecDeque::new(),
            scanned: VecDeque::new(),
            foreign: [Foreign { orders: 0, until: None }; 2],
            not_before: None,
        }
    }

    /// Queues a request; returns the entry that has to give way to it.
    #[must_use]
    pub fn push(&mut self, class: Class, request: T) -> Option<T> {
        match class {
            Class::Exit => self.exits.push_back(request),
            Class::Scan(weight) => self.scans.push_back((request, weight)),
            Class::Entry => {
                self.entries.push_back(request);
                if self.entries.len() > self.limits.entries {
                    return self.entries.pop_front();
                }
            }
        }
        None
    }

    /// How many requests wait.
    pub fn depth(&self) -> usize {
        self.exits.len() + self.entries.len() + self.scans.len()
    }

    /// Nothing may be sent before this moment: the exchange's `Retry-After`.
    pub fn pause_until(&mut self, moment: Instant) {
        self.not_before = self.not_before.max(Some(moment));
    }

    /// Until when a `Retry-After` is in force.
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|moment| now < *moment)
    }

    /// Takes note of the exchange's counts of the account's orders in its present windows of 10 s and a minute.
    pub fn counted(&mut self, now: Instant, ten_seconds: u32, minute: u32) {
        self.forget(now);
        for ((foreign, window), counted) in
            self.foreign.iter_mut().zip([TEN_SECONDS, MINUTE]).zip([ten_seconds, minute])
        {
            let own = sent_within(&self.orders, now, window);
            *foreign = Foreign { orders: counted.saturating_sub(own), until: Some(now + window) };
        }
    }

    /// Takes what is to be sent at `now`, and counts it as sent. Entries wait unless `entries` says that they may go.
    pub fn pop(&mut self, now: Instant, entries: bool) -> Next<T> {
        self.forget(now);
        if let Some(moment) = self.paused_until(now) {
            return if self.depth() == 0 { Next::Idle } else { Next::Wait(moment) };
        }
        let mut wait: Option<Instant> = None;
        let mut later = |moment: Instant| wait = Some(wait.map_or(moment, |wait| wait.min(moment)));
        if !self.exits.is_empty() {
            match self.room_for_order(now, 100) {
                Ok(()) => return self.sent_order(now, true),
                Err(moment) => later(moment),
            }
        }
        if entries && !self.entries.is_empty() {
            match self.room_for_order(now, 100 - self.limits.exit_percent) {
                Ok(()) => return self.sent_order(now, false),
                Err(moment) => later(moment),
            }
        }
        if let Some((_, weight)) = self.scans.front() {
            match self.room_for_scan(now, *weight) {
                Ok(()) => return self.sent_scan(now),
                Err(moment) => later(moment),
            }
        }
        wait.map_or(Next::Idle, Next::Wait)
    }

    fn sent_order(&mut self, now: Instant, exit: bool) -> Next<T> {
        let queue = if exit { &mut self.exits } else { &mut self.entries };
        let Some(order) = queue.pop_front() else { return Next::Idle };
        self.orders.push_back(now);
        Next::Send(order)
    }

    fn sent_scan(&mut self, now: Instant) -> Next<T> {
        let Some((scan, weight)) = self.scans.pop_front() else { return Next::Idle };
        self.scanned.push_back((now, weight));
        Next::Send(scan)
    }

    /// Whether another order fits into `percent` of each window, or when that may be so.
    fn room_for_order(&self, now: Instant, percent: u32) -> Result<(), Instant> {
        let limits = [self.limits.orders_per_10s, self.limits.orders_per_minute];
        let windows = limits.into_iter().zip([TEN_SECONDS, MINUTE]).zip(&self.foreign);
        let full = windows.filter_map(|((limit, window), foreign)| {
            let foreign =
                if foreign.until.is_some_and(|until| now < until) { *foreign } else { Foreign::default() };
            let allowed = limit * percent / 100;
            let own = sent_within(&self.orders, now, window);
            if own + foreign.orders < allowed {
                return None;
            }
            let oldest = self.orders.len() - own as usize;
            let oldest_ends = self.orders.get(oldest).map(|sent| *sent + window);
            oldest_ends.into_iter().chain(foreign.until).min()
        });
        full.max().map_or(Ok(()), Err)
    }

    fn room_for_scan(&self, now: Instant, weight: u32) -> Result<(), Instant> {
        let used: u32 = self.scanned.iter().map(|(_, weight)| weight).sum();
        match self.scanned.front() {
            Some((oldest, _)) if used + weight > self.limits.weight_per_minute => {
                Err((*oldest + MINUTE).max(now))
            }
            _ => Ok(()),
        }
    }

    fn forget(&mut self, now: Instant) {
        while self.orders.pop_front_if(|sent| now - *sent >= MINUTE).is_some() {}
        while self.scanned.pop_front_if(|(sent, _)| now - *sent >= MINUTE).is_some() {}
    }
}

/// How many of `orders`, oldest first, were sent within `window` before `now`.
fn sent_within(orders: &VecDeque<Instant>, now: Instant, window: Duration) -> u32 {
    let older = orders.partition_point(|sent| now - *sent >= window);
    u32::try_from(orders.len() - older).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
