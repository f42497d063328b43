//! The latches as the bus shows them against the latches that the ledger has on record.
//!
//! A latch can vanish from the bus because somebody cleared it or because the bus lost data. The dataset epoch of the bus tells
//! the two apart: under the same epoch a latch that was seen and is missing was cleared by hand; under another one, or for
//! whoever has not seen it, it is put back. Deliberately absent: reading and writing of either side.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Latch;

/// Who set a latch, when and why: what stands on the bus beside its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchRecord {
    /// Who set it.
    pub set_by: String,
    /// When, in milliseconds since 1970 by the clock of whoever set it.
    pub set_at: i64,
    /// Why, for a person.
    pub why: String,
}

impl LatchRecord {
    /// The key of its row in `halts`: the same for whoever writes it down.
    pub fn halt_id(&self, latch: Latch) -> String {
        format!("{latch}-{}", self.set_at)
    }
}

/// The latches with their records.
pub type LatchSet = BTreeMap<Latch, LatchRecord>;

/// What the bus shows at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Changes when the bus has lost data.
    pub dataset: String,
    /// The latches.
    pub latches: LatchSet,
}

/// What is to be done about a latch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LatchAct {
    /// It stands on the bus; write it down.
    Record(Latch, LatchRecord),
    /// It is on record and the bus has lost it; put it back.
    Reassert(Latch, LatchRecord),
    /// Somebody took it from the bus; close its record.
    Close(Latch),
}

/// The bus has lost data: what is on record must be read before anything else is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bus has lost data")]
pub struct DataLost;

/// What one process has seen of the latches.
#[derive(Clone, Debug, Default)]
pub struct Latches {
    dataset: Option<String>,
    standing: BTreeSet<Latch>,
    /// Cleared by hand, and perhaps still open on record.
    cleared: BTreeSet<Latch>,
}

impl Latches {
    /// Compares what the bus shows with all that is on record as open. Afterwards [`Latches::standing`] is what holds.
    pub fn restore(&mut self, shown: &Shown, on_record: &LatchSet) -> Vec<LatchAct> {
        let knew = self.dataset.as_ref() == Some(&shown.dataset);
        if !knew {
            self.cleared.clear();
            self.standing.clear();
            self.dataset = Some(shown.dataset.clone());
        }
        let mut acts = self.differences(&shown.latches);
        for (latch, record) in on_record {
            if shown.latches.contains_key(latch) {
                continue;
            }
            if self.cleared.contains(latch) {
                acts.push(LatchAct::Close(*latch));
            } else {
                self.standing.insert(*latch);
                acts.push(LatchAct::Reassert(*latch, record.clone()));
            }
        }
        acts.dedup();
        acts
    }

    /// Takes note of what the bus shows later.
    ///
    /// # Errors
    /// [`Latches::restore`] must be next.
    pub fn observe(&mut self, shown: &Shown) -> Result<Vec<LatchAct>, DataLost> {
        if self.dataset.as_ref() == Some(&shown.dataset) {
            Ok(self.differences(&shown.latches))
        } else {
            Err(DataLost)
        }
    }

    /// The latches that hold.
    pub const fn standing(&self) -> &BTreeSet<Latch> {
        &self.standing
    }

    fn differences(&mut self, shown: &LatchSet) -> Vec<LatchAct> {
        let gone: Vec<Latch> =
            self.standing.iter().copied().filter(|latch| !shown.contains_key(latch)).collect();
        let mut acts: Vec<LatchAct> = gone.iter().copied().map(LatchAct::Close).collect();
        for latch in gone {
            self.standing.remove(&latch);
            self.cleared.insert(latch);
        }
        for (latch, record) in shown {
            self.cleared.remove(latch);
            if self.standing.insert(*latch) {
                acts.push(LatchAct::Record(*latch, record.clone()));
            }
        }
        acts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(latch: Latch) -> LatchRecord {
        LatchRecord { set_by: "ops".into(), set_at: 7, why: latch.to_string() }
    }

    fn set(latches: &[Latch]) -> LatchSet {
        latches.iter().map(|latch| (*latch, record(*latch))).collect()
    }

    fn shown(dataset: &str, latches: &[Latch]) -> Shown {
        Shown { dataset: dataset.into(), latches: set(latches) }
    }

    use Latch::{Failsafe, KillSwitch};

    #[test]
    fn a_latch_that_appears_is_written_down_and_one_that_is_taken_away_is_closed() {
        let mut latches = Latches::default();
        assert_eq!(latches.restore(&shown("a", &[]), &set(&[])), []);
        let appears = latches.observe(&shown("a", &[KillSwitch])).unwrap();
        assert_eq!(appears, [LatchAct::Record(KillSwitch, record(KillSwitch))]);
        assert_eq!(latches.observe(&shown("a", &[KillSwitch])).unwrap(), []);
        assert_eq!(latches.observe(&shown("a", &[])).unwrap(), [LatchAct::Close(KillSwitch)]);
        assert!(latches.standing().is_empty());
        assert_eq!(record(KillSwitch).halt_id(KillSwitch), "KILL_SWITCH-7");
    }

    #[test]
    fn a_latch_that_the_bus_has_lost_is_put_back() {
        let mut latches = Latches::default();
        latches.restore(&shown("a", &[KillSwitch]), &set(&[KillSwitch]));
        assert_eq!(latches.observe(&shown("b", &[])), Err(DataLost));
        assert_eq!(latches.standing(), &BTreeSet::from([KillSwitch]), "until it is known what was lost");
        let acts = latches.restore(&shown("b", &[]), &set(&[KillSwitch]));
        assert_eq!(acts, [LatchAct::Reassert(KillSwitch, record(KillSwitch))]);
        assert_eq!(latches.standing(), &BTreeSet::from([KillSwitch]));
    }

    #[test]
    fn whoever_has_not_seen_a_latch_puts_it_back() {
        let mut latches = Latches::default();
        let acts = latches.restore(&shown("a", &[]), &set(&[Failsafe]));
        assert_eq!(acts, [LatchAct::Reassert(Failsafe, record(Failsafe))]);
    }

    #[test]
    fn a_latch_cleared_while_nobody_could_write_it_down_is_not_put_back() {
        let mut latches = Latches::default();
        latches.restore(&shown("a", &[KillSwitch]), &set(&[KillSwitch]));
        // Seen while leading, and the record of it got lost.
        latches.observe(&shown("a", &[])).unwrap();
        assert_eq!(latches.restore(&shown("a", &[]), &set(&[KillSwitch])), [LatchAct::Close(KillSwitch)]);
        assert!(latches.standing().is_empty());
    }

    #[test]
    fn a_latch_cleared_while_the_bus_was_out_of_reach_is_closed_once() {
        let mut latches = Latches::default();
        latches.restore(&shown("a", &[KillSwitch]), &set(&[KillSwitch]));
        assert_eq!(latches.restore(&shown("a", &[]), &set(&[KillSwitch])), [LatchAct::Close(KillSwitch)]);
    }

    fn some() -> impl Strategy<Value = Vec<Latch>> {
        proptest::sample::subsequence(Latch::ALL.to_vec(), 0..=3)
    }

    proptest! {
        #[test]
        fn what_the_bus_shows_stands_and_what_was_lost_with_data_stands_too(
            views in prop::collection::vec((0_u8..3, some(), some()), 1..20),
        ) {
            let mut latches = Latches::default();
            for (dataset, on_bus, on_record) in views {
                let shown = shown(&dataset.to_string(), &on_bus);
                let before = latches.standing().clone();
                match latches.observe(&shown) {
                    Ok(_) => prop_assert_eq!(latches.standing(), &on_bus.iter().copied().collect()),
                    Err(DataLost) => {
                        prop_assert_eq!(latches.standing(), &before);
                        latches.restore(&shown, &set(&on_record));
                        let all: BTreeSet<Latch> = on_bus.iter().chain(&on_record).copied().collect();
                        prop_assert_eq!(latches.standing(), &all);
                    }
                }
            }
        }
    }
}
