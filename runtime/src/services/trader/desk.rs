//! The way of a signal: through the gates, into a durable intent, through the queue, to the exchange.
//!
//! Everything that happens passes through here, one thing at a time; futures that this task drives along carry it out. An order
//! that has an intent is in the care of `orders`. Every request waits in one queue, so that the exchange's limits and its
//! `Retry-After` hold for all of them; what may be sent is decided when it leaves the queue, with nothing awaited until it is
//! handed to the network.

mod orders;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use env::{BoxFuture, Env, WallTime, fact};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::Instant;

use self::orders::{Next as Step, Orders};
use super::{
    books::{Books, Record},
    durability::{Durability, Stored},
    events::Event,
    gates::{Again, Gates, Obstacle, Outcome, Pass, Wish},
    leave::Leave,
};
use crate::{
    clients::broker::{Balance, Broker, BrokerError, HeldPosition},
    core::{
        Cause, ClientOrderId, Decision, Fill, Input, Order, Question, Refusal, Report, Source,
        Status as Stage, Symbol,
        age::PriceAge,
        emergency::EMERGENCY_ORDER_PREFIX,
        throttle::{Class, Next, Throttle, ThrottleLimits},
    },
    status::Status,
};

/// How often the balance is read when nothing calls for it.
const BALANCE_EVERY: Duration = Duration::from_secs(60);

/// How soon a question that did not help is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How many signals wait for an answer at most.
const PARKED: usize = 256;

/// What the questions weigh ("Query Order", "Account Trade List", "Futures Account Balance V3", "Position Information V3").
const ORDER_WEIGHT: u32 = 1;
const LIST_WEIGHT: u32 = 5;

/// The desk.
pub(super) struct Desk {
    env: Env,
    broker: Broker,
    durability: Arc<Durability>,
    books: Books,
    leave: Leave,
    status: Status,
    gates: Gates,
    orders: Orders,
    queue: Throttle<Job>,
    /// Signals that wait for a balance.
    await_balance: VecDeque<Wish>,
    /// Signals that wait for the exchange's positions.
    await_positions: VecDeque<Wish>,
    balance_asked: bool,
    positions_asked: bool,
    /// The executions of emergency exits: a handful, for trading ends with one.
    foreign: BTreeSet<(Symbol, u64)>,
    ledger_down: bool,
    work: FuturesUnordered<BoxFuture<Done>>,
    /// When the queue, or a breaker, is looked at again.
    alarm: Option<Instant>,
}

/// What waits for its turn at the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Job {
    Send(ClientOrderId),
    Ask(ClientOrderId),
    Balance,
    Positions,
}

/// What a future has come to.
pub(super) enum Done {
    Stored(Box<(Pass, PriceAge)>, Stored),
    Placed(ClientOrderId, Result<Report, BrokerError>),
    Withheld(ClientOrderId, String),
    Asked(ClientOrderId, Result<Option<Report>, BrokerError>),
    Traded(ClientOrderId, Result<Vec<Fill>, BrokerError>),
    Paused(ClientOrderId, u64),
    Balance(Instant, Result<Vec<Balance>, BrokerError>),
    BalanceDue,
    BalanceSoon,
    LedgerDue,
    LedgerWrites(bool),
    Positions(Result<Vec<HeldPosition>, BrokerError>),
    PositionsDue,
    Alarm(Instant),
}

impl Desk {
    pub(super) fn new(
        env: Env,
        broker: Broker,
        durability: Arc<Durability>,
        books: Books,
        (leave, status): (Leave, Status),
        gates: Gates,
        limits: ThrottleLimits,
    ) -> Self {
        let mut desk = Self {
            env,
            broker,
            durability,
            books,
            leave,
            status,
            gates,
            orders: Orders::default(),
            queue: Throttle::new(limits),
            await_balance: VecDeque::new(),
            await_positions: VecDeque::new(),
            balance_asked: false,
            positions_asked: false,
            foreign: BTreeSet::new(),
            ledger_down: false,
            work: FuturesUnordered::new(),
            alarm: None,
        };
        desk.after(BALANCE_EVERY, Done::BalanceDue);
        desk.ask_balance();
        desk
    }

    /// How many orders there are of which nobody knows whether the exchange has them.
    pub(super) fn unknown(&self) -> u64 {
        self.orders.unknown()
    }

    /// Closes the breaker of a symbol: an operator's word.
    pub(super) fn reset_breaker(&mut self, symbol: &Symbol) {
        self.gates.reset_breaker(Instant::now(), symbol);
        self.pump();
    }

    /// Takes up orders of an earlier life: whether they were sent is for the broker to say.
    pub(super) fn resume(&mut self, orders: Vec<Order>) {
        for order in orders {
            let id = order.intent().client_order_id.clone();
            self.orders.track(order, None);
            self.apply(&id, Input::Sent);
            self.apply(&id, Input::Unanswered("the trader was restarted".into()));
            self.ask(&id);
        }
        self.pump();
    }

    /// Waits for the next future to come to something.
    pub(super) async fn work(&mut self) -> Done {
        match self.work.next().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    /// Takes a signal.
    pub(super) fn signal(&mut self, wish: Wish) {
        let now = Instant::now();
        self.tick(now);
        match self.gates.arrive(&wish) {
            Ok(()) => self.examine(wish, Source::OwnBook),
            Err(obstacle) => self.obstructed(wish, obstacle),
        }
        self.pump();
    }

    fn examine(&mut self, wish: Wish, source: Source) {
        match self.gates.examine(Instant::now(), &wish, source) {
            Ok(pass) => self.store(pass, wish),
            Err(obstacle) => self.obstructed(wish, obstacle),
        }
    }

    fn obstructed(&mut self, wish: Wish, obstacle: Obstacle) {
        let parked = match obstacle {
            Obstacle::Refused(refusal, why) => return self.gates.report(&wish, refusal, &why),
            Obstacle::AwaitBalance => {
                self.ask_balance();
                &mut self.await_balance
            }
            Obstacle::AwaitPositions => {
                self.ask_positions();
                &mut self.await_positions
            }
        };
        parked.push_back(wish);
        if parked.len() > PARKED
            && let Some(oldest) = parked.pop_front()
        {
            self.gates.report(&oldest, Refusal::Overflow, "too many signals wait");
        }
    }

    fn store(&mut self, pass: Pass, wish: Wish) {
        let durability = self.durability.clone();
        self.work.push(Box::pin(async move {
            let stored = durability.store(&pass, &wish.position).await;
            Done::Stored(Box::new((pass, wish.price_age)), stored)
        }));
    }

    /// Takes an event of the user stream.
    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Up => {
                for id in self.orders.pausing(Step::Ask) {
                    self.ask(&id);
                }
            }
            Event::Update(update) => {
                if let Some(fill) = update.fill {
                    self.note_foreign(&fill);
                    self.apply(&update.client_order_id, Input::Traded(fill));
                }
                self.apply(&update.client_order_id, Input::Reported(update.report));
            }
        }
        self.pump();
    }

    /// Books what an emergency exit has closed.
    fn note_foreign(&mut self, fill: &Fill) {
        let is_foreign = fill.client_order_id.as_str().starts_with(EMERGENCY_ORDER_PREFIX);
        if is_foreign && self.foreign.insert((fill.symbol.clone(), fill.trade_id)) {
            self.gates.filled(Instant::now(), fill);
            self.books.write(Record::ForeignFill(fill.clone()));
            self.ask_balance();
        }
    }

    /// Takes what a future has come to.
    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::Stored(passed, stored) => {
                let (pass, price_age) = *passed;
                self.stored(pass, price_age, stored);
            }
            Done::Placed(id, answer) => self.placed(&id, answer),
            Done::Withheld(id, halts) => self.withhold(&id, Refusal::Halted, &halts),
            Done::Asked(id, answer) => {
                self.heard(&answer);
                let age = self.orders.get(&id).map(|tracked| tracked.sent_at.elapsed());
                let input = match answer {
                    Ok(Some(report)) => Some(Input::Reported(report)),
                    Ok(None) => age.map(Input::Missing),
                    Err(_) => None,
                };
                self.answered(&id, input.into_iter().collect());
            }
            Done::Traded(id, answer) => {
                self.heard(&answer);
                let fills = answer.unwrap_or_default();
                self.answered(&id, fills.into_iter().map(Input::Traded).collect());
            }
            Done::Paused(id, step) => match self.orders.after_pause(&id, step) {
                Some(Step::Ask) => self.ask(&id),
                Some(Step::Send) => self.enqueue(&id),
                None => {}
            },
            Done::Balance(asked_at, answer) => self.balance(asked_at, answer),
            Done::BalanceDue => {
                self.after(BALANCE_EVERY, Done::BalanceDue);
                self.ask_balance();
            }
            Done::BalanceSoon => self.ask_balance(),
            Done::LedgerDue if self.ledger_down => self.try_ledger(),
            Done::LedgerDue => {}
            Done::LedgerWrites(true) => self.ledger_is_up(),
            Done::LedgerWrites(false) => self.after(ASK_AGAIN, Done::LedgerDue),
            Done::Positions(answer) => self.positions(answer),
            Done::PositionsDue if !self.await_positions.is_empty() => self.ask_positions(),
            Done::PositionsDue => {}
            Done::Alarm(at) => {
                if self.alarm == Some(at) {
                    self.alarm = None;
                }
            }
        }
        self.pump();
    }

    fn stored(&mut self, pass: Pass, price_age: PriceAge, stored: Stored) {
        let Pass { intent, signature } = pass;
        let id = intent.client_order_id.clone();
        match stored {
            Stored::InLedger => {
                self.ledger_is_up();
                fact!(
                    "intent.stored",
                    client_order_id = %id,
                    symbol = %intent.symbol,
                    side = intent.side.as_str(),
                    qty = %intent.qty,
                    reduce_only = intent.reduce_only,
                );
            }
            Stored::InOutbox(cause) => {
                self.ledger_is_down(cause.reason());
                refuse(&id, cause.sqlstate(), &cause.reason());
                fact!("intent.in_outbox", client_order_id = %id);
                self.books.write(Record::Intent(intent.clone(), signature));
            }
            Stored::Before => {
                self.gates.withdrawn(Instant::now(), &intent);
                fact!("signal.refused", signal_id = %intent.intent_id, symbol = %intent.symbol, reason = Refusal::Duplicate.as_str(), why = "its order is done with");
                return;
            }
            Stored::Nowhere { cause, reason, perhaps_in_ledger } => {
                self.gates.withdrawn(Instant::now(), &intent);
                if let Some(cause) = cause {
                    self.ledger_is_down(cause.reason());
                    refuse(&id, cause.sqlstate(), &cause.reason());
                }
                reject(&id, &reason);
                if perhaps_in_ledger {
                    self.books.write(Record::Withdrawn { id, reason });
                }
                return;
            }
        }
        self.orders.track(Order::new(intent), Some(price_age));
        self.enqueue(&id);
    }

    /// Halts entries until the ledger stores again, which is tried because nothing else may be stored meanwhile.
    fn ledger_is_down(&mut self, why: String) {
        self.gates.set_ledger_fault(Some(why));
        if !std::mem::replace(&mut self.ledger_down, true) {
            self.after(ASK_AGAIN, Done::LedgerDue);
        }
    }

    fn ledger_is_up(&mut self) {
        self.ledger_down = false;
        self.gates.set_ledger_fault(None);
    }

    fn try_ledger(&self) {
        let durability = self.durability.clone();
        self.work.push(Box::pin(async move { Done::LedgerWrites(durability.writes().await) }));
    }

    fn enqueue(&mut self, id: &ClientOrderId) {
        let Some(tracked) = self.orders.get_mut(id) else { return };
        tracked.in_flight = true;
        let class = if tracked.order.intent().reduce_only { Class::Exit } else { Class::Entry };
        if let Some(Job::Send(dropped)) = self.queue.push(class, Job::Send(id.clone())) {
            self.give_up(&dropped, Refusal::Overflow, "too many entries wait");
        }
    }

    fn ask(&mut self, id: &ClientOrderId) {
        let Some(tracked) = self.orders.get_mut(id) else { return };
        let weight = match tracked.order.question() {
            Some(Question::Status) => ORDER_WEIGHT,
            Some(Question::Trades(_)) => LIST_WEIGHT,
            None => return,
        };
        tracked.in_flight = true;
        self.scan(weight, Job::Ask(id.clone()));
    }

    fn ask_balance(&mut self) {
        if !self.balance_asked {
            self.balance_asked = true;
            self.scan(LIST_WEIGHT, Job::Balance);
        }
    }

    fn ask_positions(&mut self) {
        if !self.positions_asked {
            self.positions_asked = true;
            self.scan(LIST_WEIGHT, Job::Positions);
        }
    }

    fn scan(&mut self, weight: u32, job: Job) {
        // Only entries give way.
        let _ = self.queue.push(Class::Scan(weight), job);
    }

    /// Ends what has run its time.
    fn tick(&mut self, now: Instant) {
        self.gates.tick(now);
        if self.queue.paused_until(now).is_none() {
            self.leave.end(&Cause::RateLimited);
        }
    }

    /// Sends what may be sent, and sees to it that the rest is looked at in time.
    fn pump(&mut self) {
        let now = Instant::now();
        self.tick(now);
        let wait = loop {
            match self.queue.pop(now, !self.gates.entries_wait(now)) {
                Next::Send(job) => self.carry_out(job),
                Next::Wait(until) => break Some(until),
                Next::Idle => break None,
            }
        };
        for (symbol, dated) in self.gates.breaker_news() {
            self.books.write(Record::Breaker(symbol, dated));
        }
        self.status.gauge("throttle_queue_depth", self.queue.depth() as u64);
        let next = wait.into_iter().chain(self.gates.next_tick()).chain(self.queue.paused_until(now)).min();
        if let Some(next) = next.filter(|next| self.alarm.is_none_or(|alarm| *next < alarm)) {
            self.alarm = Some(next);
            self.work.push(Box::pin(async move {
                tokio::time::sleep_until(next).await;
                Done::Alarm(next)
            }));
        }
    }

    fn carry_out(&mut self, job: Job) {
        let broker = self.broker.clone();
        match job {
            Job::Send(id) => self.send(&id),
            Job::Ask(id) => {
                let Some(tracked) = self.orders.get(&id) else { return };
                let symbol = tracked.order.intent().symbol.clone();
                match tracked.order.question() {
                    Some(Question::Status) => self.work.push(Box::pin(async move {
                        let answer = broker.order(&symbol, &id).await;
                        Done::Asked(id, answer)
                    })),
                    Some(Question::Trades(order_id)) => self.work.push(Box::pin(async move {
                        let answer = broker.trades(&symbol, order_id, &id).await;
                        Done::Traded(id, answer)
                    })),
                    None => {}
                }
            }
            Job::Balance => {
                let asked_at = Instant::now();
                self.work.push(Box::pin(async move { Done::Balance(asked_at, broker.balances().await) }));
            }
            Job::Positions => {
                self.work.push(Box::pin(async move { Done::Positions(broker.positions().await) }));
            }
        }
    }

    fn send(&mut self, id: &ClientOrderId) {
        let now = Instant::now();
        let Some(tracked) = self.orders.get_mut(id) else { return };
        let intent = tracked.order.intent().clone();
        if let Err((refusal, why)) = self.gates.may_send(now, &intent, tracked.price_age.as_ref()) {
            return self.withhold(id, refusal, &why);
        }
        tracked.sent_at = now;
        tracked.attempts += 1;
        let attempt = tracked.attempts;
        let (broker, books, leave) = (self.broker.clone(), self.books.clone(), self.leave.clone());
        self.work.push(Box::pin(async move {
            // Nothing may be awaited between this question and the sending.
            match leave.may_send(Instant::now(), &intent) {
                Ok(epoch) => {
                    let id = &intent.client_order_id;
                    fact!("order.sent", client_order_id = %id, attempt, epoch = epoch.get());
                    books.sent(id, attempt);
                    let answer = broker.place(&intent).await;
                    Done::Placed(intent.client_order_id, answer)
                }
                Err(halts) => Done::Withheld(intent.client_order_id, halts.to_string()),
            }
        }));
        self.apply(id, Input::Sent);
    }

    /// Does what is left for an order that may not be sent: an entry's moment has passed, an exit is due whatever happens.
    fn withhold(&mut self, id: &ClientOrderId, refusal: Refusal, why: &str) {
        match self.orders.get(id).map(|tracked| tracked.order.intent().reduce_only) {
            Some(false) => self.give_up(id, refusal, why),
            Some(true) => self.pause(id, Step::Send, ASK_AGAIN),
            None => {}
        }
    }

    /// Gives up an order that was not sent.
    fn give_up(&mut self, id: &ClientOrderId, refusal: Refusal, why: &str) {
        if let Some(tracked) = self.orders.get(id) {
            self.gates.withdrawn(Instant::now(), tracked.order.intent());
            self.status.count(refusal.metric());
            self.apply(id, Input::Refused(format!("{}: {why}", refusal.as_str())));
        }
    }

    fn placed(&mut self, id: &ClientOrderId, answer: Result<Report, BrokerError>) {
        self.limited(&answer);
        let (outcome, input) = match answer {
            Ok(report) => (Outcome::Taken, Input::Reported(report)),
            Err(BrokerError::Rejected { code, msg }) => {
                (Outcome::Refused, Input::Refused(format!("{code} {msg}")))
            }
            Err(error @ (BrokerError::Busy { .. } | BrokerError::NotSent(_))) => {
                (Outcome::NotTaken, Input::NotTaken(error.to_string()))
            }
            Err(BrokerError::Unknown(reason)) => (Outcome::Unanswered, Input::Unanswered(reason)),
        };
        // An event of the user stream may have settled it; then the exchange has taken it.
        if let Some(tracked) = self.orders.get(id) {
            self.gates.fared(Instant::now(), tracked.order.intent(), outcome);
        } else {
            self.gates.answered();
        }
        self.answered(id, vec![input]);
    }

    /// Takes note of whether a question about an order was answered.
    fn heard<T>(&mut self, answer: &Result<T, BrokerError>) {
        self.limited(answer);
        match answer {
            Ok(_) | Err(BrokerError::Rejected { .. }) => self.gates.answered(),
            Err(BrokerError::Unknown(_) | BrokerError::NotSent(_)) => self.gates.unanswered(Instant::now()),
            Err(BrokerError::Busy { .. }) => {}
        }
    }

    /// Takes note of what an answer says of the exchange's limits.
    fn limited<T>(&mut self, answer: &Result<T, BrokerError>) {
        let now = Instant::now();
        if let Err(BrokerError::Busy { retry_after: Some(pause), .. }) = answer {
            self.queue.pause_until(now + *pause);
            self.leave.raise(Cause::RateLimited);
        }
        if let Some((ten_seconds, minute)) = self.broker.take_order_counts() {
            self.queue.counted(now, ten_seconds, minute);
        }
        self.status.gauge("used_weight_1m", self.broker.used_weight());
    }

    /// Takes the answer to the request that is in flight, and pauses before the next one, if one is needed.
    fn answered(&mut self, id: &ClientOrderId, inputs: Vec<Input>) {
        let before = self.orders.get(id).and_then(|tracked| tracked.order.question());
        let mut next = Step::Ask;
        for input in inputs {
            if self.apply(id, input) {
                next = Step::Send;
            }
        }
        // An order that has settled is not tracked any more.
        let Some(tracked) = self.orders.get_mut(id) else { return };
        tracked.in_flight = false;
        match (before, tracked.order.question()) {
            // The trades of an order that has just turned out to be executed are there already.
            (Some(Question::Status), Some(Question::Trades(_))) => self.ask(id),
            _ => {
                let pause = tracked.backoff.delay(&self.env);
                self.pause(id, next, pause);
            }
        }
    }

    fn pause(&mut self, id: &ClientOrderId, next: Step, pause: Duration) {
        let Some(step) = self.orders.pause(id, next) else { return };
        self.after(pause, Done::Paused(id.clone(), step));
    }

    fn after(&self, pause: Duration, done: Done) {
        self.work.push(Box::pin(async move {
            tokio::time::sleep(pause).await;
            done
        }));
    }

    fn balance(&mut self, asked_at: Instant, answer: Result<Vec<Balance>, BrokerError>) {
        self.limited(&answer);
        self.balance_asked = false;
        let news = self.gates.balance(Instant::now(), asked_at, answer);
        if let Some(balance) = news.balance {
            self.books.write(Record::Balance(balance, self.env.clock.now()));
        }
        match news.next {
            Again::Now => return self.ask_balance(),
            Again::Soon => self.after(ASK_AGAIN, Done::BalanceSoon),
            Again::Later => {}
        }
        for wish in std::mem::take(&mut self.await_balance) {
            self.examine(wish, Source::OwnBook);
        }
    }

    fn positions(&mut self, answer: Result<Vec<HeldPosition>, BrokerError>) {
        self.limited(&answer);
        self.positions_asked = false;
        let held = match answer {
            Ok(held) => held,
            Err(error) => {
                // Not knowing is not having nothing.
                env::detail!("positions.unread", reason = %error);
                return self.after(ASK_AGAIN, Done::PositionsDue);
            }
        };
        for wish in std::mem::take(&mut self.await_positions) {
            let of_symbol = held.iter().find(|position| position.symbol == wish.signal.symbol);
            let qty = of_symbol.map(|position| position.qty).unwrap_or_default();
            self.examine(wish, Source::Exchange(qty));
        }
    }

    /// Carries out what an order decides; says whether it is to be sent again.
    fn apply(&mut self, id: &ClientOrderId, input: Input) -> bool {
        let Some(tracked) = self.orders.get_mut(id) else { return false };
        let (mut again, mut filled, mut settled) = (false, false, false);
        for decision in tracked.order.apply(input) {
            match decision {
                Decision::Book(fill) => {
                    self.gates.filled(Instant::now(), &fill);
                    filled = true;
                    self.books.write(Record::Fill(fill));
                }
                Decision::Became { to: Stage::Sent, .. } => {}
                Decision::Became { from, to, reason } => {
                    orders::report(id, from, to, reason.as_deref());
                    if !matches!(to, Stage::Unknown | Stage::Rejected) {
                        self.gates.taken(Instant::now(), tracked.order.intent());
                    }
                    let at: WallTime = self.env.clock.now();
                    self.books.write(Record::Status { id: id.clone(), status: to, reason, at });
                }
                Decision::SendAgain => again = true,
                Decision::Settled => settled = true,
            }
        }
        if filled {
            self.ask_balance();
        }
        if settled && let Some(order) = self.orders.forget(id) {
            self.gates.settled(&order);
            orders::report_end(&order);
        }
        again
    }
}

fn refuse(id: &ClientOrderId, sqlstate: &str, reason: &str) {
    fact!("intent.refused", client_order_id = %id, sqlstate, reason);
}

fn reject(id: &ClientOrderId, reason: &str) {
    fact!("order.rejected", client_order_id = %id, reason);
}
