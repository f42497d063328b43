//! Who listens to which stream. An event is rendered once, when somebody listens, and shared by all who do.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Events that may wait for a slow client; at the next one it is disconnected.
const MAX_WAITING: usize = 1_024;

#[derive(Default)]
pub(crate) struct Hub(Mutex<Listeners>);

#[derive(Default)]
struct Listeners {
    next_id: u64,
    connections: BTreeMap<u64, Connection>,
    streams: BTreeMap<Arc<str>, BTreeSet<u64>>,
}

struct Connection {
    combined: bool,
    names: BTreeSet<Arc<str>>,
    outbox: mpsc::Sender<Utf8Bytes>,
    /// Dropped with the entry: tells the connection that it is no longer served.
    _served: oneshot::Sender<()>,
}

/// A connection's place in the hub, given up on drop.
pub(crate) struct Seat<'a> {
    hub: &'a Hub,
    id: u64,
}

/// What a connection gets from the hub.
pub(crate) struct Inbox {
    pub events: mpsc::Receiver<Utf8Bytes>,
    /// Resolves when the connection was too slow and has lost its seat.
    pub lost: oneshot::Receiver<()>,
}

impl Hub {
    /// Takes a seat; `combined` events carry the name of their stream.
    pub fn join(&self, combined: bool) -> (Seat<'_>, Inbox) {
        let (outbox, events) = mpsc::channel(MAX_WAITING);
        let (served, lost) = oneshot::channel();
        let mut listeners = self.lock();
        let id = listeners.next_id;
        listeners.next_id += 1;
        let connection = Connection { combined, names: BTreeSet::new(), outbox, _served: served };
        listeners.connections.insert(id, connection);
        (Seat { hub: self, id }, Inbox { events, lost })
    }

    /// The streams that somebody listens to and whose names begin with `prefix`, sorted.
    pub fn listened(&self, prefix: &str) -> Vec<Arc<str>> {
        let listeners = self.lock();
        let from = listeners.streams.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.map(|(name, _)| name).take_while(|name| name.starts_with(prefix)).cloned().collect()
    }

    /// Sends what `render` gives to all who listen to `name`; does nothing when nobody does.
    pub fn publish(&self, name: &str, render: impl FnOnce() -> String) {
        let listeners = &mut *self.lock();
        let Some(ids) = listeners.streams.get(name) else {
            return;
        };
        let raw = Utf8Bytes::from(render());
        let mut wrapped = None;
        let mut unserved = Vec::new();
        for id in ids {
            let Some(connection) = listeners.connections.get(id) else {
                continue;
            };
            let event = if connection.combined {
                wrapped.get_or_insert_with(|| wrap(name, &raw)).clone()
            } else {
                raw.clone()
            };
            if connection.outbox.try_send(event).is_err() {
                unserved.push(*id);
            }
        }
        for id in unserved {
            listeners.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Listeners> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

impl Listeners {
    fn remove(&mut self, id: u64) {
        let names = self.connections.remove(&id).map(|connection| connection.names);
        for name in names.iter().flatten() {
            self.leave(name, id);
        }
    }

    fn leave(&mut self, name: &str, id: u64) {
        if let Some(ids) = self.streams.get_mut(name) {
            ids.remove(&id);
            if ids.is_empty() {
                self.streams.remove(name);
            }
        }
    }
}

impl Seat<'_> {
    pub fn subscribe(&self, name: &str) {
        let listeners = &mut *self.hub.lock();
        let Some(connection) = listeners.connections.get_mut(&self.id) else {
            return;
        };
        let name: Arc<str> = name.into();
        connection.names.insert(name.clone());
        listeners.streams.entry(name).or_default().insert(self.id);
    }

    pub fn unsubscribe(&self, name: &str) {
        let listeners = &mut *self.hub.lock();
        if listeners.connections.get_mut(&self.id).is_some_and(|connection| connection.names.remove(name)) {
            listeners.leave(name, self.id);
        }
    }

    /// The streams listened to, sorted.
    pub fn subscriptions(&self) -> Vec<Arc<str>> {
        let listeners = self.hub.lock();
        listeners.connections.get(&self.id).map(|c| c.names.iter().cloned().collect()).unwrap_or_default()
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.hub.lock().remove(self.id);
    }
}

fn wrap(name: &str, event: &str) -> Utf8Bytes {
    let name = serde_json::Value::from(name);
    format!("{{\"stream\":{name},\"data\":{event}}}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_goes_to_its_listeners_raw_or_wrapped_and_is_rendered_for_nobody_else() {
        let hub = Hub::default();
        hub.publish("a", || unreachable!("nobody listens"));
        let (plain, mut raw) = hub.join(false);
        let (both, mut wrapped) = hub.join(true);
        plain.subscribe("a");
        both.subscribe("a");
        hub.publish("a", || "{}".into());
        assert_eq!(raw.events.try_recv().as_deref(), Ok("{}"));
        assert_eq!(wrapped.events.try_recv().as_deref(), Ok(r#"{"stream":"a","data":{}}"#));
        both.subscribe("ab");
        both.subscribe("b");
        assert_eq!(hub.listened("a"), ["a".into(), "ab".into()]);
        plain.unsubscribe("a");
        drop(both);
        hub.publish("a", || unreachable!("nobody listens any more"));
        assert!(hub.lock().streams.is_empty());
    }

    #[test]
    fn a_listener_that_takes_nothing_loses_its_seat_and_nobody_else_does() {
        let hub = Hub::default();
        let (slow, mut unread) = hub.join(false);
        let (fast, mut read) = hub.join(false);
        slow.subscribe("a");
        fast.subscribe("a");
        for _ in 0..=MAX_WAITING {
            assert!(unread.lost.try_recv() != Err(oneshot::error::TryRecvError::Closed));
            hub.publish("a", || "{}".into());
            assert!(read.events.try_recv().is_ok());
        }
        assert_eq!(unread.lost.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(slow.subscriptions(), []);
        assert_eq!(fast.subscriptions(), ["a".into()]);
    }
}
