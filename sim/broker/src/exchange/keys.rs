//! Listen keys: who may hear an account's user stream ("User Data Streams").
//!
//! One key per account: a second client that deletes it silences the first without disconnecting it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

/// How long a key lives after it was last asked for or extended.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

pub(crate) struct ListenKeys(Vec<Option<Key>>);

struct Key {
    name: Arc<str>,
    expires: Instant,
}

impl ListenKeys {
    pub fn new(accounts: usize) -> Self {
        Self((0..accounts).map(|_| None).collect())
    }

    /// The account's active key.
    pub fn active(&self, account: usize) -> Option<&Arc<str>> {
        self.0[account].as_ref().map(|key| &key.name)
    }

    /// Extends the active key or makes `fresh` the active one.
    pub fn create(&mut self, account: usize, now: Instant, fresh: impl FnOnce() -> Arc<str>) -> Arc<str> {
        let key = self.0[account].get_or_insert_with(|| Key { name: fresh(), expires: now });
        key.expires = now + LIFETIME;
        key.name.clone()
    }

    /// Extends the active key, if there is one.
    pub fn extend(&mut self, account: usize, now: Instant) -> Option<Arc<str>> {
        let key = self.0[account].as_mut()?;
        key.expires = now + LIFETIME;
        Some(key.name.clone())
    }

    pub fn delete(&mut self, account: usize) {
        self.0[account] = None;
    }

    /// When the next key expires.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.0.iter().flatten().map(|key| key.expires).min()
    }

    /// Takes out all keys.
    pub fn expire_all(&mut self) -> Vec<Arc<str>> {
        self.0.iter_mut().filter_map(Option::take).map(|key| key.name).collect()
    }

    /// Takes out a key whose time is over.
    pub fn pop_expired(&mut self, now: Instant) -> Option<Arc<str>> {
        let expired = |key: &mut Option<Key>| key.as_ref().is_some_and(|key| key.expires <= now);
        let slot = self.0.iter_mut().find_map(|key| expired(key).then_some(key))?;
        slot.take().map(|key| key.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_is_the_same_until_it_expires_an_hour_after_its_last_extension() {
        let start = Instant::now();
        let minute = |n: u64| start + Duration::from_secs(60 * n);
        let mut keys = ListenKeys::new(2);
        assert_eq!(keys.extend(0, start), None);
        assert_eq!(&*keys.create(0, start, || "first".into()), "first");
        assert_eq!(&*keys.create(0, start, || "second".into()), "first");
        assert!(keys.extend(0, minute(30)).is_some());
        assert_eq!(keys.next_expiry(), Some(minute(90)));
        assert_eq!(keys.pop_expired(minute(89)), None);
        assert_eq!(keys.pop_expired(minute(90)).as_deref(), Some("first"));
        assert_eq!(keys.active(0), None);
        assert_eq!(&*keys.create(0, minute(91), || "second".into()), "second");
    }
}
