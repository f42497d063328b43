//! Everyone who is connected, as the others see them: listed, sent messages to, sent away.
//!
//! A connection owns its socket; what others may reach of it is here, under the server's lock. Its session is taken out
//! while the connection executes ([`Clients::take`]), so that a command can change its own session and look at all others.
//!
//! Messages wait in an outbox that is bounded as Redis bounds the output buffer of subscribers
//! (`checkClientOutputBufferLimits`, Redis `networking.c`): who exceeds it is sent away.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{sync::Notify, time::Instant};

use crate::{blocking::Ticket, connection::Session, resp::Protocol};

/// Counts connections from 1.
pub(crate) type ClientId = i64;

/// How much may wait for a subscriber: `client-output-buffer-limit pubsub`. Zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// More bytes than this end the connection at once.
    pub hard: usize,
    /// More bytes than this, for longer than [`OutputLimit::soft_for`], end it too.
    pub soft: usize,
    /// How long the soft limit may be exceeded; whole seconds.
    pub soft_for: Duration,
}

impl OutputLimit {
    /// Redis's default: 32mb 8mb 60.
    pub const PUBSUB: Self = Self { hard: 32 << 20, soft: 8 << 20, soft_for: Duration::from_secs(60) };
}

/// One connection.
struct Client {
    id: ClientId,
    /// Absent while the connection executes.
    session: Option<Box<Session>>,
    /// Messages that its socket has not taken yet.
    outbox: BytesMut,
    over_soft_since: Option<Instant>,
    /// It is being sent away and executes nothing more.
    doomed: bool,
    /// Its place among those who wait for a key.
    waits: Option<Ticket>,
    /// Rung when there is a first message, and when it is doomed.
    bell: Arc<Notify>,
}

/// All connections by id, which is their age.
#[derive(Default)]
pub(crate) struct Clients(BTreeMap<ClientId, Client>);

impl Clients {
    /// Adds a connection; what others want of it rings the bell.
    pub(crate) fn enter(&mut self, session: Session) -> Arc<Notify> {
        let bell = Arc::new(Notify::new());
        let id = session.id;
        let client = Client {
            id,
            session: Some(Box::new(session)),
            outbox: BytesMut::new(),
            over_soft_since: None,
            doomed: false,
            waits: None,
            bell: bell.clone(),
        };
        self.0.insert(id, client);
        bell
    }

    /// Removes a connection that has ended.
    pub(crate) fn leave(&mut self, id: ClientId) -> Option<Box<Session>> {
        self.0.remove(&id)?.session
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes a session out, to execute; `None` when its client is being sent away.
    pub(crate) fn take(&mut self, id: ClientId) -> Option<Box<Session>> {
        let client = self.0.get_mut(&id).filter(|client| !client.doomed)?;
        client.waits = None;
        client.session.take()
    }

    /// Gives a session back after executing.
    pub(crate) fn put(&mut self, session: Box<Session>) {
        if let Some(client) = self.0.get_mut(&session.id) {
            client.session = Some(session);
        }
    }

    /// All sessions, and `executing` in the place of the one that is taken out, oldest first.
    pub(crate) fn sessions<'a>(
        &'a self,
        executing: &'a Session,
    ) -> impl Iterator<Item = (&'a Session, Seen)> {
        self.0.values().map(move |client| {
            let session = client.session.as_deref().unwrap_or(executing);
            let seen =
                Seen { waits: client.waits.is_some(), doomed: client.doomed, outbox: client.outbox.len() };
            (session, seen)
        })
    }

    /// Notes that a client waits for a key until it executes again.
    pub(crate) fn waits(&mut self, id: ClientId, ticket: Ticket) {
        if let Some(client) = self.0.get_mut(&id) {
            client.waits = Some(ticket);
        }
    }

    /// Which place a client has among those who wait for a key.
    pub(crate) fn ticket(&self, id: ClientId) -> Option<Ticket> {
        self.0.get(&id)?.waits
    }

    /// Puts a message into a client's outbox, in the encoding of its protocol.
    pub(crate) fn send<'m>(
        &mut self,
        id: ClientId,
        limit: OutputLimit,
        encoding: impl FnOnce(Protocol) -> &'m [u8],
    ) {
        let Some(client) = self.0.get_mut(&id).filter(|client| !client.doomed) else {
            return;
        };
        let Some(session) = &client.session else {
            return;
        };
        let first = client.outbox.is_empty();
        client.outbox.extend_from_slice(encoding(session.protocol));
        let waiting = client.outbox.len();
        if limit.hard != 0 && waiting > limit.hard {
            client.send_away("output buffer limit");
        } else if limit.soft != 0 && waiting > limit.soft && client.over_soft_since.is_none() {
            client.over_soft_since = Some(Instant::now());
            client.bell.notify_one();
        } else if first {
            client.bell.notify_one();
        }
    }

    /// Moves at most `room` bytes of a client's messages to its output; `true` when more are left.
    pub(crate) fn collect(
        &mut self,
        id: ClientId,
        limit: OutputLimit,
        output: &mut Vec<u8>,
        room: usize,
    ) -> bool {
        let Some(client) = self.0.get_mut(&id) else {
            return false;
        };
        if client.outbox.is_empty() {
            return false;
        }
        let part = client.outbox.split_to(client.outbox.len().min(room));
        output.extend_from_slice(&part);
        if client.outbox.len() <= limit.soft {
            client.over_soft_since = None;
        }
        if client.outbox.is_empty() {
            client.outbox = BytesMut::new();
        }
        !client.outbox.is_empty()
    }

    /// When a client has exceeded the soft limit for too long, if nothing changes.
    pub(crate) fn soft_deadline(&self, id: ClientId, limit: OutputLimit) -> Option<Instant> {
        self.0.get(&id)?.over_soft_since?.checked_add(limit.soft_for)
    }

    /// Whether a client is being sent away.
    pub(crate) fn is_doomed(&self, id: ClientId) -> bool {
        self.0.get(&id).is_none_or(|client| client.doomed)
    }

    /// Ends a connection without another word to it.
    pub(crate) fn send_away(&mut self, id: ClientId, reason: &'static str) {
        if let Some(client) = self.0.get_mut(&id) {
            client.send_away(reason);
        }
    }

    /// Ends all connections.
    pub(crate) fn send_all_away(&mut self, reason: &'static str) {
        self.0.values_mut().for_each(|client| client.send_away(reason));
    }

    /// Lets every connection look again at what it waits for.
    pub(crate) fn ring_all(&self) {
        self.0.values().for_each(|client| client.bell.notify_one());
    }
}

/// What only the server knows of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) waits: bool,
    pub(crate) doomed: bool,
    /// Bytes of messages that wait.
    pub(crate) outbox: usize,
}

impl Client {
    fn send_away(&mut self, reason: &'static str) {
        if self.doomed {
            return;
        }
        self.doomed = true;
        env::fact!("bus.client_closed", client = self.id, reason, waiting = self.outbox.len() as u64);
        self.outbox = BytesMut::new();
        self.bell.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: OutputLimit = OutputLimit { hard: 20, soft: 10, soft_for: Duration::from_secs(60) };

    fn one() -> Clients {
        let mut clients = Clients::default();
        clients.enter(Session { id: 1, ..Session::default() });
        clients
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_kept_in_order_and_handed_out_in_pieces() {
        let mut clients = one();
        clients.send(1, LIMIT, |_| b"abc");
        clients.send(1, LIMIT, |_| b"def");
        let mut output = Vec::new();
        assert!(clients.collect(1, LIMIT, &mut output, 4));
        assert!(!clients.collect(1, LIMIT, &mut output, 4));
        assert_eq!(output, b"abcdef");
        assert!(!clients.collect(1, LIMIT, &mut output, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn who_exceeds_the_hard_limit_is_sent_away() {
        let mut clients = one();
        clients.send(1, LIMIT, |_| &[0; 20]);
        assert!(!clients.is_doomed(1));
        clients.send(1, LIMIT, |_| &[0; 1]);
        assert!(clients.is_doomed(1));
        assert!(clients.take(1).is_none(), "it executes nothing more");
        assert!(!clients.collect(1, LIMIT, &mut Vec::new(), 4), "its messages are gone");
    }

    #[tokio::test(start_paused = true)]
    async fn the_soft_limit_counts_from_when_it_was_exceeded_until_it_is_not() {
        let mut clients = one();
        let began = Instant::now();
        clients.send(1, LIMIT, |_| &[0; 11]);
        tokio::time::advance(Duration::from_secs(5)).await;
        clients.send(1, LIMIT, |_| &[0; 1]);
        assert_eq!(clients.soft_deadline(1, LIMIT), Some(began + Duration::from_secs(60)));
        clients.collect(1, LIMIT, &mut Vec::new(), 2);
        assert_eq!(clients.soft_deadline(1, LIMIT), None);
    }
}
