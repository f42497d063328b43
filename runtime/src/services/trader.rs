//! `trader`: signals in, orders out, their fills into the ledger. One of several leads; the others stand by.
//!
//! - `leadership` wins and keeps the lead; `control` is the poll by which it learns what may be done; `latch_store` is where
//!   the halts are kept that only a person clears. `leave` is what all of that comes to: who may send now.
//! - `recovery` takes over what earlier leaders left behind, `reconciliation` what only the exchange knows.
//! - `intake` reads the signals from the bus.
//! - `desk` owns the orders that are under way, and decides with `core::Order`.
//! - `durability` stores an intent before its order may be sent: in the ledger, or an exit's in the `outbox` when the
//!   ledger refuses.
//! - `books` writes down what became of the orders and the `holdings` that result, and drains the outbox.
//! - `events` keeps the account's user stream open.
//!
//! Invariants: no request reaches the broker whose intent is not durable, nor one that leaves without a lease. Everything that
//! trades lives within one term and ends with it. Deliberately absent so far: limits, breaker, throttle.

mod books;
mod control;
mod desk;
mod durability;
mod events;
mod holdings;
mod intake;
mod journal;
mod latch_store;
mod leadership;
mod leave;
mod outbox;
mod reconciliation;
mod recovery;

use std::{sync::Arc, time::Duration};

pub use self::outbox::{FILE as OUTBOX_FILE, held_in as held_in_outbox};
use env::{Env, fact};
use redis::cmd;
use serde_json::json;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use self::{
    books::{Books, Record},
    desk::Desk,
    durability::Durability,
    events::Event,
    intake::Incoming,
    leadership::{Leadership, Lost, Start},
    leave::Leave,
    outbox::Outbox,
    recovery::Sources,
};
use crate::{
    clients::{
        broker::{Broker, Credentials},
        bus::Bus,
        ledger::Ledger,
    },
    core::{Epoch, Intent},
    status::{self, Status},
    streams,
};

/// How many signals or events may wait for the desk. More wait where they come from.
const INBOX: usize = 64;

/// The pace of the desk's own signs of life, and of the heartbeat.
const TICK: Duration = Duration::from_secs(1);

/// How long a heartbeat stays on the bus, in milliseconds.
const HEARTBEAT_TTL_MS: u64 = 60_000;

/// How long a takeover may take before somebody else may try: some attempts at a broker that answers slowly.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(40);

/// What the trader trades with.
#[derive(Clone)]
pub struct TraderConfig {
    /// The process's name: its heartbeat's, and how the lock names it. No two traders have one name.
    pub name: String,
    /// The account's key pair.
    pub credentials: Credentials,
    /// Whether entries need the consent of the supervisor's health check.
    pub supervised: bool,
}

impl Default for TraderConfig {
    /// An unsupervised trader with the key pair of a test account.
    fn default() -> Self {
        let credentials = Credentials { api_key: "key".into(), secret: "secret".into() };
        Self { name: "trader".into(), credentials, supervised: false }
    }
}

/// Runs the trader until it is asked to stop. It leads or stands by; what it left behind before is taken up by whoever leads.
pub async fn run(env: Env, config: TraderConfig) {
    fact!("trader.started");
    let trader = Trader::new(env, config);
    let env = &trader.env;
    env.spawn("trader.status", status::serve(env.clone(), status::PORT, trader.status.clone(), Arc::new(())));
    env.spawn("trader.heartbeat", heartbeat(env.clone(), trader.config.name.clone(), trader.leave.clone()));
    let mut leadership = Leadership::new(
        env.clone(),
        &trader.config.name,
        trader.config.supervised,
        trader.leave.clone(),
        trader.status.clone(),
    );
    let mut stop = env.processes.stop_requested();
    loop {
        tokio::select! { biased;
            () = &mut stop => break,
            () = trader.term(&mut leadership) => {}
        }
    }
    leadership.resign().await;
}

/// What outlives the terms.
struct Trader {
    env: Env,
    config: TraderConfig,
    ledger: Arc<Ledger>,
    broker: Broker,
    leave: Leave,
    status: Status,
}

impl Trader {
    fn new(env: Env, config: TraderConfig) -> Self {
        let status = Status::default();
        Self {
            ledger: Arc::new(Ledger::new(env.clone(), "trader.intents")),
            broker: Broker::new(env.clone(), config.credentials.clone()),
            leave: Leave::new(status.clone()),
            status,
            env,
            config,
        }
    }

    /// Wins the lead, trades, and gives it up again. Everything that trades ends with the term: the next one begins with
    /// what ledger, outbox and exchange know.
    async fn term(&self, leadership: &mut Leadership) {
        leadership.win().await;
        let lost = match self.prepare(leadership).await {
            Ok(start) => {
                let (books, records) = Books::open();
                tokio::select! { biased;
                    lost = leadership.keep(&books) => lost,
                    lost = self.trade(start, books.clone(), records) => lost,
                }
            }
            Err(lost) => lost,
        };
        leadership.give_up(&lost).await;
    }

    async fn prepare(&self, leadership: &mut Leadership) -> Result<Start, Lost> {
        self.ledger.batch(super::SCHEMA).await?;
        leadership.prepare(&self.ledger).await
    }

    async fn trade(&self, start: Start, books: Books, records: UnboundedReceiver<Record>) -> Lost {
        let Start { epoch, not_before } = start;
        let (outbox, held) = open_outbox(&self.env).await;
        sleep_until(not_before).await;
        let sources =
            Sources { env: &self.env, ledger: &self.ledger, broker: &self.broker, status: &self.status };
        let taking_over = recovery::insist(&sources, epoch, outbox.as_deref(), &held);
        let Ok(recovered) = timeout(TAKEOVER_LIMIT, taking_over).await else {
            return Lost::TakeOver("out of time".into());
        };
        Leadership::lead(&self.leave, &self.status, epoch);

        let (announce, booked) = mpsc::unbounded_channel();
        let publish =
            books::announce(self.env.clone(), recovered.holdings.on_bus(), recovered.imported, booked);
        let keep =
            books::keep(self.env.clone(), records, recovered.holdings, outbox.clone(), epoch, announce);
        let (send_event, events) = mpsc::channel(INBOX);
        let follow = events::follow(self.env.clone(), self.broker.clone(), send_event);
        let (send_signal, signals) = mpsc::channel(INBOX);
        let read =
            intake::read(self.env.clone(), recovered.signal_position, send_signal, self.status.clone());
        let _tasks = [
            self.env.spawn("trader.fills", publish).abort_on_drop(),
            self.env.spawn("trader.books", keep).abort_on_drop(),
            self.env.spawn("trader.events", follow).abort_on_drop(),
            self.env.spawn("trader.intake", read).abort_on_drop(),
        ];

        let durability =
            Arc::new(Durability::new(self.env.clone(), self.ledger.clone(), outbox.clone(), epoch));
        let mut desk =
            Desk::new(self.env.clone(), self.broker.clone(), durability, books, self.leave.clone());
        desk.resume(recovered.orders);
        self.drive(desk, events, signals, outbox.as_deref()).await
    }

    async fn drive(
        &self,
        mut desk: Desk,
        mut events: mpsc::Receiver<Event>,
        mut signals: mpsc::Receiver<Incoming>,
        outbox: Option<&Outbox>,
    ) -> Lost {
        let mut tick = interval(TICK);
        loop {
            tokio::select! { biased;
                Some(event) = events.recv() => desk.event(event),
                done = desk.work() => desk.done(done),
                Some(signal) = signals.recv() => desk.signal(signal),
                _ = tick.tick() => {
                    self.status.beat("order_heartbeat_seconds");
                    self.status.gauge("unknown_orders", desk.unknown());
                    if let Some(outbox) = outbox {
                        self.status.gauge("ledger_outbox_depth", outbox.depth().await);
                    }
                }
            }
        }
    }
}

/// Shows on the bus, each second, that the process lives, and whether it leads.
async fn heartbeat(env: Env, name: String, leave: Leave) {
    let mut bus = Bus::for_commands(env.clone(), "trader.heartbeat");
    let key = streams::heartbeat(&name);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let epoch = leave.lease().check(Instant::now()).ok().map(Epoch::get);
        let beat = json!({ "ts": env.clock.now().as_millis(), "leads": epoch.is_some(), "epoch": epoch });
        let mut set = cmd("SET");
        set.arg(&key).arg(beat.to_string()).arg("PX").arg(HEARTBEAT_TTL_MS);
        bus.insist(&set).await;
    }
}

async fn open_outbox(env: &Env) -> (Option<Arc<Outbox>>, Vec<Intent>) {
    match Outbox::open(env).await {
        Ok((outbox, held)) => (Some(Arc::new(outbox)), held),
        Err(error) => {
            // Without it the trader works on as long as the ledger does.
            fact!("outbox.unavailable", reason = %error);
            (None, Vec::new())
        }
    }
}
