//! The keys, their values and when they expire.
//!
//! Expiry follows the wall clock, as in Redis: a clock that jumps ahead expires keys early. What is overdue is removed
//! before every command, so no command ever meets an expired key, and by a timer task when no command comes.
//!
//! Whatever changes a key goes through [`Db::changed`], and so reaches the transactions that watch it. Deliberately
//! absent: databases other than the first, as in a Redis with `databases 1`.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{effects::Effects, error::CommandError, hash::Hash, stream::Stream, watch::Watches};

/// A key. Shared between the indexes by name, by age and by deadline.
pub(crate) type Key = Arc<[u8]>;

/// A moment of the wall clock: milliseconds since 1970.
pub(crate) type WallMs = i64;

/// What a key holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A string of bytes; a number is its decimal text.
    String(Vec<u8>),
    /// Fields with a value each. Boxed, as streams are: they are several times as large as a string's head.
    Hash(Box<Hash>),
    /// A stream.
    Stream(Box<Stream>),
}

impl Value {
    /// The name that TYPE gives.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Hash(_) => "hash",
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
    /// How many keys had been created when this one was.
    serial: u64,
    /// When a command last looked at the value.
    accessed: Cell<WallMs>,
}

/// All keys, and what must be told of their changes.
#[derive(Debug, Default)]
pub(crate) struct Db {
    entries: BTreeMap<Key, Entry>,
    deadlines: BTreeSet<(WallMs, Key)>,
    /// The keys in the order of their creation, for SCAN.
    by_serial: BTreeMap<u64, Key>,
    created: u64,
    /// What the timer task sleeps for.
    timer: Option<WallMs>,
    /// When the current command began.
    now: WallMs,
    changes: u64,
    /// The append-only file is being repeated: nothing expires, for the file says when each key went.
    pub(crate) loading: bool,
    /// A key that can only be read.
    reserved: Option<(&'static [u8], Value)>,
    /// Streams that clients may wait for and that have grown, lost a group or gone.
    ready: Vec<Key>,
    /// Transactions that depend on keys.
    pub(crate) watches: Watches,
    /// What commands did, for who records it.
    pub(crate) effects: Effects,
}

/// A key's value as one of its types.
macro_rules! typed {
    ($entry:expr, $variant:ident) => {
        match $entry {
            None => Ok(None),
            Some(Value::$variant(value)) => Ok(Some(value)),
            Some(_) => Err(CommandError::WrongType),
        }
    };
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
    pub(crate) fn changed(&mut self, key: &[u8]) {
        self.changes += 1;
        self.watches.touch(key);
    }

    /// Notes a change that concerns no transaction: Redis does not count what happens to consumer groups as a change of
    /// the stream (`signalModifiedKey` is not called).
    pub(crate) fn changed_unseen(&mut self) {
        self.changes += 1;
    }

    /// Notes that who waits for the stream at `key` must be looked at.
    pub(crate) fn signal(&mut self, key: &[u8]) {
        if let Some((key, _)) = self.entries.get_key_value(key) {
            self.ready.push(key.clone());
        }
    }

    /// The keys signalled since the last call.
    pub(crate) fn take_ready(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.ready)
    }

    /// Removes everything.
    pub(crate) fn clear(&mut self) {
        self.changes += self.entries.len() as u64;
        self.by_serial.clear();
        self.deadlines.clear();
        for (key, entry) in std::mem::take(&mut self.entries) {
            self.watches.touch(&key);
            if let Value::Stream(_) = entry.value {
                self.ready.push(key);
            }
        }
    }

    /// A key's value. The key counts as used.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Value> {
        match self.entries.get(key) {
            Some(entry) => {
                entry.accessed.set(self.now);
                Some(&entry.value)
            }
            None => self.reserved(key),
        }
    }

    /// A key's value, for commands that only ask about it.
    pub(crate) fn peek(&self, key: &[u8]) -> Option<&Value> {
        self.entries.get(key).map(|entry| &entry.value).or_else(|| self.reserved(key))
    }

    fn reserved(&self, key: &[u8]) -> Option<&Value> {
        self.reserved.as_ref().filter(|(reserved, _)| *reserved == key).map(|(_, value)| value)
    }

    /// Makes a key that is only there for those who read it: no other method knows it.
    pub(crate) fn set_reserved(&mut self, key: &'static [u8], bytes: &[u8]) {
        self.reserved = Some((key, Value::String(bytes.to_vec())));
    }

    /// All keys with what they hold and their deadlines.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Value, Option<WallMs>)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value, entry.deadline))
    }

    /// For how many milliseconds no command has looked at a key's value.
    pub(crate) fn idle(&self, key: &[u8]) -> Option<WallMs> {
        self.entries.get(key).map(|entry| self.now.saturating_sub(entry.accessed.get()).max(0))
    }

    fn get_mut(&mut self, key: &[u8]) -> Option<&mut Value> {
        let entry = self.entries.get_mut(key)?;
        entry.accessed.set(self.now);
        Some(&mut entry.value)
    }

    /// A key's string.
    pub(crate) fn string(&self, key: &[u8]) -> Result<Option<&[u8]>, CommandError> {
        typed!(self.get(key), String).map(|string| string.map(Vec::as_slice))
    }

    /// A key's string, to change it in place, which [`Db::changed`] must hear of; its deadline stays.
    pub(crate) fn string_mut(&mut self, key: &[u8]) -> Result<Option<&mut Vec<u8>>, CommandError> {
        typed!(self.get_mut(key), String)
    }

    /// A key's hash.
    pub(crate) fn hash(&self, key: &[u8]) -> Result<Option<&Hash>, CommandError> {
        typed!(self.get(key), Hash).map(|hash| hash.map(|hash| &**hash))
    }

    /// A key's hash, to change it in place, which [`Db::changed`] must hear of.
    pub(crate) fn hash_mut(&mut self, key: &[u8]) -> Result<Option<&mut Hash>, CommandError> {
        typed!(self.get_mut(key), Hash).map(|hash| hash.map(|hash| &mut **hash))
    }

    /// A key's stream.
    pub(crate) fn stream(&self, key: &[u8]) -> Result<Option<&Stream>, CommandError> {
        typed!(self.get(key), Stream).map(|stream| stream.map(|stream| &**stream))
    }

    /// A key's stream, to change it in place, which [`Db::changed`] must hear of.
    pub(crate) fn stream_mut(&mut self, key: &[u8]) -> Result<Option<&mut Stream>, CommandError> {
        typed!(self.get_mut(key), Stream).map(|stream| stream.map(|stream| &mut **stream))
    }

    /// A key's stream to change, and where the effects go.
    pub(crate) fn stream_and_effects(
        &mut self,
        key: &[u8],
    ) -> Result<Option<(&mut Stream, &mut Effects)>, CommandError> {
        let value = self.entries.get_mut(key).map(|entry| {
            entry.accessed.set(self.now);
            &mut entry.value
        });
        let effects = &mut self.effects;
        typed!(value, Stream).map(|stream| stream.map(|stream| (&mut **stream, effects)))
    }

    /// Makes a key hold a string, whatever it held.
    pub(crate) fn set_string(&mut self, key: &[u8], bytes: &[u8], ttl: Ttl) {
        let Ok(Some(old)) = self.string_mut(key) else {
            return self.set(key, Value::String(bytes.to_vec()), ttl);
        };
        old.clear();
        old.extend_from_slice(bytes);
        match ttl {
            Ttl::Keep => {}
            Ttl::Forever => drop(self.move_deadline(key, None)),
            Ttl::Until(deadline) => drop(self.move_deadline(key, Some(deadline))),
        }
        self.changed(key);
    }

    /// Makes a key hold `value`, whatever it held.
    pub(crate) fn set(&mut self, key: &[u8], value: Value, ttl: Ttl) {
        let deadline = match ttl {
            Ttl::Forever => None,
            Ttl::Keep => self.deadline(key).flatten(),
            Ttl::Until(deadline) => Some(deadline),
        };
        self.unlink(key);
        let shared = Key::from(key);
        if let Value::Stream(_) = value {
            self.ready.push(shared.clone());
        }
        self.created += 1;
        self.by_serial.insert(self.created, shared.clone());
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, shared.clone()));
        }
        let entry = Entry { value, deadline, serial: self.created, accessed: Cell::new(self.now) };
        self.entries.insert(shared, entry);
        self.changed(key);
    }

    /// Removes a key; `false` when there is none.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        self.take(key).is_some()
    }

    /// Removes a key and returns what it held, with its deadline.
    pub(crate) fn take(&mut self, key: &[u8]) -> Option<(Value, Option<WallMs>)> {
        let entry = self.unlink(key)?;
        self.changed(key);
        Some((entry.value, entry.deadline))
    }

    fn unlink(&mut self, key: &[u8]) -> Option<Entry> {
        let (key, entry) = self.entries.remove_entry(key)?;
        self.by_serial.remove(&entry.serial);
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, key.clone()));
        }
        if let Value::Stream(_) = entry.value {
            self.ready.push(key);
        }
        Some(entry)
    }

    /// Every key, in the order of their bytes.
    pub(crate) fn keys(&self) -> impl ExactSizeIterator<Item = &Key> {
        self.entries.keys()
    }

    /// The keys that were created before the one with this number, the newest first, each with its number.
    ///
    /// Who goes on with the last number it got meets every key that is there all the time exactly once, and never one
    /// that was created after it began.
    pub(crate) fn created_before(&self, serial: u64) -> impl Iterator<Item = (u64, &Key)> {
        self.by_serial.range(..serial).rev().map(|(serial, key)| (*serial, key))
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

    /// As [`Db::set_deadline`], with its effect; a deadline that has come removes the key.
    pub(crate) fn move_and_record_deadline(&mut self, key: &[u8], deadline: Option<WallMs>) -> bool {
        let Some(old) = self.deadline(key) else {
            return false;
        };
        match deadline {
            None if old.is_none() => return false,
            None => self.effects.push(&[b"PERSIST", key]),
            Some(deadline) if deadline <= self.now && !self.loading => {
                self.effects.push(&[b"DEL", key]);
                return self.remove(key);
            }
            Some(deadline) => {
                self.effects.push(&[b"PEXPIREAT", key, deadline.to_string().as_bytes()]);
            }
        }
        self.set_deadline(key, deadline).is_some()
    }

    /// A key's hash to change, which is made when there is none.
    pub(crate) fn hash_or_new(&mut self, key: &[u8]) -> Result<&mut Hash, CommandError> {
        if self.hash(key)?.is_none() {
            self.set(key, Value::Hash(Box::default()), Ttl::Forever);
        }
        self.hash_mut(key)?.ok_or(CommandError::WrongType)
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
    /// Redis `db.c`). A command that follows runs at `now`.
    pub(crate) fn expire(&mut self, now: WallMs) {
        self.now = now;
        if self.loading {
            return;
        }
        while let Some((_, key)) = self.deadlines.first().filter(|(deadline, _)| *deadline < now) {
            let key = key.clone();
            self.remove(&key);
            self.effects.push(&[b"DEL", &key]);
            self.effects.commit();
            env::detail!("bus.expired", key = %key.escape_ascii());
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
