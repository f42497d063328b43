//! Brings an account's events to its stream: at once, unless a fault makes them late, changes their order or doubles them.
//!
//! Events of one type arrive in the order of the changes that they tell, as the exchange guarantees; only one fault, told so
//! explicitly, breaks that.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::user::render;
use crate::{
    exchange::{Change, Execution, Update},
    fault::{Delay, Fault},
    server::Venue,
};

/// Events that may be under way; with one more, all are delivered at once.
const MAX_UNDER_WAY: usize = 10_000;

#[derive(Default)]
pub(crate) struct Courier {
    bag: Mutex<Bag>,
    /// Signalled when an event is due earlier than all others.
    sooner: Notify,
}

/// Events under way.
#[derive(Default)]
struct Bag {
    number: u64,
    letters: BTreeMap<(Instant, u64), Letter>,
    /// When the latest event of a stream and type is due: by listen key and type.
    latest: BTreeMap<(Arc<str>, &'static str), Instant>,
    /// When the latest event is due that no other may overtake, by listen key.
    latest_in_line: BTreeMap<Arc<str>, Instant>,
}

struct Letter {
    key: Arc<str>,
    text: String,
}

/// How an event is to be late.
#[derive(Clone, Copy)]
struct Tardiness {
    delay: Delay,
    line: Line,
}

/// What an event may not overtake.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Any event before it.
    All,
    /// An event of its type.
    OwnType,
    /// Nothing.
    None,
}

impl Courier {
    /// Takes an event to those who listen to `key`.
    pub fn send(&self, venue: &Venue, key: &Arc<str>, update: &Update) {
        self.send_once(venue, key, update);
        let is_fill = matches!(update.change, Change::Order { execution: Execution::Trade(_), .. });
        let doubled = |fault: &mut Fault| matches!(fault, Fault::DuplicateFill).then_some(());
        if is_fill && venue.exchange.faults().strike(doubled).is_some() {
            self.send_once(venue, key, update);
        }
    }

    fn send_once(&self, venue: &Venue, key: &Arc<str>, update: &Update) {
        let late = venue.exchange.faults().strike(|fault| match fault {
            Fault::LateEvents(delay) => Some(Tardiness { delay: *delay, line: Line::All }),
            Fault::ReorderedEvents { delay, anyhow } => {
                Some(Tardiness { delay: *delay, line: if *anyhow { Line::None } else { Line::OwnType } })
            }
            _ => None,
        });
        let mut bag = self.bag();
        if late.is_none() && bag.letters.is_empty() {
            drop(bag);
            return venue.hub.publish(key, || render(update));
        }
        let delay =
            late.map_or(Duration::ZERO, |late| late.delay.draw(&*venue.env.entropy, "broker.fault.late"));
        let line = late.map_or(Line::OwnType, |late| late.line);
        bag.put(Instant::now() + delay, line, key, update.change.event(), render(update));
        drop(bag);
        self.sooner.notify_one();
    }

    fn bag(&self) -> MutexGuard<'_, Bag> {
        self.bag.lock().expect("no holder of this lock panics")
    }
}

impl Bag {
    fn put(&mut self, at: Instant, line: Line, key: &Arc<str>, event: &'static str, text: String) {
        let of_type = (key.clone(), event);
        let mut at = at;
        if line != Line::None {
            at = at.max(self.latest.get(&of_type).copied().unwrap_or(at));
            at = at.max(self.latest_in_line.get(key).copied().unwrap_or(at));
        }
        if line == Line::All {
            self.latest_in_line.insert(key.clone(), at);
        }
        let latest = self.latest.entry(of_type).or_insert(at);
        *latest = at.max(*latest);
        self.number += 1;
        self.letters.insert((at, self.number), Letter { key: key.clone(), text });
    }

    /// When the next event is due.
    fn next_due(&self) -> Option<Instant> {
        let (at, _) = self.letters.first_key_value()?.0;
        Some(if self.letters.len() > MAX_UNDER_WAY { Instant::now() } else { *at })
    }

    /// Takes out an event that is due.
    fn pop(&mut self, now: Instant) -> Option<Letter> {
        let first = self.letters.first_entry()?;
        if first.key().0 > now && self.letters.len() <= MAX_UNDER_WAY {
            return None;
        }
        let letter = self.letters.pop_first().map(|(_, letter)| letter);
        if self.letters.is_empty() {
            self.latest.clear();
            self.latest_in_line.clear();
        }
        letter
    }
}

/// Delivers late events, each when it is due.
pub(crate) async fn deliver(venue: Arc<Venue>) {
    loop {
        let next = venue.courier.bag().next_due();
        match next {
            None => venue.courier.sooner.notified().await,
            Some(due) => tokio::select! { biased;
                () = venue.courier.sooner.notified() => {}
                () = sleep_until(due) => {
                    let mut bag = venue.courier.bag();
                    while let Some(Letter { key, text }) = bag.pop(Instant::now()) {
                        venue.hub.publish(&key, || text);
                    }
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of a bag, in the order of their delivery.
    fn delivered(mut bag: Bag) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(3600);
        std::iter::from_fn(|| bag.pop(end)).map(|letter| letter.text).collect()
    }

    fn bag(line: Line) -> Bag {
        let mut bag = Bag::default();
        let (start, key) = (Instant::now(), Arc::<str>::from("key"));
        for (text, event, millis) in [("a1", "a", 50), ("b1", "b", 40), ("a2", "a", 10), ("b2", "b", 5)] {
            bag.put(start + Duration::from_millis(millis), line, &key, event, text.into());
        }
        bag
    }

    #[tokio::test(start_paused = true)]
    async fn how_much_of_the_order_is_kept_depends_on_the_fault() {
        assert_eq!(delivered(bag(Line::All)), ["a1", "b1", "a2", "b2"]);
        assert_eq!(delivered(bag(Line::OwnType)), ["b1", "b2", "a1", "a2"]);
        assert_eq!(delivered(bag(Line::None)), ["b2", "a2", "b1", "a1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_after_the_fault_does_not_overtake_those_under_way() {
        let mut bag = bag(Line::All);
        bag.put(Instant::now(), Line::OwnType, &"key".into(), "c", "c1".into());
        assert_eq!(bag.pop(Instant::now()).map(|letter| letter.text), None);
        assert_eq!(delivered(bag), ["a1", "b1", "a2", "b2", "c1"]);
    }
}
