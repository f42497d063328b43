//! Winning, keeping and giving up `lock:leader`.
//!
//! Only the term that [`Leadership::win`] and [`Leadership::prepare`] begin may trade, and it ends with whatever
//! [`Leadership::keep`] says. Any error of the control poll ends it at once: what is not heard cannot be obeyed. The way back
//! is the same as the way in. Deliberately absent: what is done with the lead.

use std::{fmt, time::Duration};

use env::{Env, fact};
use redis::Pipeline;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

use super::{
    books::{Books, Record},
    control::{Control, Sight},
    latch_store,
    leave::Leave,
};
use crate::{
    clients::{
        backoff::Backoff,
        bus::Bus,
        ledger::{Ledger, LedgerError, Statement, column},
    },
    core::{ANSWER_LIMIT, Change, Epoch, LOCK_TTL, Latch, Latches, LeaseEvent, MARGIN, POLL_EVERY},
    status::Status,
};

/// How often a standby tries the lock.
const STANDBY_EVERY: Duration = Duration::from_millis(500);

/// The delays between attempts to reach a bus that does not answer.
const REACQUIRE_FIRST: Duration = Duration::from_millis(250);
const REACQUIRE_CAP: Duration = Duration::from_secs(8);

/// For how long somebody else may take up the lead that this trader could not.
const STAND_BACK: Duration = Duration::from_secs(2);

/// How long the commands that precede a term may take: some statements of a busy ledger.
const PREPARE_LIMIT: Duration = Duration::from_secs(8);

/// The condition of readiness: the trader leads, or stands by for one who does.
const CONDITION: &str = "lead";

const NEWEST_EPOCH: &str = "SELECT epoch, holder, dataset FROM leader_epochs ORDER BY epoch DESC LIMIT 1";

const CLAIM_EPOCH: &str = "INSERT INTO leader_epochs (epoch, holder, dataset, acquired_at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (epoch) DO NOTHING";

/// Why a term has ended or could not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Lost {
    /// The control poll was not answered.
    #[error("the bus: {0}")]
    Bus(String),
    /// The lock is somebody else's, or nobody's.
    #[error("the lock was lost")]
    Lock,
    /// The latches must be restored.
    #[error("the bus has lost data")]
    Data,
    /// The ledger did not let this trader take over.
    #[error("the ledger: {0}")]
    Ledger(#[from] LedgerError),
    /// Somebody else has taken the same epoch.
    #[error("epoch {0} is taken")]
    EpochTaken(Epoch),
    /// What was left behind could not be resolved in time.
    #[error("could not take over: {0}")]
    TakeOver(String),
}

/// Where a term begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// The epoch of the term.
    pub(super) epoch: Epoch,
    /// From when on no order of an earlier leader can arrive any more.
    pub(super) not_before: Instant,
}

/// One trader's part in the contest.
pub(super) struct Leadership {
    env: Env,
    bus: Bus,
    /// What stands in the lock when it is ours: the process and this life of it.
    holder: Holder,
    leave: Leave,
    status: Status,
    control: Control,
    latches: Latches,
    backoff: Backoff,
    standing_by: bool,
}

/// `{process}:{nonce}`: tells the lives of a process apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder(String);

impl Holder {
    fn new(env: &Env, process: &str) -> Self {
        Self(format!("{process}:{:016x}", env.entropy.bits("trader.lock_nonce")))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Leadership {
    /// A follower. With `supervised` entries need the health check's consent.
    pub(super) fn new(env: Env, process: &str, supervised: bool, leave: Leave, status: Status) -> Self {
        status.declare(CONDITION);
        status.gauge("trader_is_leader", 0);
        let holder = Holder::new(&env, process);
        Self {
            bus: Bus::for_polling(env.clone(), "trader.control", ANSWER_LIMIT),
            control: Control::new(&holder.0, supervised),
            backoff: Backoff::new("trader.reacquire", REACQUIRE_FIRST, REACQUIRE_CAP),
            latches: Latches::default(),
            standing_by: false,
            env,
            holder,
            leave,
            status,
        }
    }

    /// Stands by until the lock is this trader's.
    pub(super) async fn win(&mut self) {
        loop {
            let sent = Instant::now();
            match self.bus.ask_all(self.control.acquisition()).await {
                Ok(answers) => {
                    self.backoff.reset();
                    if self.control.acquired(sent, &answers) {
                        self.standing_by = false;
                        self.leave.step(LeaseEvent::Extended { sent });
                        return;
                    }
                    self.stand_by();
                    sleep(STANDBY_EVERY).await;
                }
                Err(error) => {
                    self.status.deny(CONDITION, format!("the bus: {error}"));
                    self.backoff.wait(&self.env).await;
                }
            }
        }
    }

    fn stand_by(&mut self) {
        self.status.confirm(CONDITION);
        if !self.standing_by {
            self.standing_by = true;
            fact!("leader.stands_by");
        }
    }

    /// Finds out what is halted, and claims an epoch.
    ///
    /// # Errors
    /// The term is not to begin.
    pub(super) async fn prepare(&mut self, ledger: &Ledger) -> Result<Start, Lost> {
        self.status.deny(CONDITION, "the lead is being taken over");
        timeout(PREPARE_LIMIT, self.prepare_in_time(ledger))
            .await
            .unwrap_or_else(|_| Err(Lost::TakeOver("out of time".into())))
    }

    async fn prepare_in_time(&mut self, ledger: &Ledger) -> Result<Start, Lost> {
        let (asked, sight) = self.poll().await?;
        let on_record = latch_store::on_record(ledger).await?;
        let acts = self.latches.restore(&sight.shown, &on_record);
        let commands = latch_store::on_bus(&acts);
        if !commands.is_empty() {
            self.bus.ask_all(&commands).await.map_err(|error| Lost::Bus(error.to_string()))?;
        }
        let now = self.env.clock.now();
        for statement in acts.iter().flat_map(|act| latch_store::to_record(act, now)) {
            ledger.execute(&statement).await?;
        }
        self.leave.set_latches(self.latches.standing());
        self.oversee(asked, &sight).await?;
        self.claim(ledger, &sight.shown.dataset).await
    }

    /// Takes the epoch after the newest one. The lock proves that the leader before has stopped only if the bus has
    /// remembered it without a break since; otherwise that leader's lease must run out first.
    async fn claim(&self, ledger: &Ledger, dataset: &str) -> Result<Start, Lost> {
        let won = Instant::now();
        let rows = ledger.query(&Statement::new(NEWEST_EPOCH)).await?;
        let (newest, not_before) = match rows.first() {
            Some(row) => {
                let newest: i64 = column(row, "epoch")?;
                let unbroken = column::<&str>(row, "dataset")? == dataset;
                let ours = column::<&str>(row, "holder")? == self.holder.0;
                (newest, if unbroken || ours { won } else { won + LOCK_TTL })
            }
            None => (0, won),
        };
        let epoch = Epoch::new(u64::try_from(newest).unwrap_or_default()).next();
        let claim = Statement::new(CLAIM_EPOCH)
            .int(i64::try_from(epoch.get()).unwrap_or(i64::MAX))
            .text(&self.holder)
            .text(dataset)
            .time(self.env.clock.now());
        match ledger.execute(&claim).await? {
            1 => Ok(Start { epoch, not_before }),
            _ => Err(Lost::EpochTaken(epoch)),
        }
    }

    /// Polls and extends until the lead is lost; says how.
    pub(super) async fn keep(&mut self, books: &Books) -> Lost {
        let mut ticks = interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let polled = match self.poll().await {
                Ok((asked, sight)) => self.obey(asked, &sight, books).await,
                Err(lost) => Err(lost),
            };
            if let Err(lost) = polled {
                return lost;
            }
        }
    }

    /// Asks the bus, and takes note of what it says of the lock.
    async fn poll(&mut self) -> Result<(Instant, Sight), Lost> {
        let sent = Instant::now();
        let extends = self.leave.lease().is_extension_due(sent);
        let answers = self
            .bus
            .ask_all(self.control.question(extends))
            .await
            .map_err(|error| Lost::Bus(error.to_string()))?;
        let sight = self.control.read(answers).map_err(|error| Lost::Bus(error.to_string()))?;
        if !sight.is_ours {
            return Err(Lost::Lock);
        }
        self.leave.step(if extends { LeaseEvent::Extended { sent } } else { LeaseEvent::Confirmed { sent } });
        Ok((sent, sight))
    }

    async fn obey(&mut self, asked: Instant, sight: &Sight, books: &Books) -> Result<(), Lost> {
        let acts = self.latches.observe(&sight.shown).map_err(|_| Lost::Data)?;
        self.leave.set_latches(self.latches.standing());
        let commands = latch_store::on_bus(&acts);
        for act in acts {
            books.write(Record::Latch(act));
        }
        if !commands.is_empty() {
            self.bus.ask_all(&commands).await.map_err(|error| Lost::Bus(error.to_string()))?;
        }
        self.oversee(asked, sight).await?;
        if self.leave.lease().check(Instant::now()).is_ok() {
            self.status.confirm(CONDITION);
        }
        Ok(())
    }

    /// Takes note of the health check and of panics. A panic that nobody has carried out is latched here and now: whoever
    /// is to do it may be dead.
    async fn oversee(&mut self, asked: Instant, sight: &Sight) -> Result<(), Lost> {
        let panic = self.control.oversee(asked, sight, &self.leave, &self.status);
        if let Some(record) = panic {
            let mut commands = Pipeline::new();
            latch_store::put(&mut commands, Latch::Panic, &record);
            self.bus.ask_all(&commands).await.map_err(|error| Lost::Bus(error.to_string()))?;
        }
        Ok(())
    }

    /// The term of `epoch` begins: orders may leave.
    pub(super) fn lead(leave: &Leave, status: &Status, epoch: Epoch) {
        if let Some(Change::Leads(epoch)) = leave.step(LeaseEvent::TookOver(epoch)) {
            fact!("leader.acquired", epoch = epoch.get());
            status.gauge("trader_is_leader", 1);
        }
    }

    /// Gives up the lead, or the attempt.
    pub(super) async fn give_up(&mut self, lost: &Lost) {
        self.status.deny(CONDITION, lost.to_string());
        self.status.gauge("trader_is_leader", 0);
        self.leave.step(LeaseEvent::Lost);
        fact!("leader.lost", reason = %lost);
        match lost {
            Lost::Bus(_) | Lost::Lock | Lost::Data => {}
            Lost::Ledger(_) | Lost::EpochTaken(_) | Lost::TakeOver(_) => {
                self.release().await;
                sleep(STAND_BACK).await;
            }
        }
    }

    /// Gives up the lead in order: the process is to end.
    pub(super) async fn resign(&mut self) {
        self.leave.step(LeaseEvent::Lost);
        self.release().await;
    }

    /// Frees the lock, no sooner than the last order that was let go can have arrived.
    async fn release(&mut self) {
        if let Some(last) = self.leave.last_granted() {
            sleep_until(last + MARGIN).await;
        }
        // A lock that is not freed runs out.
        let _ = self.bus.ask_all(&self.control.release()).await;
    }
}
