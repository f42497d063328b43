//! The entries of a stream, and what Redis remembers of entries that are gone.
//!
//! Deliberately absent: Redis's packing of entries into nodes, which shows only in approximate trimming (see [`Trim`]).

use std::{cmp::Ordering, collections::BTreeMap, ops::RangeInclusive};

use super::StreamId;

/// How many entries Redis packs into one node (`stream-node-max-entries`, default in `redis.conf`).
pub(crate) const NODE_ENTRIES: usize = 100;

/// The id that an entry shall get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewId {
    /// `*`: the clock's millisecond, or the id after the newest entry when the clock is behind it.
    Auto,
    /// `ms-*`: the next free sequence number in that millisecond.
    AutoSeq(u64),
    /// The client chose it.
    Exactly(StreamId),
}

/// How far a stream is cut at its old end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrimTo {
    /// Keep so many entries.
    Length(usize),
    /// Keep this id and newer ones.
    Id(StreamId),
}

/// An order to cut a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trim {
    /// What must be left.
    pub(crate) to: TrimTo,
    /// `~`: remove only whole nodes of [`NODE_ENTRIES`], and no more entries than this (0: any number). Nodes are counted
    /// from the oldest entry, which is how Redis packs a stream that never lost an entry otherwise and whose nodes do not
    /// exceed 4,096 bytes.
    pub(crate) at_most: Option<usize>,
}

/// The entries of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// Each entry's fields and values as the RESP array that goes out, which is the same in RESP2 and RESP3.
    entries: BTreeMap<StreamId, Box<[u8]>>,
    last_id: StreamId,
    max_deleted_id: StreamId,
    added: u64,
}

impl Log {
    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The newest id ever used, even if its entry is gone.
    pub(crate) fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The newest entry that was deleted by its id.
    pub(crate) fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// How many entries were ever added.
    pub(crate) fn added(&self) -> u64 {
        self.added
    }

    /// The oldest entry.
    pub(crate) fn first(&self) -> Option<(StreamId, &[u8])> {
        self.entries.first_key_value().map(|(id, fields)| (*id, &**fields))
    }

    /// The newest entry.
    pub(crate) fn last(&self) -> Option<(StreamId, &[u8])> {
        self.entries.last_key_value().map(|(id, fields)| (*id, &**fields))
    }

    /// The id that `new` would get at `now_ms`, or `None` when it would not be newer than every id before.
    pub(crate) fn id_for(&self, new: NewId, now_ms: u64) -> Option<StreamId> {
        let last = self.last_id;
        match new {
            NewId::Auto if now_ms > last.ms => Some(StreamId { ms: now_ms, seq: 0 }),
            NewId::Auto => last.successor(),
            NewId::AutoSeq(ms) if ms == last.ms => Some(StreamId { ms, seq: last.seq.checked_add(1)? }),
            NewId::AutoSeq(ms) => Some(StreamId { ms, seq: 0 }).filter(|id| *id > last),
            NewId::Exactly(id) => Some(id).filter(|id| *id > last),
        }
    }

    /// Adds an entry under an id from [`Log::id_for`].
    pub(crate) fn append(&mut self, id: StreamId, fields: Box<[u8]>) {
        debug_assert!(id > self.last_id, "ids only grow");
        self.entries.insert(id, fields);
        self.last_id = id;
        self.added += 1;
    }

    /// Removes one entry; `false` when there is none.
    pub(crate) fn delete(&mut self, id: StreamId) -> bool {
        let deleted = self.entries.remove(&id).is_some();
        if deleted {
            self.max_deleted_id = self.max_deleted_id.max(id);
        }
        deleted
    }

    /// Sets what is remembered: the newest id, and where given how many entries were ever added and the newest deleted.
    pub(crate) fn set_history(&mut self, last_id: StreamId, added: Option<u64>, deleted: Option<StreamId>) {
        self.last_id = last_id;
        self.added = added.unwrap_or(self.added);
        self.max_deleted_id = deleted.unwrap_or(self.max_deleted_id);
    }

    /// The fields of an entry.
    pub(crate) fn get(&self, id: StreamId) -> Option<&[u8]> {
        self.entries.get(&id).map(|fields| &**fields)
    }

    /// The oldest entry's id; [`StreamId::MIN`] without entries.
    pub(crate) fn first_id(&self) -> StreamId {
        self.first().map_or(StreamId::MIN, |(id, _)| id)
    }

    /// Whether an entry from `start` on may have been deleted (`streamRangeHasTombstones`, Redis `t_stream.c`).
    pub(crate) fn may_have_gaps_from(&self, start: StreamId) -> bool {
        self.len() > 0
            && self.max_deleted_id != StreamId::MIN
            && self.first_id() <= self.max_deleted_id
            && start <= self.max_deleted_id
    }

    /// How many entries were ever added up to `id`, if that can be told
    /// (`streamEstimateDistanceFromFirstEverEntry`, Redis `t_stream.c`).
    pub(crate) fn added_until(&self, id: StreamId) -> Option<u64> {
        if self.added == 0 {
            return Some(0);
        }
        if id == self.last_id || self.len() == 0 && id < self.last_id {
            return Some(self.added);
        }
        let whole = self.max_deleted_id == StreamId::MIN || self.max_deleted_id < self.first_id();
        if id > self.last_id || !whole {
            return None;
        }
        let before = self.added.saturating_sub(self.len() as u64);
        match id.cmp(&self.first_id()) {
            Ordering::Less => Some(before),
            Ordering::Equal => Some(before + 1),
            Ordering::Greater => None,
        }
    }

    /// The entries of a range, oldest first.
    pub(crate) fn range(
        &self,
        range: RangeInclusive<StreamId>,
    ) -> impl DoubleEndedIterator<Item = (StreamId, &[u8])> + Clone {
        // `BTreeMap::range` panics on a range that ends before it starts.
        let range = if range.is_empty() { None } else { Some(range) };
        range.into_iter().flat_map(|range| self.entries.range(range)).map(|(id, fields)| (*id, &**fields))
    }

    /// Cuts the old end and returns how many entries went.
    pub(crate) fn trim(&mut self, trim: Trim) -> usize {
        let mut removed = 0;
        match trim.at_most {
            None => {
                while self.first().is_some_and(|(oldest, _)| self.may_lose(1, oldest, trim.to)) {
                    self.entries.pop_first();
                    removed += 1;
                }
            }
            Some(limit) => {
                while let Some((node, newest)) = self.oldest_node()
                    && self.may_lose(node, newest, trim.to)
                    && (limit == 0 || removed + node <= limit)
                {
                    (0..node).for_each(|_| drop(self.entries.pop_first()));
                    removed += node;
                }
            }
        }
        removed
    }

    /// Whether the oldest `count` entries, of which `newest` is the newest, are all beyond what must be left.
    fn may_lose(&self, count: usize, newest: StreamId, to: TrimTo) -> bool {
        match to {
            TrimTo::Length(keep) => self.entries.len() - count >= keep,
            TrimTo::Id(keep_from) => newest < keep_from,
        }
    }

    /// The size of the oldest node and its newest entry.
    fn oldest_node(&self) -> Option<(usize, StreamId)> {
        let node = self.entries.len().min(NODE_ENTRIES);
        self.entries.keys().nth(node.checked_sub(1)?).map(|newest| (node, *newest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    fn numbered(count: u64) -> Log {
        let mut stream = Log::default();
        (1..=count).for_each(|ms| stream.append(id(ms, 0), Box::default()));
        stream
    }

    #[test]
    fn ids_only_grow_even_when_the_clock_goes_back() {
        let mut stream = Log::default();
        assert_eq!(stream.id_for(NewId::Auto, 5), Some(id(5, 0)));
        stream.append(id(5, 0), Box::default());
        assert_eq!(stream.id_for(NewId::Auto, 5), Some(id(5, 1)));
        assert_eq!(stream.id_for(NewId::Auto, 2), Some(id(5, 1)));
        assert_eq!(stream.id_for(NewId::AutoSeq(5), 9), Some(id(5, 1)));
        assert_eq!(stream.id_for(NewId::AutoSeq(6), 9), Some(id(6, 0)));
        assert_eq!(stream.id_for(NewId::AutoSeq(4), 9), None);
        assert_eq!(stream.id_for(NewId::Exactly(id(5, 0)), 9), None);
        assert_eq!(stream.id_for(NewId::Exactly(id(5, 7)), 9), Some(id(5, 7)));
        stream.append(StreamId::MAX, Box::default());
        assert_eq!(stream.id_for(NewId::Auto, 9), None);
    }

    #[test]
    fn exact_trimming_leaves_exactly_what_was_asked() {
        let mut stream = numbered(10);
        assert_eq!(stream.trim(Trim { to: TrimTo::Length(7), at_most: None }), 3);
        assert_eq!(stream.trim(Trim { to: TrimTo::Id(id(6, 0)), at_most: None }), 2);
        assert_eq!(stream.first().map(|(first, _)| first), Some(id(6, 0)));
        assert_eq!((stream.len(), stream.last_id(), stream.added()), (5, id(10, 0), 10));
    }

    #[test]
    fn approximate_trimming_removes_whole_nodes_within_its_limit() {
        let trimmed = |to, at_most| {
            let mut stream = numbered(350);
            stream.trim(Trim { to, at_most: Some(at_most) })
        };
        assert_eq!(trimmed(TrimTo::Length(100), 0), 200);
        assert_eq!(trimmed(TrimTo::Length(100), 150), 100);
        assert_eq!(trimmed(TrimTo::Length(0), 0), 350);
        assert_eq!(trimmed(TrimTo::Id(id(200, 0)), 0), 100);
        assert_eq!(trimmed(TrimTo::Id(id(201, 0)), 0), 200);
        assert_eq!(trimmed(TrimTo::Id(StreamId::MAX), 99), 0);
    }

    #[test]
    fn a_deleted_entry_is_remembered_only_by_its_id() {
        let mut stream = numbered(3);
        assert!(stream.delete(id(2, 0)));
        assert!(!stream.delete(id(2, 0)));
        assert_eq!((stream.len(), stream.max_deleted_id()), (2, id(2, 0)));
        let ids: Vec<_> = stream.range(StreamId::MIN..=StreamId::MAX).map(|(id, _)| id.ms).collect();
        assert_eq!(ids, [1, 3]);
        assert_eq!(stream.range(id(3, 0)..=id(1, 0)).count(), 0);
    }

    #[test]
    fn how_many_entries_came_before_an_id_is_told_only_when_it_is_certain() {
        assert_eq!(Log::default().added_until(id(5, 0)), Some(0));
        let mut log = numbered(5);
        log.trim(Trim { to: TrimTo::Length(3), at_most: None });
        for (ms, known) in [(1, Some(2)), (3, Some(3)), (4, None), (5, Some(5)), (6, None)] {
            assert_eq!(log.added_until(id(ms, 0)), known, "{ms}");
        }
        log.delete(id(4, 0));
        assert_eq!(log.added_until(id(1, 0)), None);
        assert!(log.may_have_gaps_from(id(4, 0)) && !log.may_have_gaps_from(id(5, 0)));
        log.trim(Trim { to: TrimTo::Length(1), at_most: None });
        assert!(!log.may_have_gaps_from(id(4, 0)), "the gap has been cut off");
        log.trim(Trim { to: TrimTo::Length(0), at_most: None });
        assert_eq!(log.added_until(id(1, 0)), Some(5));
    }
}
