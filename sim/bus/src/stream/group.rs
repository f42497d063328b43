//! A consumer group: what it has delivered to whom, and what of that is not acknowledged yet.
//!
//! An entry is pending at the group and at the consumer that has it, or at neither.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::Arc,
};

use super::StreamId;
use crate::db::WallMs;

/// A consumer's name.
pub(crate) type Name = Arc<[u8]>;

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Who has it.
    pub(crate) consumer: Name,
    /// When it was last delivered.
    pub(crate) at: WallMs,
    /// How often it was delivered.
    pub(crate) count: u64,
}

/// One reader of a group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Consumer {
    /// When it last asked for something.
    pub(crate) seen_at: WallMs,
    pending: BTreeSet<StreamId>,
}

impl Consumer {
    /// What it has not acknowledged, the oldest entry first.
    pub(crate) fn pending(&self) -> impl ExactSizeIterator<Item = StreamId> {
        self.pending.iter().copied()
    }
}

/// A consumer group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    /// The newest entry that was delivered.
    pub(crate) last_id: StreamId,
    /// How many entries of the stream come before the next one to be delivered, if that is known.
    pub(crate) entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Delivery>,
    consumers: BTreeMap<Name, Consumer>,
}

impl Group {
    /// A group that delivers what comes after `last_id`.
    pub(crate) fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Self { last_id, entries_read, ..Self::default() }
    }

    /// Notes that a consumer is there, which may be new; `true` when it is.
    pub(crate) fn see(&mut self, consumer: &[u8], now: WallMs) -> (Name, bool) {
        if let Some((name, _)) = self.consumers.get_key_value(consumer) {
            let name = name.clone();
            if let Some(known) = self.consumers.get_mut(consumer) {
                known.seen_at = now;
            }
            return (name, false);
        }
        let name = Name::from(consumer);
        self.consumers.insert(name.clone(), Consumer { seen_at: now, ..Consumer::default() });
        (name, true)
    }

    /// A consumer by its name.
    pub(crate) fn consumer(&self, name: &[u8]) -> Option<&Consumer> {
        self.consumers.get(name)
    }

    /// All consumers by name.
    pub(crate) fn consumers(&self) -> impl ExactSizeIterator<Item = (&Name, &Consumer)> {
        self.consumers.iter()
    }

    /// Removes a consumer with all that it had not acknowledged; returns how much that was.
    pub(crate) fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let consumer = self.consumers.remove(name)?;
        consumer.pending.iter().for_each(|id| drop(self.pending.remove(id)));
        Some(consumer.pending.len())
    }

    /// Everything that is pending, the oldest entry first.
    pub(crate) fn pending(
        &self,
    ) -> impl ExactSizeIterator<Item = (StreamId, &Delivery)> + DoubleEndedIterator {
        self.pending.iter().map(|(id, delivery)| (*id, delivery))
    }

    /// What is pending of a range, of one consumer or of all.
    pub(crate) fn pending_in<'g>(
        &'g self,
        range: RangeInclusive<StreamId>,
        consumer: Option<&'g Consumer>,
    ) -> Box<dyn Iterator<Item = (StreamId, &'g Delivery)> + 'g> {
        // `range` panics on a range that ends before it starts.
        match consumer {
            _ if range.is_empty() => Box::new(std::iter::empty()),
            None => Box::new(self.pending.range(range).map(|(id, delivery)| (*id, delivery))),
            Some(consumer) => Box::new(
                consumer.pending.range(range).filter_map(|id| self.pending.get(id).map(|found| (*id, found))),
            ),
        }
    }

    /// A pending entry.
    pub(crate) fn delivery(&self, id: StreamId) -> Option<&Delivery> {
        self.pending.get(&id)
    }

    /// Notes that a pending entry was delivered to the same consumer again.
    pub(crate) fn delivered_again(&mut self, id: StreamId, now: WallMs) {
        if let Some(delivery) = self.pending.get_mut(&id) {
            delivery.at = now;
            delivery.count += 1;
        }
    }

    /// Makes an entry pending at a consumer that [`Group::see`] has seen, whoever had it.
    pub(crate) fn assign(&mut self, id: StreamId, consumer: &Name, at: WallMs, count: u64) {
        self.acknowledge(id);
        if let Some(owner) = self.consumers.get_mut(consumer) {
            owner.pending.insert(id);
            self.pending.insert(id, Delivery { consumer: consumer.clone(), at, count });
        }
    }

    /// Ends the wait for an acknowledgement; `false` when nobody waits for it.
    pub(crate) fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(delivery) = self.pending.remove(&id) else {
            return false;
        };
        if let Some(owner) = self.consumers.get_mut(&delivery.consumer) {
            owner.pending.remove(&id);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Assign(u64, u8),
        Acknowledge(u64),
        Remove(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0_u64..8, 0_u8..3).prop_map(|(id, name)| Step::Assign(id, name)),
            2 => (0_u64..8).prop_map(Step::Acknowledge),
            1 => (0_u8..3).prop_map(Step::Remove),
        ]
    }

    proptest! {
        #[test]
        fn an_entry_is_pending_at_the_group_and_at_one_consumer_or_nowhere(steps in vec(step(), 0..60)) {
            let mut group = Group::default();
            let mut model: BTreeMap<u64, u8> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Assign(ms, name) => {
                        let (consumer, _) = group.see(&[name], 0);
                        group.assign(StreamId { ms, seq: 0 }, &consumer, 0, 1);
                        model.insert(ms, name);
                    }
                    Step::Acknowledge(ms) => {
                        prop_assert_eq!(group.acknowledge(StreamId { ms, seq: 0 }), model.remove(&ms).is_some());
                    }
                    Step::Remove(name) => {
                        let had = model.values().filter(|owner| **owner == name).count();
                        prop_assert_eq!(group.remove_consumer(&[name]).unwrap_or(0), had);
                        model.retain(|_, owner| *owner != name);
                    }
                }
                let pending: Vec<_> = group.pending().map(|(id, delivery)| (id.ms, delivery.consumer[0])).collect();
                prop_assert!(pending.iter().copied().eq(model.iter().map(|(id, name)| (*id, *name))));
                for (name, consumer) in group.consumers() {
                    let own: Vec<u64> = consumer.pending().map(|id| id.ms).collect();
                    let expected = model.iter().filter(|(_, owner)| **owner == name[0]).map(|(id, _)| *id);
                    prop_assert!(own.into_iter().eq(expected));
                }
            }
        }
    }
}
