//! Who waits for whom.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::store::TransactionId;

/// The transactions that wait, and those that are waited for.
#[derive(Default)]
pub(super) struct Waits {
    /// By the one that is waited for, in the order in which they came.
    waiters: BTreeMap<TransactionId, Vec<oneshot::Sender<()>>>,
    /// A transaction waits for one other at a time.
    on: BTreeMap<TransactionId, TransactionId>,
}

/// A place in the line behind a transaction.
pub(crate) struct Wait {
    /// Resolves when what was held may have been given back.
    pub(crate) over: oneshot::Receiver<()>,
}

impl Waits {
    /// Lines up behind `holder`. `waiter` is nobody when it holds nothing itself: then it can be part of no deadlock.
    pub(super) fn wait(&mut self, waiter: Option<TransactionId>, holder: TransactionId) -> Wait {
        let (turn, over) = oneshot::channel();
        let line = self.waiters.entry(holder).or_default();
        // Those who gave up would pile up behind a transaction that never ends.
        line.retain(|waiter| !waiter.is_closed());
        line.push(turn);
        if let Some(waiter) = waiter {
            self.on.insert(waiter, holder);
        }
        Wait { over }
    }

    /// A transaction no longer waits.
    pub(super) fn resume(&mut self, waiter: TransactionId) {
        self.on.remove(&waiter);
    }

    /// A transaction has given something back: who waits for it looks again.
    pub(super) fn wake(&mut self, holder: TransactionId) {
        for turn in self.waiters.remove(&holder).into_iter().flatten() {
            // Who has given up does not hear of it.
            let _ = turn.send(());
        }
    }

    /// The transactions that wait for each other in a circle through `waiter`, beginning with it.
    pub(super) fn circle(&self, waiter: TransactionId) -> Option<Vec<TransactionId>> {
        let mut circle = vec![waiter];
        let mut at = waiter;
        loop {
            at = *self.on.get(&at)?;
            if at == waiter {
                return Some(circle);
            }
            // A circle that `waiter` merely leads into is for others to break.
            if circle.contains(&at) {
                return None;
            }
            circle.push(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_found_only_by_those_in_it() {
        let [a, b, c, d] = [1, 2, 3, 4].map(TransactionId);
        let mut waits = Waits::default();
        let _line = [waits.wait(Some(a), b), waits.wait(Some(b), c), waits.wait(Some(d), a)];
        assert_eq!(waits.circle(a), None);
        let _closing = waits.wait(Some(c), a);
        assert_eq!(waits.circle(b), Some(vec![b, c, a]));
        assert_eq!(waits.circle(d), None);
        waits.resume(c);
        assert_eq!(waits.circle(b), None);
    }
}
