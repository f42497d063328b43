//! Who listens to which channel and pattern.
//!
//! Deliberately absent: the messages, which go through [`crate::clients`], and sharded channels, which are for clusters.

use std::collections::{BTreeMap, BTreeSet};

use crate::{clients::ClientId, db::Key, glob};

/// All subscriptions, by channel and by pattern.
#[derive(Debug, Default)]
pub(crate) struct PubSub {
    pub(crate) channels: Topics,
    pub(crate) patterns: Topics,
}

impl PubSub {
    /// The patterns that match a channel, with their subscribers.
    pub(crate) fn matching<'a>(
        &'a self,
        channel: &'a [u8],
    ) -> impl Iterator<Item = (&'a Key, &'a BTreeSet<ClientId>)> {
        self.patterns.0.iter().filter(|(pattern, _)| glob::matches(pattern, channel))
    }

    /// Forgets a client that has gone.
    pub(crate) fn leave(&mut self, client: ClientId, subscriptions: &Subscriptions) {
        subscriptions.channels.iter().for_each(|channel| self.channels.remove(client, channel));
        subscriptions.patterns.iter().for_each(|pattern| self.patterns.remove(client, pattern));
    }
}

/// Subscribers by name. A name without subscribers has no entry.
#[derive(Debug, Default)]
pub(crate) struct Topics(BTreeMap<Key, BTreeSet<ClientId>>);

impl Topics {
    /// How many names have subscribers.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The names that have subscribers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Key> {
        self.0.keys()
    }

    /// Who listens to `name`.
    pub(crate) fn subscribers(&self, name: &[u8]) -> Option<&BTreeSet<ClientId>> {
        self.0.get(name)
    }

    /// Adds a subscriber; returns the name as it is shared.
    pub(crate) fn insert(&mut self, client: ClientId, name: &[u8]) -> Key {
        let shared = self.0.get_key_value(name).map_or_else(|| Key::from(name), |(name, _)| name.clone());
        self.0.entry(shared.clone()).or_default().insert(client);
        shared
    }

    /// Takes a subscriber away.
    pub(crate) fn remove(&mut self, client: ClientId, name: &[u8]) {
        if let Some(subscribers) = self.0.get_mut(name) {
            subscribers.remove(&client);
            if subscribers.is_empty() {
                self.0.remove(name);
            }
        }
    }
}

/// What one client listens to.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    pub(crate) channels: BTreeSet<Key>,
    pub(crate) patterns: BTreeSet<Key>,
}

impl Subscriptions {
    /// Channels and patterns together, as the replies of (UN)SUBSCRIBE count them.
    pub(crate) fn len(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_lives_as_long_as_it_has_subscribers() {
        let mut topics = Topics::default();
        topics.insert(1, b"a");
        topics.insert(2, b"a");
        topics.insert(2, b"a");
        topics.remove(1, b"a");
        topics.remove(1, b"b");
        assert_eq!(topics.subscribers(b"a"), Some(&BTreeSet::from([2])));
        topics.remove(2, b"a");
        assert_eq!((topics.len(), topics.subscribers(b"a")), (0, None));
    }

    #[test]
    fn a_client_that_leaves_is_nowhere() {
        let mut pubsub = PubSub::default();
        let mut subscriptions = Subscriptions::default();
        subscriptions.channels.insert(pubsub.channels.insert(1, b"a"));
        subscriptions.patterns.insert(pubsub.patterns.insert(1, b"a*"));
        pubsub.patterns.insert(2, b"a*");
        assert_eq!(subscriptions.len(), 2);
        pubsub.leave(1, &subscriptions);
        assert_eq!(pubsub.channels.len(), 0);
        let left: Vec<_> =
            pubsub.matching(b"abc").map(|(pattern, clients)| (&**pattern, clients.len())).collect();
        assert_eq!(left, [(&b"a*"[..], 1)]);
        assert_eq!(pubsub.matching(b"b").count(), 0);
    }
}
