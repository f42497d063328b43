//! Remembers which signals have been taken up.

use std::collections::{BTreeSet, VecDeque};

use crate::core::ClientOrderId;

/// How many ids are remembered to tell repeated signals; ten hours of them at one each 10 s.
const REMEMBERED: usize = 4096;

/// The newest client order ids that were taken up.
#[derive(Default)]
pub(super) struct Seen {
    ids: BTreeSet<ClientOrderId>,
    oldest_first: VecDeque<ClientOrderId>,
}

impl Seen {
    /// Takes note of an id; says whether it is new.
    pub(super) fn note(&mut self, id: &ClientOrderId) -> bool {
        let new = self.ids.insert(id.clone());
        if new {
            self.oldest_first.push_back(id.clone());
            if self.oldest_first.len() > REMEMBERED
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.ids.remove(&oldest);
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_new_once_and_old_ids_are_forgotten() {
        let id = |n: usize| -> ClientOrderId { format!("tw-{n}").parse().unwrap() };
        let mut seen = Seen::default();
        assert!(seen.note(&id(0)));
        assert!(!seen.note(&id(0)));
        for n in 1..=REMEMBERED {
            assert!(seen.note(&id(n)));
        }
        assert!(seen.note(&id(0)), "it was the oldest of one too many");
        assert!(!seen.note(&id(REMEMBERED)));
        assert_eq!(seen.ids.len(), REMEMBERED);
    }
}
