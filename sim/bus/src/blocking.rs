//! Clients that wait for a key, in the order in which they came.
//!
//! As in Redis, a waiting client is answered while the command that feeds it is still the only one running
//! (`handleClientsBlockedOnKeys`, Redis `blocked.c`): what it gets does not depend on when its task runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    db::{Db, Key, WallMs},
    resp::{Protocol, Reply},
};

/// A command that found nothing to answer and can be tried again.
pub(crate) trait Pending: Send {
    /// Looks at `key`, with which something has happened: writes the answer and returns `true`, or writes nothing and
    /// returns `false`.
    fn attempt(&self, key: &Key, db: &mut Db, now: WallMs, reply: &mut Reply<'_>) -> bool;

    /// Writes the answer of a command whose time is up.
    fn give_up(&self, reply: &mut Reply<'_>) {
        reply.null_array();
    }
}

/// What a command that must wait leaves to its connection.
pub(crate) struct Blocked {
    /// The keys that can feed it.
    pub(crate) keys: Vec<Key>,
    /// The command.
    pub(crate) pending: Box<dyn Pending>,
    /// When to give up; `None` is never.
    pub(crate) timeout: Option<Duration>,
}

/// Names a waiting client; later ones have higher numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

struct Waiter {
    keys: Vec<Key>,
    pending: Box<dyn Pending>,
    protocol: Protocol,
    answer: oneshot::Sender<Vec<u8>>,
}

/// Everyone who waits.
#[derive(Default)]
pub(crate) struct Waiters {
    issued: u64,
    waiters: BTreeMap<Ticket, Waiter>,
    by_key: BTreeMap<Key, BTreeSet<Ticket>>,
}

impl Waiters {
    /// How many clients wait.
    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Puts a client at the end of the queue of each of its keys. The answer comes through the receiver.
    pub(crate) fn enter(
        &mut self,
        keys: Vec<Key>,
        pending: Box<dyn Pending>,
        protocol: Protocol,
    ) -> (Ticket, oneshot::Receiver<Vec<u8>>) {
        self.issued += 1;
        let ticket = Ticket(self.issued);
        for key in &keys {
            self.by_key.entry(key.clone()).or_default().insert(ticket);
        }
        let (answer, answered) = oneshot::channel();
        self.waiters.insert(ticket, Waiter { keys, pending, protocol, answer });
        (ticket, answered)
    }

    /// Takes a client out of its queues; nothing happens when it has been answered.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) {
        self.take(ticket);
    }

    /// Answers a client that waits no longer: because its time is up, or with an error. `false` when it has been answered.
    pub(crate) fn release(&mut self, ticket: Ticket, error: Option<&'static str>) -> bool {
        let Some(waiter) = self.take(ticket) else {
            return false;
        };
        let mut answer = Vec::new();
        let mut reply = Reply::new(&mut answer, waiter.protocol);
        match error {
            None => waiter.pending.give_up(&mut reply),
            Some(error) => reply.error(&error),
        }
        // A client that has gone meanwhile needs no answer.
        let _ = waiter.answer.send(answer);
        true
    }

    /// Sends everyone away without an answer.
    pub(crate) fn clear(&mut self) {
        self.waiters.clear();
        self.by_key.clear();
    }

    /// Answers whoever can be answered now that keys were signalled, the longest waiting first.
    pub(crate) fn serve(&mut self, db: &mut Db, now: WallMs) {
        let ready = db.take_ready();
        for (nth, key) in ready.iter().enumerate() {
            if !self.by_key.contains_key(key) || ready[..nth].contains(key) {
                continue;
            }
            let queue: Vec<Ticket> = self.by_key.get(key).into_iter().flatten().copied().collect();
            for ticket in queue {
                self.serve_one(ticket, key, db, now);
            }
        }
    }

    fn serve_one(&mut self, ticket: Ticket, key: &Key, db: &mut Db, now: WallMs) {
        let Some(waiter) = self.waiters.get(&ticket) else {
            return;
        };
        let mut answer = Vec::new();
        let answered = waiter.pending.attempt(key, db, now, &mut Reply::new(&mut answer, waiter.protocol));
        db.effects.commit();
        if answered && let Some(waiter) = self.take(ticket) {
            // A client that has gone meanwhile needs no answer.
            let _ = waiter.answer.send(answer);
        }
    }

    fn take(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.waiters.remove(&ticket)?;
        for key in &waiter.keys {
            if let Some(queue) = self.by_key.get_mut(key) {
                queue.remove(&ticket);
                if queue.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        Some(waiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Ttl, Value};

    /// Takes the stream away from whoever comes later.
    struct Pop(Key);

    impl Pending for Pop {
        fn attempt(&self, _: &Key, db: &mut Db, _: WallMs, reply: &mut Reply<'_>) -> bool {
            let found = db.remove(&self.0);
            if found {
                reply.ok();
            }
            found
        }
    }

    fn enter(waiters: &mut Waiters, keys: &[&[u8]]) -> (Ticket, oneshot::Receiver<Vec<u8>>) {
        let keys: Vec<Key> = keys.iter().map(|key| Key::from(*key)).collect();
        let pending = Box::new(Pop(keys[0].clone()));
        waiters.enter(keys, pending, Protocol::Resp2)
    }

    fn feed(waiters: &mut Waiters, db: &mut Db, key: &[u8]) {
        db.set(key, Value::Stream(Box::default()), Ttl::Forever);
        waiters.serve(db, 0);
    }

    #[test]
    fn the_longest_waiting_client_is_answered_first() {
        let (mut waiters, mut db) = (Waiters::default(), Db::default());
        let (_, mut first) = enter(&mut waiters, &[b"a"]);
        let (_, mut second) = enter(&mut waiters, &[b"a"]);
        feed(&mut waiters, &mut db, b"a");
        assert_eq!(first.try_recv(), Ok(b"+OK\r\n".to_vec()));
        assert!(second.try_recv().is_err());
        feed(&mut waiters, &mut db, b"a");
        assert!(second.try_recv().is_ok());
        assert_eq!(waiters.len(), 0);
    }

    #[test]
    fn who_withdraws_takes_nothing_and_leaves_nothing() {
        let (mut waiters, mut db) = (Waiters::default(), Db::default());
        let (gone, _) = enter(&mut waiters, &[b"a", b"b"]);
        let (_, mut stays) = enter(&mut waiters, &[b"a"]);
        waiters.withdraw(gone);
        waiters.withdraw(gone);
        feed(&mut waiters, &mut db, b"a");
        assert!(stays.try_recv().is_ok());
        assert!(waiters.waiters.is_empty() && waiters.by_key.is_empty());
    }
}
