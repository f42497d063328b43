//! The orders that are under way.
//!
//! Everything that happens to an order passes through its `core::Order`, one thing at a time; what that decides is carried
//! out by futures that this task drives along. A chain of requests belongs to each order from its first sending until it is
//! settled: place, ask, ask for trades. Events of the user stream come in between, and usually settle it first.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use env::{BoxFuture, Env, fact};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::Instant;

use super::{
    books::{Books, Record},
    durability::{Durability, Stored},
    events::Event,
    intake::Incoming,
    leave::Leave,
};
use crate::{
    clients::{
        backoff::Backoff,
        broker::{Broker, BrokerError},
    },
    core::{ClientOrderId, Decision, Fill, Input, Intent, Order, Question, Report, Status},
};

/// The oldest market price that an entry may be based on when it arrives. The limit for sending is 30 s, of which storing
/// the intent may take 5 s.
const ENTRY_AGE_LIMIT: Duration = Duration::from_secs(25);

/// The most orders under way that still allow an entry: bounds memory, and what can go wrong at once.
const UNSETTLED_LIMIT: usize = 256;

/// How long after an answer an order that is not settled is asked about: the user stream needs some milliseconds, and a
/// fill is to be in the ledger within 2 s.
const ASK_FIRST: Duration = Duration::from_secs(1);

/// The longest pause between questions about one order; an order is to be resolved within 60 s of being resolvable.
const ASK_CAP: Duration = Duration::from_secs(10);

/// How many ids are remembered to tell repeated signals; ten hours of them at one each 10 s.
const REMEMBERED: usize = 4096;

/// The desk.
pub(super) struct Desk {
    env: Env,
    broker: Broker,
    durability: Arc<Durability>,
    books: Books,
    leave: Leave,
    orders: BTreeMap<ClientOrderId, Tracked>,
    seen: Seen,
    work: FuturesUnordered<BoxFuture<Done>>,
}

struct Tracked {
    order: Order,
    sent_at: Instant,
    attempts: u64,
    backoff: Backoff,
    /// Counts the steps of the chain, so that a pause can be cut short: a step of an older number is void.
    step: u64,
    /// What the next step of the chain is.
    next: Next,
    /// Whether a request is under way; otherwise the chain pauses.
    in_flight: bool,
}

/// What a future has come to.
pub(super) enum Done {
    Stored(Intent, Stored),
    Placed(ClientOrderId, Result<Report, BrokerError>),
    Asked(ClientOrderId, Result<Option<Report>, BrokerError>),
    Traded(ClientOrderId, Result<Vec<Fill>, BrokerError>),
    Paused(ClientOrderId, u64),
}

/// The next step of an order's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Ask,
    Send,
}

impl Desk {
    pub(super) fn new(
        env: Env,
        broker: Broker,
        durability: Arc<Durability>,
        books: Books,
        leave: Leave,
    ) -> Self {
        let (orders, seen, work) = (BTreeMap::new(), Seen::default(), FuturesUnordered::new());
        Self { env, broker, durability, books, leave, orders, seen, work }
    }

    /// How many orders there are of which nobody knows whether the exchange has them.
    pub(super) fn unknown(&self) -> u64 {
        self.orders.values().filter(|tracked| tracked.order.status() == Status::Unknown).count() as u64
    }

    /// Takes up orders of an earlier life: whether they were sent is for the broker to say.
    pub(super) fn resume(&mut self, orders: Vec<Order>) {
        for order in orders {
            let id = order.intent().client_order_id.clone();
            self.seen.note(&id);
            self.track(order);
            self.apply(&id, Input::Sent);
            self.apply(&id, Input::Unanswered("the trader was restarted".into()));
            self.ask(&id);
        }
    }

    /// Waits for the next future to come to something.
    pub(super) async fn work(&mut self) -> Done {
        match self.work.next().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    /// Takes a signal, unless it is an old one.
    pub(super) fn signal(&mut self, incoming: Incoming) {
        let Incoming { position, signal } = incoming;
        let age = self.env.clock.now().since(signal.market_time);
        let intent = Intent::from(signal);
        if !self.seen.note(&intent.client_order_id) {
            fact!("signal.repeated", client_order_id = %intent.client_order_id);
            return;
        }
        if !intent.reduce_only && age > ENTRY_AGE_LIMIT {
            return reject(&intent.client_order_id, "the signal is stale");
        }
        if !intent.reduce_only && self.orders.len() >= UNSETTLED_LIMIT {
            return reject(&intent.client_order_id, "too many orders are under way");
        }
        let durability = self.durability.clone();
        self.work.push(Box::pin(async move {
            let stored = durability.store(&intent, &position).await;
            Done::Stored(intent, stored)
        }));
    }

    /// Takes an event of the user stream.
    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Up => {
                let waiting =
                    self.orders.iter().filter(|(_, order)| !order.in_flight && order.next == Next::Ask);
                let waiting: Vec<ClientOrderId> = waiting.map(|(id, _)| id.clone()).collect();
                waiting.iter().for_each(|id| self.ask(id));
            }
            Event::Update(update) => {
                if let Some(fill) = update.fill {
                    self.apply(&update.client_order_id, Input::Traded(fill));
                }
                self.apply(&update.client_order_id, Input::Reported(update.report));
            }
        }
    }

    /// Takes what a future has come to.
    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::Stored(intent, stored) => self.stored(intent, stored),
            Done::Placed(id, answer) => {
                let retry_after = retry_after(&answer);
                let input = match answer {
                    Ok(report) => Input::Reported(report),
                    Err(BrokerError::Rejected { code, msg }) => Input::Refused(format!("{code} {msg}")),
                    Err(error @ (BrokerError::Busy { .. } | BrokerError::NotSent(_))) => {
                        Input::NotTaken(error.to_string())
                    }
                    Err(BrokerError::Unknown(reason)) => Input::Unanswered(reason),
                };
                self.answered(&id, vec![input], retry_after);
            }
            Done::Asked(id, answer) => {
                let retry_after = retry_after(&answer);
                let age = self.orders.get(&id).map(|tracked| tracked.sent_at.elapsed());
                let input = match answer {
                    Ok(Some(report)) => Some(Input::Reported(report)),
                    Ok(None) => age.map(Input::Missing),
                    Err(_) => None,
                };
                self.answered(&id, input.into_iter().collect(), retry_after);
            }
            Done::Traded(id, answer) => {
                let retry_after = retry_after(&answer);
                let fills = answer.unwrap_or_default();
                self.answered(&id, fills.into_iter().map(Input::Traded).collect(), retry_after);
            }
            Done::Paused(id, step) => match self.orders.get(&id) {
                Some(tracked) if tracked.step != step || tracked.in_flight => {}
                Some(Tracked { next: Next::Ask, .. }) => self.ask(&id),
                Some(Tracked { next: Next::Send, .. }) => self.send(&id),
                None => {}
            },
        }
    }

    fn stored(&mut self, intent: Intent, stored: Stored) {
        let id = intent.client_order_id.clone();
        match stored {
            Stored::InLedger => fact!(
                "intent.stored",
                client_order_id = %id,
                symbol = %intent.symbol,
                side = intent.side.as_str(),
                qty = %intent.qty,
                reduce_only = intent.reduce_only,
            ),
            Stored::InOutbox(cause) => {
                refuse(&id, cause.sqlstate(), &cause.reason());
                fact!("intent.in_outbox", client_order_id = %id);
                self.books.write(Record::Intent(intent.clone()));
            }
            Stored::Before => {
                fact!("signal.repeated", client_order_id = %id);
                return;
            }
            Stored::Nowhere { cause, reason, perhaps_in_ledger } => {
                refuse(&id, cause.sqlstate(), &cause.reason());
                reject(&id, &reason);
                if perhaps_in_ledger {
                    self.books.write(Record::Withdrawn { id, reason });
                }
                return;
            }
        }
        self.track(Order::new(intent));
        self.send(&id);
    }

    fn track(&mut self, order: Order) {
        let tracked = Tracked {
            sent_at: Instant::now(),
            attempts: 0,
            backoff: Backoff::new("trader.ask", ASK_FIRST, ASK_CAP),
            step: 0,
            next: Next::Ask,
            in_flight: false,
            order,
        };
        self.orders.insert(tracked.order.intent().client_order_id.clone(), tracked);
    }

    fn send(&mut self, id: &ClientOrderId) {
        let Some(tracked) = self.orders.get_mut(id) else {
            return;
        };
        tracked.sent_at = Instant::now();
        tracked.attempts += 1;
        tracked.in_flight = true;
        let attempt = tracked.attempts;
        let (broker, leave, intent) =
            (self.broker.clone(), self.leave.clone(), tracked.order.intent().clone());
        self.work.push(Box::pin(async move {
            // Nothing may be awaited between this question and the sending.
            let answer = match leave.may_send(Instant::now(), &intent) {
                Ok(epoch) => {
                    let id = &intent.client_order_id;
                    fact!("order.sent", client_order_id = %id, attempt, epoch = epoch.get());
                    broker.place(&intent).await
                }
                Err(halts) => Err(BrokerError::NotSent(halts.to_string())),
            };
            Done::Placed(intent.client_order_id, answer)
        }));
        self.apply(id, Input::Sent);
    }

    fn ask(&mut self, id: &ClientOrderId) {
        let Some(tracked) = self.orders.get_mut(id) else {
            return;
        };
        let Some(question) = tracked.order.question() else {
            return;
        };
        tracked.in_flight = true;
        let (broker, id, symbol) = (self.broker.clone(), id.clone(), tracked.order.intent().symbol.clone());
        self.work.push(match question {
            Question::Status => Box::pin(async move {
                let answer = broker.order(&symbol, &id).await;
                Done::Asked(id, answer)
            }),
            Question::Trades(order_id) => Box::pin(async move {
                let answer = broker.trades(&symbol, order_id, &id).await;
                Done::Traded(id, answer)
            }),
        });
    }

    /// Takes the answer to the request that is in flight, and pauses before the next one, if one is needed.
    fn answered(&mut self, id: &ClientOrderId, inputs: Vec<Input>, at_least: Duration) {
        let before = self.orders.get(id).and_then(|tracked| tracked.order.question());
        let mut next = Next::Ask;
        for input in inputs {
            if self.apply(id, input) {
                next = Next::Send;
            }
        }
        // An order that has settled is not tracked any more.
        let Some(tracked) = self.orders.get_mut(id) else {
            return;
        };
        tracked.in_flight = false;
        tracked.step += 1;
        tracked.next = next;
        match (before, tracked.order.question()) {
            // The trades of an order that has just turned out to be executed are there already.
            (Some(Question::Status), Some(Question::Trades(_))) => self.ask(id),
            _ => self.pause(id, at_least),
        }
    }

    fn pause(&mut self, id: &ClientOrderId, at_least: Duration) {
        let Some(tracked) = self.orders.get_mut(id) else {
            return;
        };
        let pause = tracked.backoff.delay(&self.env).max(at_least);
        let (id, step) = (id.clone(), tracked.step);
        self.work.push(Box::pin(async move {
            tokio::time::sleep(pause).await;
            Done::Paused(id, step)
        }));
    }

    /// Carries out what an order decides; says whether it is to be sent again.
    fn apply(&mut self, id: &ClientOrderId, input: Input) -> bool {
        let Some(tracked) = self.orders.get_mut(id) else {
            return false;
        };
        let mut again = false;
        let mut settled = false;
        for decision in tracked.order.apply(input) {
            match decision {
                Decision::Book(fill) => self.books.write(Record::Fill(fill)),
                Decision::Became { to: Status::Sent, .. } => {}
                Decision::Became { from, to, reason } => {
                    report(id, from, to, reason.as_deref());
                    let at = self.env.clock.now();
                    self.books.write(Record::Status { id: id.clone(), status: to, reason, at });
                }
                Decision::SendAgain => again = true,
                Decision::Settled => settled = true,
            }
        }
        if settled && let Some(Tracked { order, .. }) = self.orders.remove(id) {
            report_end(&order);
        }
        again
    }
}

fn retry_after<T>(answer: &Result<T, BrokerError>) -> Duration {
    match answer {
        Err(BrokerError::Busy { retry_after: Some(pause), .. }) => *pause,
        _ => Duration::ZERO,
    }
}

fn refuse(id: &ClientOrderId, sqlstate: &str, reason: &str) {
    fact!("intent.refused", client_order_id = %id, sqlstate, reason);
}

fn reject(id: &ClientOrderId, reason: &str) {
    fact!("order.rejected", client_order_id = %id, reason);
}

fn report(id: &ClientOrderId, from: Status, to: Status, reason: Option<&str>) {
    if from == Status::Unknown {
        fact!("order.resolved", client_order_id = %id, status = to.as_str());
    }
    match to {
        Status::Unknown => fact!("order.unknown", client_order_id = %id, reason = reason.unwrap_or_default()),
        Status::Rejected => reject(id, reason.unwrap_or("the exchange rejected it")),
        _ if from == Status::Sent => fact!("order.acked", client_order_id = %id, status = to.as_str()),
        _ => {}
    }
}

/// Reports the end of an order that the exchange had.
fn report_end(order: &Order) {
    let id = &order.intent().client_order_id;
    let qty = order.executed();
    let avg_price = order.avg_price().unwrap_or_default();
    match order.status() {
        Status::Filled => fact!("order.filled", client_order_id = %id, qty = %qty, avg_price = %avg_price),
        Status::Canceled | Status::Expired => {
            fact!("order.ended", client_order_id = %id, status = order.status().as_str(), qty = %qty, avg_price = %avg_price);
        }
        _ => {}
    }
}

/// The newest client order ids that were taken up.
#[derive(Default)]
struct Seen {
    ids: BTreeSet<ClientOrderId>,
    oldest_first: VecDeque<ClientOrderId>,
}

impl Seen {
    /// Takes note of an id; says whether it is new.
    fn note(&mut self, id: &ClientOrderId) -> bool {
        let new = self.ids.insert(id.clone());
        if new {
            self.oldest_first.push_back(id.clone());
            if self.oldest_first.len() > REMEMBERED
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.ids.remove(&oldest);
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_new_once_and_old_ids_are_forgotten() {
        let id = |n: usize| -> ClientOrderId { format!("tw-{n}").parse().unwrap() };
        let mut seen = Seen::default();
        assert!(seen.note(&id(0)));
        assert!(!seen.note(&id(0)));
        for n in 1..=REMEMBERED {
            assert!(seen.note(&id(n)));
        }
        assert!(seen.note(&id(0)), "it was the oldest of one too many");
        assert!(!seen.note(&id(REMEMBERED)));
        assert_eq!(seen.ids.len(), REMEMBERED);
    }
}
