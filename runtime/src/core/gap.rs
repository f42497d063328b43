//! Finds holes in the sequence of market trades.

/// How a trade id continues the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// The first one, or the successor of the one before.
    Next,
    /// Seen before, or older than the newest one seen.
    Repeated,
    /// The ids `from..=to` are missing before it.
    Gap {
        /// The first missing id.
        from: u64,
        /// The last missing id.
        to: u64,
    },
}

/// Checks the trade ids of one symbol, which the exchange numbers without holes.
#[derive(Clone, Debug, Default)]
pub struct GapDetector {
    newest: Option<u64>,
}

impl GapDetector {
    /// Continues after `newest`, the last trade of an earlier life of this process.
    pub const fn after(newest: u64) -> Self {
        Self { newest: Some(newest) }
    }

    /// Takes note of a trade. After a [`Sequence::Gap`] the caller owes the missing trades: they are not asked for again.
    pub fn observe(&mut self, id: u64) -> Sequence {
        let sequence = match self.newest {
            None => Sequence::Next,
            Some(newest) if id <= newest => return Sequence::Repeated,
            Some(newest) if id == newest + 1 => Sequence::Next,
            Some(newest) => Sequence::Gap { from: newest + 1, to: id - 1 },
        };
        self.newest = Some(id);
        sequence
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hole_is_reported_once_and_with_its_exact_ends() {
        let mut ids = GapDetector::default();
        assert_eq!(ids.observe(10), Sequence::Next);
        assert_eq!(ids.observe(11), Sequence::Next);
        assert_eq!(ids.observe(15), Sequence::Gap { from: 12, to: 14 });
        assert_eq!(ids.observe(15), Sequence::Repeated);
        assert_eq!(ids.observe(13), Sequence::Repeated);
        assert_eq!(ids.observe(16), Sequence::Next);
    }

    #[test]
    fn a_restarted_process_notices_what_it_missed() {
        assert_eq!(GapDetector::after(7).observe(8), Sequence::Next);
        assert_eq!(GapDetector::after(7).observe(9), Sequence::Gap { from: 8, to: 8 });
        assert_eq!(GapDetector::after(u64::MAX).observe(u64::MAX), Sequence::Repeated);
    }

    proptest! {
        #[test]
        fn accepted_and_missing_ids_cover_the_whole_range_exactly_once(ids in prop::collection::vec(0..200_u64, 1..100)) {
            let mut detector = GapDetector::default();
            let mut covered = BTreeSet::new();
            for &id in &ids {
                let fresh: Vec<u64> = match detector.observe(id) {
                    Sequence::Next => vec![id],
                    Sequence::Repeated => vec![],
                    Sequence::Gap { from, to } => (from..=to).chain([id]).collect(),
                };
                for id in fresh {
                    prop_assert!(covered.insert(id), "{id} twice");
                }
            }
            let expected: BTreeSet<u64> = (ids[0]..=*ids.iter().max().unwrap()).collect();
            prop_assert_eq!(covered, expected);
        }
    }
}
