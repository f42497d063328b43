//! Carries out what auto-heal decides: restarts, the record of them, FAILSAFE and the notification.
//!
//! The record is durable before the restart that it counts, so that no crash of the supervisor gives a process more restarts
//! than it may have.

use std::sync::Arc;

use env::{Env, ProcessState, fact};
use tokio::{sync::Mutex, time::Instant};

use super::{
    files::{self, HealFile},
    latching::Latching,
};
use crate::{
    core::{
        Latch,
        heal::{Action, Heal, Stage},
        health::{Component, Health},
        kill_switch::Verdict,
    },
    state::StateFile,
    status::Status,
};

/// Where the stages are written down (auto-heal runbook).
const LOG: &str = "autoheal.log";

/// Where operators are called (auto-heal runbook, stage 4).
const NOTIFICATIONS: &str = "notifications.log";

/// Who sets a FAILSAFE.
const ACTOR: &str = "auto-heal";

/// The hands of auto-heal.
pub(super) struct Healer {
    env: Env,
    status: Status,
    latching: Arc<Mutex<Latching>>,
    heal: Heal,
    file: StateFile<HealFile>,
    restarts: std::collections::BTreeMap<Component, u32>,
}

impl Healer {
    /// Goes on where an earlier life of the supervisor ended.
    pub(super) async fn load(env: Env, status: Status, latching: Arc<Mutex<Latching>>) -> Self {
        let file = StateFile::<HealFile>::load(env.clone()).await;
        let heal = Heal::resume(file.value().cases());
        let healer = Self { env, status, latching, heal, file, restarts: Default::default() };
        if let Some(component) =
            Component::ALL.into_iter().find(|component| healer.heal.has_given_up(*component))
        {
            // The halt may have been lost with that life; if it stands, nothing changes.
            healer.enter_failsafe(component);
        }
        healer
    }

    /// When a check is wanted, if it is before the regular one.
    pub(super) fn due(&self) -> Option<Instant> {
        self.heal.due()
    }

    /// The stage of the system.
    pub(super) fn stage(&self) -> Stage {
        self.heal.stage()
    }

    /// Starts what does not run, at the start of the supervisor. What is being healed is not started beside the healing.
    pub(super) async fn start_what_does_not_run(&self, processes: &[Component]) {
        let healed: Vec<Component> = self.heal.cases().map(|(component, _)| component).collect();
        for component in processes.iter().filter(|component| !healed.contains(component)) {
            let Some(process) = component.process() else { continue };
            if !matches!(self.env.processes.state(process), Ok(ProcessState::Stopped)) {
                continue;
            }
            match self.env.processes.start(process).await {
                Ok(()) => fact!("supervisor.starts", process),
                Err(error) => fact!("supervisor.start_failed", process, reason = %error),
            }
        }
    }

    /// Decides on a check and acts.
    pub(super) async fn heal(&mut self, health: &Health) {
        let before = self.heal.stage();
        let actions = self.heal.step(Instant::now(), health);
        let restarts = actions.iter().any(|action| matches!(action, Action::Restart { .. }));
        if restarts {
            self.remember(Stage::Restart).await;
        }
        for action in &actions {
            self.act(*action).await;
        }
        if !actions.is_empty() {
            self.remember(self.heal.stage()).await;
        }
        if before != self.heal.stage() {
            fact!("heal.stage", stage = %self.heal.stage());
            files::log(&self.env, LOG, self.heal.stage().as_str()).await;
        }
    }

    async fn act(&mut self, action: Action) {
        let line = match action {
            Action::Restart { component, attempt } => {
                fact!("heal.restarts", component = %component, attempt);
                self.restart(component).await;
                format!("{} {component} attempt {attempt}", Stage::Restart)
            }
            Action::Wait { component, delay } => {
                fact!("heal.waits", component = %component, seconds = delay.as_secs());
                format!("{} {component} again in {} s", Stage::Rewire, delay.as_secs())
            }
            Action::Recovered { component } => {
                fact!("heal.recovered", component = %component);
                format!("recovered {component}")
            }
            Action::GiveUp { component } => {
                fact!("heal.gives_up", component = %component);
                self.enter_failsafe(component);
                format!("{} {component}", Stage::Failsafe)
            }
            Action::EpisodeEnds => {
                fact!("heal.episode_ends");
                "the episode ends".into()
            }
        };
        files::log(&self.env, LOG, &line).await;
    }

    /// A process that cannot be restarted is one whose restart has failed: the next checks say so.
    async fn restart(&mut self, component: Component) {
        let Some(process) = component.process() else { return };
        if let Err(error) = self.env.processes.restart(process).await {
            fact!("heal.restart_failed", component = %component, reason = %error);
        }
        let count = self.restarts.entry(component).or_default();
        *count += 1;
        self.status.gauge_of("restarts_total", ("component", component.name()), *count);
    }

    /// A restart that an operator wants.
    ///
    /// # Errors
    /// The process could not be restarted.
    pub(super) async fn restart_by_hand(&mut self, component: Component) -> Result<(), String> {
        let process = component.process().ok_or_else(|| format!("{component} is no process"))?;
        self.env.processes.restart(process).await.map_err(|error| error.to_string())?;
        self.heal.restarted_by_hand(Instant::now(), component);
        Ok(())
    }

    /// Begins anew with every component.
    ///
    /// # Errors
    /// That could not be written down.
    pub(super) async fn forget_cases(&mut self) -> Result<(), String> {
        let file = HealFile::new(Stage::Observe, std::iter::empty());
        self.file.save(file).await.map_err(|error| error.to_string())?;
        self.heal.clear();
        Ok(())
    }

    async fn remember(&mut self, stage: Stage) {
        let file = HealFile::new(stage, self.heal.cases());
        if let Err(error) = self.file.save(file).await {
            fact!("heal.file_failed", reason = %error);
        }
    }

    /// FAILSAFE and NOTIFY, beside the checks: with the bus away its halt takes half a minute.
    fn enter_failsafe(&self, component: Component) {
        let (env, latching) = (self.env.clone(), self.latching.clone());
        self.env.spawn("supervisor.failsafe", async move {
            let why = format!("{component} cannot be healed");
            if let Err(error) = files::write_stop(&env, &format!("FAILSAFE: {why}")).await {
                fact!("failsafe.stop_file_failed", reason = %error);
            }
            let verdict = latching.lock().await.set(Latch::Failsafe, ACTOR, &why).await;
            let acknowledged = verdict == Verdict::Acknowledged;
            fact!("failsafe.entered", component = %component, acknowledged);
            files::log(&env, NOTIFICATIONS, &format!("NOTIFY FAILSAFE {why}, SIGNAL_READ_ONLY")).await;
            fact!("operators.notified", component = %component);
        });
    }
}
