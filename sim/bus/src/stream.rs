//! One stream: its entries and its consumer groups.
//!
//! Pure data: no keys, no clients, no clock.

mod group;
mod log;

use std::{collections::BTreeMap, fmt};

pub(crate) use group::{Group, Name};
pub(crate) use log::{Log, NODE_ENTRIES, NewId, Trim, TrimTo};

use crate::db::WallMs;

/// The id of an entry; the derived order is the order of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId {
    /// Milliseconds since 1970, if the server chose the id.
    pub(crate) ms: u64,
    /// Tells entries of one millisecond apart.
    pub(crate) seq: u64,
}

impl StreamId {
    /// Below every entry: no entry may have it.
    pub(crate) const MIN: Self = Self { ms: 0, seq: 0 };
    /// The last possible entry.
    pub(crate) const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// The id after this one.
    pub(crate) fn successor(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The id before this one.
    pub(crate) fn predecessor(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// A stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    /// The entries.
    pub(crate) log: Log,
    /// The consumer groups by name.
    pub(crate) groups: BTreeMap<Box<[u8]>, Group>,
}

impl Stream {
    /// How many entries `group` has yet to deliver, if that can be told (`streamReplyWithCGLag`, Redis `t_stream.c`).
    pub(crate) fn lag(&self, group: &Group) -> Option<i64> {
        let log = &self.log;
        if log.added() == 0 {
            return Some(0);
        }
        let read = match group.entries_read {
            Some(read) if !log.may_have_gaps_from(group.last_id) => read,
            _ => log.added_until(group.last_id)?,
        };
        Some(log.added() as i64 - read as i64)
    }

    /// Gives `consumer` up to `count` entries that the group has not delivered yet, and returns their ids. With
    /// `acknowledged` nothing is expected back.
    ///
    /// An entry that is pending already – the group was set back – changes hands.
    pub(crate) fn deliver(
        &mut self,
        group: &[u8],
        consumer: &Name,
        count: usize,
        acknowledged: bool,
        now: WallMs,
    ) -> Vec<StreamId> {
        let (log, Some(group)) = (&self.log, self.groups.get_mut(group)) else {
            return Vec::new();
        };
        let Some(from) = group.last_id.successor() else {
            return Vec::new();
        };
        let ids: Vec<StreamId> = log.range(from..=StreamId::MAX).take(count).map(|(id, _)| id).collect();
        for &id in &ids {
            group.entries_read = match group.entries_read {
                Some(read) if !log.may_have_gaps_from(id) => Some(read + 1),
                _ => log.added_until(id),
            };
            group.last_id = id;
            if !acknowledged {
                group.assign(id, consumer, now, 1);
            }
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    #[test]
    fn neighbours_of_an_id_cross_the_millisecond() {
        assert_eq!(id(1, u64::MAX).successor(), Some(id(2, 0)));
        assert_eq!(id(2, 0).predecessor(), Some(id(1, u64::MAX)));
        assert_eq!(StreamId::MAX.successor(), None);
        assert_eq!(StreamId::MIN.predecessor(), None);
    }

    #[test]
    fn a_group_delivers_every_entry_once_and_knows_its_lag() {
        let mut stream = Stream::default();
        (1..=5).for_each(|ms| stream.log.append(id(ms, 0), Box::default()));
        stream.groups.insert(Box::from(&b"g"[..]), Group::new(StreamId::MIN, None));
        let group = stream.groups.get_mut(&b"g"[..]).expect("it was just made");
        let (one, two) = (group.see(b"1", 0).0, group.see(b"2", 0).0);
        assert_eq!(stream.lag(&stream.groups[&b"g"[..]]), Some(5));
        assert_eq!(stream.deliver(b"g", &one, 2, false, 0), [id(1, 0), id(2, 0)]);
        assert_eq!(stream.lag(&stream.groups[&b"g"[..]]), Some(3));
        assert_eq!(stream.deliver(b"g", &two, 9, true, 0), [id(3, 0), id(4, 0), id(5, 0)]);
        assert_eq!(stream.deliver(b"g", &two, 9, false, 0), []);
        let group = &stream.groups[&b"g"[..]];
        assert_eq!((stream.lag(group), group.pending().count()), (Some(0), 2));
        stream.log.append(id(6, 0), Box::default());
        stream.log.append(id(7, 0), Box::default());
        stream.log.delete(id(6, 0));
        assert_eq!(stream.lag(&stream.groups[&b"g"[..]]), None, "who knows what was deleted");
    }
}
