//! `supervisor`: checks the health of the whole system, heals what it can, and does what operators ask.
//!
//! - `pulses` watches the heartbeats on the bus, `probes` asks everybody else; `core::health` judges, each 15 s.
//! - `healer` carries out what `core::heal` decides, and enters FAILSAFE when it gives up.
//! - `latching` keeps the halts that only a person clears; `api` and `page` are what operators see.
//! - `files` are its state files and logs.
//!
//! The probes of a check have two seconds, and its verdict falls at the exact end of the interval. What runs at all is looked
//! at in that moment, so no death is older than an interval when it is noticed.
//!
//! Deliberately absent: a second supervisor, starting in order of dependency (every process waits for what it needs), lock
//! files (a role is held by `env::Processes`), the chaos endpoints.

mod api;
mod files;
mod healer;
mod latching;
mod page;
mod probes;
mod pulses;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use env::{Env, detail, fact};
use redis::Pipeline;
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc, oneshot, watch},
    time::{Instant, interval, sleep_until},
};

use self::{
    api::Api,
    files::HealthFile,
    healer::Healer,
    latching::Latching,
    probes::{PATIENCE, Probes},
    pulses::Pulses,
};
use super::{audit::Audit, heartbeat};
use crate::{
    clients::{backoff::Backoff, bus::Bus, ledger::Ledger},
    config,
    core::health::{Component, Failure, Health},
    state::StateFile,
    status::{self, Status},
    streams,
};

/// How often the health is checked (auto-heal runbook, "one check each 15 s").
const CHECK_EVERY: Duration = Duration::from_secs(15);

/// How many operators' requests may wait for the check that is under way.
const INBOX: usize = 16;

/// The condition that the last check is recent and found nothing.
const DOR: &str = "dor";

/// What the supervisor supervises.
#[derive(Clone, Debug)]
pub struct SupervisorConfig {
    /// The processes that it starts, checks and restarts.
    pub processes: Vec<Component>,
    /// What an operator must know to have something done; when it is empty nobody can.
    pub token: String,
}

impl Default for SupervisorConfig {
    /// All processes, and the token that everybody knows: for tests.
    fn default() -> Self {
        let processes = Component::ALL.into_iter().filter(|component| component.process().is_some());
        Self { processes: processes.collect(), token: config::Ops::default().token }
    }
}

/// What an operator asks of the supervisor's own loop; the answer is why it could not be done.
struct Request {
    wish: Wish,
    done: oneshot::Sender<Result<(), String>>,
}

enum Wish {
    Check,
    Restart(Component),
    /// Forget what was given up.
    ForgetCases,
}

/// Runs the supervisor.
pub async fn run(env: Env, config: SupervisorConfig) {
    fact!("supervisor.started");
    let SupervisorConfig { processes, token } = config;
    let status = Status::default();
    let ledger = Arc::new(Ledger::new(env.clone(), "supervisor"));
    let latching = Arc::new(AsyncMutex::new(Latching::load(env.clone(), ledger.clone()).await));
    let pulses = Pulses::watch(&env, &processes, status.clone());
    env.spawn("supervisor.schema", apply_schema(env.clone()));
    let (tell_asserted, asserted) = watch::channel(None);
    env.spawn(
        "supervisor.reassert",
        reassert(env.clone(), latching.clone(), pulses.dataset(), tell_asserted),
    );
    let verdict = Arc::default();
    env.spawn("supervisor.readiness", show_readiness(status.clone(), Arc::clone(&verdict)));

    let (requests, mut inbox) = mpsc::channel(INBOX);
    let api =
        Api::new(&env, token, &processes, latching.clone(), Audit::open(&env, "supervisor.audit"), requests);
    env.spawn("supervisor.api", status::serve(env.clone(), status::PORT, status.clone(), Arc::new(api)));

    let healer = Healer::load(env.clone(), status.clone(), latching.clone()).await;
    let mut supervisor = Supervisor {
        probes: Probes::new(env.clone(), ledger, &processes, pulses, latching),
        health: StateFile::load(env.clone()).await,
        publisher: Publisher { bus: Bus::for_commands(env.clone(), "supervisor.dor"), asserted },
        failing: BTreeMap::new(),
        unwritten: None,
        env,
        status,
        verdict,
        healer,
    };
    supervisor.healer.start_what_does_not_run(&processes).await;
    supervisor.watch(&mut inbox).await;
}

struct Supervisor {
    env: Env,
    status: Status,
    probes: Probes,
    healer: Healer,
    health: StateFile<HealthFile>,
    publisher: Publisher,
    /// What failed at the last check.
    failing: BTreeMap<Component, Failure>,
    /// Why the last health file was not written, if it was not.
    unwritten: Option<String>,
    verdict: Arc<Mutex<Option<Verdict>>>,
}

/// What readiness is made of.
struct Verdict {
    at: Instant,
    failing: Option<String>,
}

impl Supervisor {
    /// Checks at the interval, whenever the healer wants to know, and when an operator does.
    async fn watch(&mut self, inbox: &mut mpsc::Receiver<Request>) {
        let mut last = Instant::now();
        loop {
            let regular = last + CHECK_EVERY;
            let next = self.healer.due().map_or(regular, |due| due.clamp(last, regular));
            tokio::select! { biased;
                Some(Request { wish, done }) = inbox.recv() => {
                    let outcome = match wish {
                        Wish::Check => {
                            last = Instant::now() + PATIENCE;
                            self.check(last).await;
                            Ok(())
                        }
                        Wish::Restart(component) => self.healer.restart_by_hand(component).await,
                        Wish::ForgetCases => self.healer.forget_cases().await,
                    };
                    // Whoever asked may have gone away.
                    let _ = done.send(outcome);
                }
                () = sleep_until(next - PATIENCE) => {
                    self.check(next).await;
                    last = next;
                }
            }
        }
    }

    /// Asks, judges at `moment`, heals, and tells.
    async fn check(&mut self, moment: Instant) {
        let answers = self.probes.ask().await;
        sleep_until(moment).await;
        let health = self.probes.judge(answers, self.unwritten.take());
        self.report(&health);
        self.healer.heal(&health).await;
        let seq = self.health.value().seq + 1;
        self.publisher.publish(&health, self.env.clock.now().as_millis(), seq).await;
        self.write(&health, seq).await;
    }

    fn report(&mut self, health: &Health) {
        let (dor, names) = (health.dor(), health.failing_names());
        detail!("health.checked", dor, failing = %names);
        let failing: BTreeMap<Component, Failure> =
            health.failing().map(|(component, failure)| (component, failure.clone())).collect();
        for (component, Failure { reason, .. }) in &failing {
            if !self.failing.contains_key(component) {
                fact!("health.fails", component = %component, reason);
            }
        }
        for component in self.failing.keys().filter(|component| !failing.contains_key(component)) {
            fact!("health.recovers", component = %component);
        }
        let mut verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        if verdict.as_ref().is_none_or(|before| before.failing.is_none() != dor) {
            fact!("health.dor", dor, failing = %names);
        }
        *verdict = Some(Verdict { at: Instant::now(), failing: (!dor).then_some(names) });
        self.status.gauge(DOR, u32::from(dor));
        self.failing = failing;
    }

    async fn write(&mut self, health: &Health, seq: u64) {
        let file = HealthFile::new(health, self.healer.stage(), self.env.clock.now().as_millis(), seq);
        let copied = files::copy_health(&self.env, &file).await.map_err(|error| error.to_string());
        let saved = self.health.save(file).await.map_err(|error| error.to_string());
        if let Err(reason) = saved.and(copied) {
            fact!("health.file_failed", reason);
            self.unwritten = Some(reason);
        }
    }
}

/// Tells the bus each verdict.
struct Publisher {
    bus: Bus,
    /// The dataset of the bus that has been told every halt.
    asserted: watch::Receiver<Option<String>>,
}

impl Publisher {
    /// A verdict must not outlive the loss of a halt: it waits until the bus has every halt again.
    async fn publish(&mut self, health: &Health, ts: i64, seq: u64) {
        if self.asserted.borrow().is_none() {
            return;
        }
        let mut set = Pipeline::with_capacity(1);
        set.cmd("HSET").arg(streams::DOR).arg("dor").arg(u8::from(health.dor()));
        set.arg("failing").arg(health.failing_names()).arg("ts").arg(ts).arg("seq").arg(seq);
        // A bus that is away is a failing component, and whoever reads it has a limit for the age of a verdict.
        let _ = self.bus.ask_all(&set).await;
    }
}

async fn apply_schema(env: Env) {
    Ledger::new(env, "supervisor.schema").insist_batch(super::SCHEMA).await;
}

/// Puts every halt back on the bus, whenever it has lost data and once at the start: what was cleared meanwhile, the ledger
/// says.
async fn reassert(
    env: Env,
    latching: Arc<AsyncMutex<Latching>>,
    mut dataset: watch::Receiver<Option<String>>,
    asserted: watch::Sender<Option<String>>,
) {
    let mut backoff = Backoff::reconnect("supervisor.reassert");
    while dataset.changed().await.is_ok() {
        let known = dataset.borrow_and_update().clone();
        asserted.send_replace(None);
        let mut latching = latching.lock().await;
        // Without the ledger every halt of the file stands.
        let _ = latching.compare_with_ledger(PATIENCE).await;
        while !latching.tell_all().await {
            backoff.wait(&env).await;
        }
        backoff.reset();
        asserted.send_replace(known);
    }
}

/// Ready as long as the last check is not older than it may be and found nothing.
async fn show_readiness(status: Status, verdict: Arc<Mutex<Option<Verdict>>>) {
    status.declare(DOR);
    let mut ticks = interval(heartbeat::EVERY);
    loop {
        ticks.tick().await;
        match &*verdict.lock().unwrap_or_else(PoisonError::into_inner) {
            None => status.deny(DOR, "no check yet"),
            Some(Verdict { at, .. }) if at.elapsed() > CHECK_EVERY + PATIENCE => {
                status.deny(DOR, format!("the last check was {} s ago", at.elapsed().as_secs()));
            }
            Some(Verdict { failing: Some(names), .. }) => status.deny(DOR, format!("{names} fails")),
            Some(Verdict { failing: None, .. }) => status.confirm(DOR),
        }
    }
}
