//! Leave to send: the lease and the halts, as everybody in the trader sees them.
//!
//! Asked at the moment of handing a request to the network, with nothing awaited in between: what was allowed before a
//! pause may not be allowed after it. Raising and ending a cause is up to whoever observes it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use env::fact;
use tokio::time::Instant;

use crate::{
    core::{Cause, Change, Epoch, Halts, Intent, Latch, Lease, LeaseEvent, Symbol},
    status::Status,
};

/// The leave of one trader. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Leave {
    state: Arc<Mutex<State>>,
    status: Status,
}

#[derive(Default)]
struct State {
    lease: Lease,
    halts: Halts,
    /// When something was allowed to leave last.
    granted: Option<Instant>,
}

impl Leave {
    /// No leave yet; `status` shows what stands against it.
    pub(super) fn new(status: Status) -> Self {
        Self { state: Arc::default(), status }
    }

    /// Whether a position in `symbol` may be opened or grown by a request that leaves at `now`, and under which epoch.
    ///
    /// # Errors
    /// The reasons against it.
    pub(super) fn may_enter(&self, now: Instant, symbol: &Symbol) -> Result<Epoch, Halts> {
        let mut state = self.state();
        match (state.lease(now), state.halts.may_enter(symbol)) {
            (Ok(epoch), Ok(())) => {
                state.granted = Some(now);
                Ok(epoch)
            }
            (Ok(_), Err(halts)) | (Err(halts), Ok(())) => Err(halts),
            (Err(_), Err(mut halts)) => {
                halts.raise(Cause::LeaderLost);
                Err(halts)
            }
        }
    }

    /// Whether a position may be reduced by a request that leaves at `now`, and under which epoch.
    ///
    /// # Errors
    /// The reasons against it.
    pub(super) fn may_exit(&self, now: Instant) -> Result<Epoch, Halts> {
        let mut state = self.state();
        state.halts.may_exit()?;
        let epoch = state.lease(now)?;
        state.granted = Some(now);
        Ok(epoch)
    }

    /// Whether the order of `intent` may leave at `now`, and under which epoch.
    ///
    /// # Errors
    /// The reasons against it.
    pub(super) fn may_send(&self, now: Instant, intent: &Intent) -> Result<Epoch, Halts> {
        match intent.reduce_only {
            true => self.may_exit(now),
            false => self.may_enter(now, &intent.symbol),
        }
    }

    /// A cause has begun; nothing happens if it stands already.
    pub(super) fn raise(&self, cause: Cause) {
        if self.state().halts.raise(cause.clone()) {
            fact!("halt.raised", reason = %cause);
            self.show(cause, 1);
        }
    }

    /// A cause has ended; nothing happens if it does not stand.
    pub(super) fn end(&self, cause: &Cause) {
        if self.state().halts.end(cause) {
            fact!("halt.ended", reason = %cause);
            self.show(cause, 0);
        }
    }

    /// The reasons that stand, without the lease.
    #[cfg(test)]
    pub(super) fn halts(&self) -> Halts {
        self.state().halts.clone()
    }

    /// A latch has been set; nothing happens if it stands already.
    pub(super) fn latch(&self, latch: Latch) {
        if self.state().halts.latch(latch) {
            fact!("halt.raised", reason = %latch);
            self.show(latch, 1);
        }
    }

    /// Exactly these latches stand.
    pub(super) fn set_latches(&self, standing: &BTreeSet<Latch>) {
        for latch in Latch::ALL {
            if standing.contains(&latch) {
                self.latch(latch);
            } else if self.state().halts.unlatch(latch) {
                fact!("halt.cleared_by_hand", reason = %latch);
                self.show(latch, 0);
            }
        }
    }

    pub(super) fn set_panicking(&self, panicking: bool) {
        self.state().halts.set_panicking(panicking);
    }

    pub(super) fn step(&self, event: LeaseEvent) -> Option<Change> {
        self.state().lease.step(event)
    }

    pub(super) fn lease(&self) -> Lease {
        self.state().lease
    }

    /// When something was allowed to leave last.
    pub(super) fn last_granted(&self) -> Option<Instant> {
        self.state().granted
    }

    fn show(&self, reason: impl std::fmt::Display, stands: u8) {
        self.status.gauge_of("halt_reason", ("reason", &reason.to_string()), stands);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every method leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn lease(&self, now: Instant) -> Result<Epoch, Halts> {
        self.lease.check(now).map_err(|_| {
            let mut halts = Halts::default();
            halts.raise(Cause::LeaderLost);
            halts
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn symbol() -> Symbol {
        "BTCUSDT".parse().unwrap()
    }

    #[test]
    fn without_a_lease_neither_entries_nor_exits_leave() {
        let leave = Leave::default();
        let now = Instant::now();
        assert_eq!(leave.may_enter(now, &symbol()).unwrap_err().to_string(), "LEADER_LOST");
        assert_eq!(leave.may_exit(now).unwrap_err().to_string(), "LEADER_LOST");
        leave.raise(Cause::StaleData);
        assert_eq!(leave.may_enter(now, &symbol()).unwrap_err().to_string(), "LEADER_LOST, STALE_DATA");
    }

    #[test]
    fn a_halt_stops_the_leaders_entries_and_a_panic_its_exits_too() {
        let leave = Leave::default();
        let now = Instant::now();
        leave.step(LeaseEvent::Extended { sent: now });
        leave.step(LeaseEvent::TookOver(Epoch::new(1)));
        assert_eq!(leave.may_enter(now, &symbol()), Ok(Epoch::new(1)));
        leave.latch(Latch::KillSwitch);
        assert_eq!(leave.may_enter(now, &symbol()).unwrap_err().to_string(), "KILL_SWITCH");
        assert_eq!(leave.may_exit(now), Ok(Epoch::new(1)));
        leave.set_panicking(true);
        assert_eq!(leave.may_exit(now).unwrap_err().to_string(), "PANIC");
        leave.set_panicking(false);
        leave.set_latches(&BTreeSet::new());
        let after_a_pause = now + Duration::from_secs(35);
        assert!(leave.may_enter(now, &symbol()).is_ok());
        assert!(leave.may_enter(after_a_pause, &symbol()).is_err() && leave.may_exit(after_a_pause).is_err());
    }
}
