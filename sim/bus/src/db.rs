//! The keys, their values and when they expire.
//!
//! Expiry follows the wall clock, as in Redis: a clock that jumps ahead expires keys early. What is overdue is removed
//! before every command, so no command ever meets an expired key, and by a timer task when no command comes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{effects::Effects, error::CommandError, stream::Stream};

/// A key. Shared between the index by name and the index by deadline.
pub(crate) type Key = Arc<[u8]>;

/// A moment of the wall clock: milliseconds since 1970.
pub(crate) type WallMs = i64;

/// What a key holds.
#[derive(Debug)]
pub(crate) enum Value {
    /// A string of bytes; a number is its decimal text.
    String(Vec<u8>),
    /// A stream. Boxed: it is several times as large as a string's head.
    Stream(Box<Stream>),
}

impl Value {
    /// The name that TYPE gives.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Stream(_) => "stream",
        }
    }
}

/// What becomes of a key's deadline when its value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ttl {
    /// The new value never expires.
    Forever,
    /// The deadline of the old value stays, if it had one.
    Keep,
    /// The new value expires when the wall clock has passed this moment.
    Until(WallMs),
}

#[derive(Debug)]
struct Entry {
    value: Value,
    deadline: Option<WallMs>,
}

/// All keys, and what must be told of their changes.
#[derive(Debug, Default)]
pub(crate) struct Db {
    entries: BTreeMap<Key, Entry>,
    deadlines: BTreeSet<(WallMs, Key)>,
    /// What the timer task sleeps for.
    timer: Option<WallMs>,
    changes: u64,
    /// What commands did, for who records it.
    pub(crate) effects: Effects,
}

impl Db {
    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many keys have a deadline.
    pub(crate) fn expiring(&self) -> usize {
        self.deadlines.len()
    }

    /// How many changes were ever made; a command that raises it has written.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Notes that the value of `key` changed. Who changes a value in place says so; the other methods do it themselves.
    pub(crate) fn changed(&mut self, _key: &[u8]) {
        self.changes += 1;
    }

    /// Removes everything.
    pub(crate) fn clear(&mut self) {
        self.changes += self.entries.len() as u64;
        self.entries.clear();
        self.deadlines.clear();
    }

    /// A key's value.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Value> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// A key's string.
    pub(crate) fn string(&self, key: &[u8]) -> Result<Option<&[u8]>, CommandError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    /// A key's string, to change it in place, which [`Db::changed`] must hear of; its deadline stays.
    pub(crate) fn string_mut(&mut self, key: &[u8]) -> Result<Option<&mut Vec<u8>>, CommandError> {
        match self.entries.get_mut(key).map(|entry| &mut entry.value) {
            None => Ok(None),
            Some(Value::String(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    /// A key's stream.
    pub(crate) fn stream(&self, key: &[u8]) -> Result<Option<&Stream>, CommandError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Stream(stream)) => Ok(Some(stream)),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    /// A key's stream, to change it in place, which [`Db::changed`] must hear of.
    pub(crate) fn stream_mut(&mut self, key: &[u8]) -> Result<Option<&mut Stream>, CommandError> {
        match self.entries.get_mut(key).map(|entry| &mut entry.value) {
            None => Ok(None),
            Some(Value::Stream(stream)) => Ok(Some(stream)),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    /// Makes a key hold a string, whatever it held.
    pub(crate) fn set_string(&mut self, key: &[u8], bytes: &[u8], ttl: Ttl) {
        match self.entries.get_mut(key) {
            Some(Entry { value: Value::String(old), .. }) => {
                old.clear();
                old.extend_from_slice(bytes);
                match ttl {
                    Ttl::Keep => {}
                    Ttl::Forever => drop(self.move_deadline(key, None)),
                    Ttl::Until(deadline) => drop(self.move_deadline(key, Some(deadline))),
                }
                self.changed(key);
            }
            _ => self.set(key, Value::String(bytes.to_vec()), ttl),
        }
    }

    /// Makes a key hold `value`, whatever it held.
    pub(crate) fn set(&mut self, key: &[u8], value: Value, ttl: Ttl) {
        let deadline = match ttl {
            Ttl::Forever => None,
            Ttl::Keep => self.deadline(key).flatten(),
            Ttl::Until(deadline) => Some(deadline),
        };
        self.take(key);
        let shared = Key::from(key);
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, shared.clone()));
        }
        self.entries.insert(shared, Entry { value, deadline });
        self.changed(key);
    }

    /// Removes a key; `false` when there is none.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let removed = self.take(key);
        if removed {
            self.changed(key);
        }
        removed
    }

    fn take(&mut self, key: &[u8]) -> bool {
        match self.entries.remove_entry(key) {
            None => false,
            Some((key, entry)) => {
                if let Some(deadline) = entry.deadline {
                    self.deadlines.remove(&(deadline, key));
                }
                true
            }
        }
    }

    /// A key's deadline: `None` without the key, `Some(None)` when it never expires.
    pub(crate) fn deadline(&self, key: &[u8]) -> Option<Option<WallMs>> {
        self.entries.get(key).map(|entry| entry.deadline)
    }

    /// Gives a key a deadline or takes it away; returns the old one as [`Db::deadline`] does.
    pub(crate) fn set_deadline(&mut self, key: &[u8], deadline: Option<WallMs>) -> Option<Option<WallMs>> {
        let old = self.move_deadline(key, deadline)?;
        if old.is_some() || deadline.is_some() {
            self.changed(key);
        }
        Some(old)
    }

    fn move_deadline(&mut self, key: &[u8], deadline: Option<WallMs>) -> Option<Option<WallMs>> {
        let old = self.deadline(key)?;
        if old == deadline {
            return Some(old);
        }
        let (shared, _) = self.entries.get_key_value(key)?;
        let shared = shared.clone();
        if let Some(old) = old {
            self.deadlines.remove(&(old, shared.clone()));
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, shared));
        }
        if let Some(entry) = self.entries.get_mut(key) {
            entry.deadline = deadline;
        }
        Some(old)
    }

    /// Removes every key whose deadline has passed; a key still lives in the millisecond of its deadline (`keyIsExpired`,
    /// Redis `db.c`).
    pub(crate) fn expire(&mut self, now: WallMs) {
        while self.deadlines.first().is_some_and(|(deadline, _)| *deadline < now) {
            if let Some((_, key)) = self.deadlines.pop_first() {
                self.entries.remove(&key);
                self.changed(&key);
                self.effects.push(&[b"DEL", &key]);
                self.effects.commit();
                env::detail!("bus.expired", key = %key.escape_ascii());
            }
        }
    }

    /// The next deadline, for which the timer task now sleeps.
    pub(crate) fn arm_timer(&mut self) -> Option<WallMs> {
        self.timer = self.deadlines.first().map(|(deadline, _)| *deadline);
        self.timer
    }

    /// Whether the timer task sleeps too long.
    pub(crate) fn timer_is_late(&self) -> bool {
        match (self.deadlines.first(), self.timer) {
            (Some((next, _)), Some(timer)) => *next < timer,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lives_in_the_millisecond_of_its_deadline_and_not_after_it() {
        let mut db = Db::default();
        db.set_string(b"a", b"1", Ttl::Until(100));
        db.set_string(b"b", b"2", Ttl::Forever);
        db.expire(100);
        assert_eq!(db.string(b"a"), Ok(Some(&b"1"[..])));
        db.expire(101);
        assert_eq!(db.string(b"a"), Ok(None));
        assert_eq!((db.len(), db.expiring()), (1, 0));
    }

    #[test]
    fn setting_a_value_keeps_drops_or_moves_the_deadline() {
        let mut db = Db::default();
        db.set_string(b"a", b"1", Ttl::Until(100));
        db.set_string(b"a", b"2", Ttl::Keep);
        assert_eq!(db.deadline(b"a"), Some(Some(100)));
        db.set(b"a", Value::Stream(Box::default()), Ttl::Keep);
        assert_eq!(db.deadline(b"a"), Some(Some(100)));
        db.set_string(b"a", b"3", Ttl::Until(200));
        assert_eq!(db.deadline(b"a"), Some(Some(200)));
        db.set_string(b"a", b"4", Ttl::Forever);
        assert_eq!(db.deadline(b"a"), Some(None));
        assert_eq!(db.expiring(), 0);
        assert_eq!(db.deadline(b"b"), None);
    }

    #[test]
    fn removing_a_key_removes_its_deadline() {
        let mut db = Db::default();
        db.set_string(b"a", b"1", Ttl::Until(100));
        assert!(db.remove(b"a"));
        assert!(!db.remove(b"a"));
        db.set_string(b"a", b"2", Ttl::Forever);
        db.expire(1_000);
        assert_eq!(db.string(b"a"), Ok(Some(&b"2"[..])));
    }

    #[test]
    fn the_timer_is_late_only_when_a_deadline_comes_before_it() {
        let mut db = Db::default();
        assert!(!db.timer_is_late());
        db.set_string(b"a", b"1", Ttl::Until(100));
        assert!(db.timer_is_late());
        assert_eq!(db.arm_timer(), Some(100));
        db.set_string(b"a", b"1", Ttl::Until(200));
        assert!(!db.timer_is_late(), "it wakes too early and goes back to sleep");
        db.set_string(b"b", b"1", Ttl::Until(50));
        assert!(db.timer_is_late());
    }

    #[test]
    fn values_of_another_type_are_refused() {
        let mut db = Db::default();
        db.set(b"s", Value::Stream(Box::default()), Ttl::Forever);
        assert_eq!(db.string(b"s"), Err(CommandError::WrongType));
        assert!(db.string_mut(b"s").is_err());
        db.set_string(b"s", b"", Ttl::Forever);
        assert!(db.stream(b"s").is_err());
        assert!(db.stream_mut(b"s").is_err());
    }
}
