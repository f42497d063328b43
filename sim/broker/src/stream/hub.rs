//! Who listens to which stream, and in which form. An event is rendered once, when somebody listens, and shared by all who do.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::name;
use crate::fault::Audience;

/// Events that may wait for a slow client; at the next one it is disconnected.
const MAX_WAITING: usize = 1_024;
/// How long these may be together, in bytes: the largest, differences of an order book, have up to 100 kB.
const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;

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
    outbox: mpsc::Sender<Event>,
    /// Bytes that wait.
    waiting: Arc<AtomicUsize>,
    /// Dropped with the entry: tells the connection that it is no longer served.
    served: oneshot::Sender<&'static str>,
}

/// What a listener is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub audience: Audience,
    pub text: Utf8Bytes,
}

/// A connection's place in the hub, given up on drop.
pub(crate) struct Seat<'a> {
    hub: &'a Hub,
    id: u64,
}

/// What a connection gets from the hub.
pub(crate) struct Inbox {
    pub events: Events,
    /// Resolves when the connection has lost its seat: with a reason, or because it was too slow.
    pub lost: oneshot::Receiver<&'static str>,
}

/// The events that wait for a connection.
pub(crate) struct Events {
    queue: mpsc::Receiver<Event>,
    waiting: Arc<AtomicUsize>,
}

impl Events {
    /// The next event; none when the connection has lost its seat.
    pub async fn recv(&mut self) -> Option<Event> {
        let event = self.queue.recv().await?;
        self.waiting.fetch_sub(event.text.len(), Relaxed);
        Some(event)
    }

    /// The next event if one waits.
    pub fn try_recv(&mut self) -> Option<Event> {
        let event = self.queue.try_recv().ok()?;
        self.waiting.fetch_sub(event.text.len(), Relaxed);
        Some(event)
    }
}

impl Connection {
    /// Lets an event wait, unless too much does.
    fn take(&self, event: Event) -> bool {
        let bytes = event.text.len();
        let fits = self.waiting.fetch_add(bytes, Relaxed) + bytes <= MAX_WAITING_BYTES;
        fits && self.outbox.try_send(event).is_ok()
    }
}

impl Hub {
    /// Takes a seat; `combined` events carry the name of their stream.
    pub fn join(&self, combined: bool) -> (Seat<'_>, Inbox) {
        let (outbox, queue) = mpsc::channel(MAX_WAITING);
        let waiting = Arc::<AtomicUsize>::default();
        let events = Events { queue, waiting: waiting.clone() };
        let (served, lost) = oneshot::channel();
        let mut listeners = self.lock();
        let id = listeners.next_id;
        listeners.next_id += 1;
        let connection = Connection { combined, names: BTreeSet::new(), outbox, waiting, served };
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
        let audience = name::audience(name);
        let raw = Utf8Bytes::from(render());
        let mut wrapped = None;
        let mut unserved = Vec::new();
        for id in ids {
            let Some(connection) = listeners.connections.get(id) else {
                continue;
            };
            let text = if connection.combined {
                wrapped.get_or_insert_with(|| wrap(name, &raw)).clone()
            } else {
                raw.clone()
            };
            if !connection.take(Event { audience, text }) {
                unserved.push(*id);
            }
        }
        for id in unserved {
            listeners.remove(id);
        }
    }

    /// Takes away the seats of those who listen to streams of this audience, or of everybody; returns whether there were any.
    pub fn cut(&self, audience: Option<Audience>) -> bool {
        let listeners = &mut *self.lock();
        let concerned = |connection: &Connection| connection.audience().is(audience);
        let ids: Vec<u64> =
            listeners.connections.iter().filter(|(_, it)| concerned(it)).map(|(id, _)| *id).collect();
        for id in &ids {
            if let Some(connection) = listeners.remove(*id) {
                // A connection that is ending anyway does not listen.
                let _ = connection.served.send("cut");
            }
        }
        !ids.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Listeners> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

impl Listeners {
    fn remove(&mut self, id: u64) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        connection.names.iter().for_each(|name| self.leave(name, id));
        Some(connection)
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

impl Connection {
    /// Users, when it listens to a listen key.
    fn audience(&self) -> Audience {
        let hears_user = self.names.iter().any(|name| name::audience(name) == Audience::User);
        if hears_user { Audience::User } else { Audience::Market }
    }
}

impl Seat<'_> {
    /// Users, when it listens to a listen key; the market otherwise.
    pub fn audience(&self) -> Audience {
        self.hub.lock().connections.get(&self.id).map_or(Audience::Market, Connection::audience)
    }

    /// Whether events carry the name of their stream.
    pub fn combined(&self) -> bool {
        self.hub.lock().connections.get(&self.id).is_some_and(|connection| connection.combined)
    }

    pub fn set_combined(&self, combined: bool) {
        if let Some(connection) = self.hub.lock().connections.get_mut(&self.id) {
            connection.combined = combined;
        }
    }

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
        both.subscribe("ab");
        both.subscribe("b");
        assert_eq!(hub.listened("a"), ["a".into(), "ab".into()]);
        let event = |text: &'static str| Some(Event { audience: Audience::User, text: text.into() });
        assert_eq!(raw.events.try_recv(), event("{}"));
        assert_eq!(wrapped.events.try_recv(), event(r#"{"stream":"a","data":{}}"#));
        both.set_combined(false);
        hub.publish("a", || "{}".into());
        assert_eq!((raw.events.try_recv(), wrapped.events.try_recv()), (event("{}"), event("{}")));
        plain.unsubscribe("a");
        drop(both);
        hub.publish("a", || unreachable!("nobody listens any more"));
        assert!(hub.lock().streams.is_empty());
    }

    #[test]
    fn only_those_who_listen_to_what_is_cut_lose_their_seats() {
        let hub = Hub::default();
        let (market, mut public) = hub.join(false);
        let (user, mut private) = hub.join(false);
        market.subscribe("btcusdt@aggTrade");
        user.subscribe("listenkey");
        assert!(hub.cut(Some(Audience::User)));
        assert_eq!(private.lost.try_recv(), Ok("cut"));
        assert_eq!(public.lost.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        assert!(!hub.cut(Some(Audience::User)));
        assert!(hub.cut(None));
        assert_eq!(public.lost.try_recv(), Ok("cut"));
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
            assert!(read.events.try_recv().is_some());
        }
        assert_eq!(unread.lost.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(slow.subscriptions(), []);
        assert_eq!(fast.subscriptions(), ["a".into()]);
    }

    #[test]
    fn a_listener_that_lets_much_wait_loses_its_seat_and_one_that_reads_does_not() {
        let hub = Hub::default();
        let (slow, mut unread) = hub.join(false);
        let (fast, mut read) = hub.join(false);
        slow.subscribe("a");
        fast.subscribe("a");
        let large = "x".repeat(MAX_WAITING_BYTES / 8);
        for _ in 0..8 {
            hub.publish("a", || large.clone());
            assert!(read.events.try_recv().is_some());
        }
        assert_eq!(unread.lost.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        hub.publish("a", || "x".into());
        assert_eq!(unread.lost.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(read.events.try_recv().map(|event| event.text.len()), Some(1));
    }
}
