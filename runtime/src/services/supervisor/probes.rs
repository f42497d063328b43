//! Asks everything that the health check needs to know. Each question has the same, short time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use env::{Env, ProcessState};
use futures_util::future::join_all;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{super::heartbeat, files, latching::Latching, pulses::Pulses};
use crate::{
    clients::{
        broker::Broker,
        ledger::{Ledger, Statement},
        process::Process,
    },
    core::health::{self, Answer, Component, HEARTBEAT_MAX_AGE, Health, ProcessSeen, Pulse},
};

/// How long an answer may take; one to the broker that takes longer has failed by its latency alone.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How many requests measure the broker's latency.
const PINGS: usize = 3;

/// Whoever asks.
pub(super) struct Probes {
    env: Env,
    broker: Broker,
    ledger: Arc<Ledger>,
    processes: BTreeMap<Component, Process>,
    pulses: Pulses,
    latching: Arc<Mutex<Latching>>,
}

/// The answers, before it is known who runs at the moment of the verdict.
pub(super) struct Answers {
    health: Health,
    processes: BTreeMap<Component, Answer>,
}

impl Probes {
    pub(super) fn new(
        env: Env,
        ledger: Arc<Ledger>,
        processes: &[Component],
        pulses: Pulses,
        latching: Arc<Mutex<Latching>>,
    ) -> Self {
        let client = |component: &Component| {
            let process = component.process()?;
            Some((*component, Process::new(env.clone(), process)))
        };
        let processes = processes.iter().filter_map(client).collect();
        Self { broker: Broker::public(env.clone()), env, ledger, processes, pulses, latching }
    }

    /// Asks everybody at once; takes [`PATIENCE`] at most, or little more.
    pub(super) async fn ask(&self) -> Answers {
        let (rest, ledger, disk, stop, processes) = tokio::join!(
            self.ping_broker(),
            self.ask_ledger(),
            self.env.disk.free_space(),
            files::stop_is_there(&self.env),
            join_all(self.processes.iter().map(|(component, process)| self.ask_process(*component, process))),
        );
        let mut health = Health::default();
        health.probes.insert(Component::RestApi, health::rest_api(&rest));
        health.probes.insert(Component::Ledger, health::dependency(ledger));
        health.probes.insert(Component::Disk, health::disk(disk.map_err(|error| error.to_string())));
        let stop = stop.then(|| "STOP.TXT is there".to_owned());
        health.probes.insert(Component::StateFiles, health::dependency(stop));
        Answers { health, processes: processes.into_iter().collect() }
    }

    /// The verdict of this moment.
    pub(super) fn judge(&self, answers: Answers, state_files: Option<String>) -> Health {
        let Answers { mut health, processes } = answers;
        health.probes.insert(Component::Bus, health::dependency(self.pulses.bus_failure()));
        if let Some(reason) = state_files {
            health.probes.insert(Component::StateFiles, health::dependency(Some(reason)));
        }
        for (component, answer) in processes {
            let seen =
                ProcessSeen { running: self.runs(component), pulse: self.pulses.of(component), answer };
            let probe = match component {
                Component::Feeder => {
                    let known = seen.pulse != Pulse::Unknown;
                    health::feeder(&seen, self.pulses.streams().filter(|_| known).as_ref())
                }
                _ => health::process(&seen),
            };
            health.probes.insert(component, probe);
        }
        health
    }

    fn runs(&self, component: Component) -> bool {
        let Some(process) = component.process() else { return false };
        matches!(self.env.processes.state(process), Ok(ProcessState::Running))
    }

    async fn ping_broker(&self) -> Vec<Option<Duration>> {
        let ping = || async {
            let asked = Instant::now();
            let answered = timeout(PATIENCE, self.broker.ping()).await;
            matches!(answered, Ok(Ok(()))).then(|| asked.elapsed())
        };
        join_all((0..PINGS).map(|_| ping())).await
    }

    /// Why the ledger fails, if it does. Comparing the halts is a question like any other; while they are being changed,
    /// which may take a while, another one will do.
    async fn ask_ledger(&self) -> Option<String> {
        let outcome = match self.latching.try_lock() {
            Ok(mut latching) => latching.compare_with_ledger(PATIENCE).await,
            Err(_) => match timeout(PATIENCE, self.ledger.query(&Statement::new("SELECT 1"))).await {
                Ok(outcome) => outcome.map(drop),
                Err(_) => return Some("the ledger does not answer".into()),
            },
        };
        outcome.err().map(|error| error.reason())
    }

    async fn ask_process(&self, component: Component, process: &Process) -> (Component, Answer) {
        let beats = match self.pulses.of(component) {
            Pulse::Age(age) => age < HEARTBEAT_MAX_AGE,
            Pulse::Unknown => true,
            Pulse::NotExpected => false,
        };
        if beats || !self.runs(component) {
            return (component, Answer::NotAsked);
        }
        let answer = match process.get("/ready", PATIENCE).await {
            Ok(reply) => meaning(&reply.body),
            Err(error) => Answer::Silent(error.to_string()),
        };
        (component, answer)
    }
}

/// What an answer to `GET /ready` says of a process and its bus.
fn meaning(body: &[u8]) -> Answer {
    #[derive(serde::Deserialize)]
    struct Ready {
        missing: BTreeMap<String, String>,
    }
    match serde_json::from_slice::<Ready>(body) {
        Ok(Ready { missing }) if missing.iter().any(blames_the_bus) => Answer::WithoutBus,
        Ok(_) => Answer::Alive,
        Err(error) => Answer::Silent(format!("its answer makes no sense: {error}")),
    }
}

/// Either the condition is the bus itself, or its reason names it.
fn blames_the_bus((condition, why): (&String, &String)) -> bool {
    condition == heartbeat::BUS || why.starts_with("the bus")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_misses_the_bus_is_told_from_one_that_is_merely_unready() {
        assert_eq!(meaning(br#"{"ready":false,"missing":{"bus":"refused"}}"#), Answer::WithoutBus);
        assert_eq!(
            meaning(br#"{"ready":false,"missing":{"decides":"the bus: refused"}}"#),
            Answer::WithoutBus
        );
        assert_eq!(meaning(br#"{"ready":false,"missing":{"leads":"no"}}"#), Answer::Alive);
        assert_eq!(meaning(br#"{"ready":true,"missing":{}}"#), Answer::Alive);
        assert!(matches!(meaning(b"<html>"), Answer::Silent(_)));
    }
}
