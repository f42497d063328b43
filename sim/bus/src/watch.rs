//! Which transactions depend on which keys: what WATCH remembers.
//!
//! Deliberately absent: comparing values. As in Redis a key that was set to what it held counts as changed.

use std::collections::{BTreeMap, BTreeSet};

use crate::db::Key;

/// Names a client: the number of its connection.
pub(crate) type ClientId = i64;

#[derive(Debug, Default)]
struct Watch {
    keys: BTreeSet<Key>,
    /// One of the keys has changed.
    touched: bool,
}

/// All clients that watch keys.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    clients: BTreeMap<ClientId, Watch>,
    by_key: BTreeMap<Key, BTreeSet<ClientId>>,
}

impl Watches {
    /// From now on the client's next transaction depends on `key`.
    pub(crate) fn watch(&mut self, client: ClientId, key: &[u8]) {
        let watch = self.clients.entry(client).or_default();
        if watch.touched || watch.keys.contains(key) {
            return;
        }
        let key = self.by_key.get_key_value(key).map_or_else(|| Key::from(key), |(key, _)| key.clone());
        watch.keys.insert(key.clone());
        self.by_key.entry(key).or_default().insert(client);
    }

    /// Lets every transaction that depends on `key` fail.
    pub(crate) fn touch(&mut self, key: &[u8]) {
        if self.by_key.is_empty() {
            return;
        }
        for client in self.by_key.get(key).into_iter().flatten() {
            if let Some(watch) = self.clients.get_mut(client) {
                watch.touched = true;
            }
        }
    }

    /// Forgets what the client watches; `true` when one of the keys had changed.
    pub(crate) fn forget(&mut self, client: ClientId) -> bool {
        let Some(watch) = self.clients.remove(&client) else {
            return false;
        };
        for key in &watch.keys {
            if let Some(clients) = self.by_key.get_mut(key) {
                clients.remove(&client);
                if clients.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        watch.touched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_watches_a_key_learns_of_its_change() {
        let mut watches = Watches::default();
        watches.watch(1, b"a");
        watches.watch(1, b"b");
        watches.watch(2, b"b");
        watches.touch(b"a");
        watches.touch(b"c");
        assert!(watches.forget(1));
        assert!(!watches.forget(1), "the next transaction begins anew");
        assert!(!watches.forget(2));
        assert!(watches.by_key.is_empty() && watches.clients.is_empty());
    }
}
