//! Watches the heartbeats on the bus: when each last changed, on this process's clock.
//!
//! A heartbeat's time stamp proves nothing about its age, and a bus that is away says nothing about who is alive: ages are
//! reckoned from when a heartbeat was first seen, or from when the bus came back, whichever is later. Also watches for the
//! bus losing data. Deliberately absent: what follows from an age.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use env::Env;
use redis::{Pipeline, Value};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};

use super::super::heartbeat;
use crate::{
    clients::bus::{self, Bus},
    core::health::{Component, Pulse, Streams},
    status::Status,
    streams,
};

/// A bus that has not answered for this long is away: two polls and the patience for an answer.
const SILENCE: Duration = Duration::from_secs(4);

/// The stream whose newest entry is the exit brain's heartbeat.
const EXIT_BRAIN: &str = "exit_brain:heartbeat";

/// The key that changes when the bus has lost data.
const DATASET: &str = "bus:dataset_epoch";

/// What is known of the heartbeats. Cheap to clone; clones show the same.
#[derive(Clone)]
pub(super) struct Pulses {
    seen: Arc<Mutex<Seen>>,
    dataset: watch::Receiver<Option<String>>,
}

#[derive(Default)]
struct Seen {
    /// Since when the bus has answered without a failure in between, and when it last did.
    reachable: Option<(Instant, Instant)>,
    why_not: String,
    beats: BTreeMap<Component, Beat>,
}

struct Beat {
    value: String,
    since: Instant,
}

impl Pulses {
    /// Starts to watch the processes that have a heartbeat.
    pub(super) fn watch(env: &Env, processes: &[Component], status: Status) -> Self {
        let seen = Arc::new(Mutex::new(Seen { why_not: "not yet".into(), ..Seen::default() }));
        let (tell, dataset) = watch::channel(None);
        let question = Question::about(processes);
        env.spawn("supervisor.pulses", follow(env.clone(), question, seen.clone(), tell, status));
        Self { seen, dataset }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the bus's dataset is called; changes when the bus has lost data, and `None` until it has told.
    pub(super) fn dataset(&self) -> watch::Receiver<Option<String>> {
        self.dataset.clone()
    }

    /// Why the bus cannot be asked, if it cannot.
    pub(super) fn bus_failure(&self) -> Option<String> {
        let seen = self.seen();
        match seen.reachable {
            Some((_, last)) if last.elapsed() < SILENCE => None,
            Some(_) => Some("the bus does not answer".into()),
            None => Some(seen.why_not.clone()),
        }
    }

    /// The heartbeat of a process.
    pub(super) fn of(&self, component: Component) -> Pulse {
        if !has_heartbeat(component) {
            return Pulse::NotExpected;
        }
        let seen = self.seen();
        match seen.reachable {
            Some((since, last)) if last.elapsed() < SILENCE => {
                let first_seen = seen.beats.get(&component).map_or(since, |beat| beat.since.max(since));
                Pulse::Age(first_seen.elapsed())
            }
            Some(_) | None => Pulse::Unknown,
        }
    }

    /// What the feeder's heartbeat says of its streams; `None` when it cannot be read or says nothing that makes sense.
    pub(super) fn streams(&self) -> Option<Streams> {
        let seen = self.seen();
        seen.reachable?;
        read_streams(&seen.beats.get(&Component::Feeder)?.value)
    }
}

/// Whether a process writes a heartbeat to the bus.
const fn has_heartbeat(component: Component) -> bool {
    matches!(
        component,
        Component::Ares | Component::ExitBrain | Component::Feeder | Component::TraderA | Component::TraderB
    )
}

fn read_streams(heartbeat: &str) -> Option<Streams> {
    #[derive(serde::Deserialize)]
    struct Said {
        streams: BTreeMap<String, Option<u64>>,
        disconnected: Option<String>,
    }
    let Said { streams, disconnected } = serde_json::from_str(heartbeat).ok()?;
    let ages = streams.into_iter().map(|(symbol, age)| (symbol, age.map(Duration::from_millis))).collect();
    Some(Streams { ages, disconnected })
}

/// The commands of one poll, and whose heartbeats their answers are.
struct Question {
    commands: Pipeline,
    keys: Vec<Component>,
    asks_exit_brain: bool,
}

impl Question {
    fn about(processes: &[Component]) -> Self {
        let by_key =
            |component: &&Component| has_heartbeat(**component) && **component != Component::ExitBrain;
        let keys: Vec<Component> = processes.iter().filter(by_key).copied().collect();
        let asks_exit_brain = processes.contains(&Component::ExitBrain);
        let mut commands = Pipeline::new();
        commands.cmd("MGET").arg(DATASET);
        for process in keys.iter().filter_map(|component| component.process()) {
            commands.arg(streams::heartbeat(process));
        }
        if asks_exit_brain {
            commands.cmd("XREVRANGE").arg(EXIT_BRAIN).arg("+").arg("-").arg("COUNT").arg(1);
        }
        Self { commands, keys, asks_exit_brain }
    }

    /// The dataset and the heartbeats that an answer shows.
    fn read(&self, answers: &[Value]) -> (Option<String>, Vec<(Component, String)>) {
        let values = answers.first().map_or(&[][..], bus::items);
        let dataset = values.first().and_then(bus::text).map(str::to_owned);
        let beats = self.keys.iter().zip(values.iter().skip(1));
        let mut beats: Vec<_> =
            beats.filter_map(|(component, value)| Some((*component, bus::text(value)?.to_owned()))).collect();
        if self.asks_exit_brain
            && let Some(newest) = answers.get(1).and_then(|answer| bus::entries(answer).next())
        {
            beats.push((Component::ExitBrain, newest.id.to_owned()));
        }
        (dataset, beats)
    }
}

async fn follow(
    env: Env,
    question: Question,
    seen: Arc<Mutex<Seen>>,
    tell: watch::Sender<Option<String>>,
    status: Status,
) {
    status.declare(heartbeat::BUS);
    let mut bus = Bus::for_commands(env, "supervisor.pulses");
    let mut ticks = interval(heartbeat::EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match bus.ask_all(&question.commands).await {
            Ok(answers) => {
                let (dataset, beats) = question.read(&answers);
                seen.lock().unwrap_or_else(PoisonError::into_inner).note(Instant::now(), beats);
                tell.send_if_modified(|known| {
                    let dataset = Some(dataset.unwrap_or_default());
                    let changed = *known != dataset;
                    *known = dataset;
                    changed
                });
                status.confirm(heartbeat::BUS);
            }
            Err(error) => {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.reachable = None;
                seen.why_not = error.to_string();
                status.deny(heartbeat::BUS, seen.why_not.clone());
            }
        }
    }
}

impl Seen {
    fn note(&mut self, now: Instant, beats: Vec<(Component, String)>) {
        let since = self.reachable.map_or(now, |(since, _)| since);
        self.reachable = Some((since, now));
        for (component, value) in beats {
            match self.beats.get_mut(&component) {
                Some(beat) if beat.value == value => {}
                Some(beat) => *beat = Beat { value, since: now },
                None => {
                    self.beats.insert(component, Beat { value, since: now });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn pulses(seen: Seen) -> Pulses {
        Pulses { seen: Arc::new(Mutex::new(seen)), dataset: watch::channel(None).1 }
    }

    #[test]
    fn an_answer_tells_the_dataset_and_each_heartbeat_that_is_there() {
        let question =
            Question::about(&[Component::Feeder, Component::Watchdog, Component::ExitBrain, Component::Ares]);
        let newest = Value::Array(vec![bulk("7-0"), Value::Array(vec![])]);
        let answers = [Value::Array(vec![bulk("epoch"), bulk("{}"), Value::Nil]), Value::Array(vec![newest])];
        let (dataset, beats) = question.read(&answers);
        assert_eq!(dataset.as_deref(), Some("epoch"));
        assert_eq!(beats, [(Component::Feeder, "{}".into()), (Component::ExitBrain, "7-0".into())]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_ages_from_when_it_was_first_seen_or_from_when_the_bus_came_back() {
        let mut seen = Seen::default();
        seen.note(Instant::now(), vec![(Component::Feeder, "a".into())]);
        tokio::time::advance(Duration::from_secs(3)).await;
        seen.note(Instant::now(), vec![(Component::Feeder, "a".into())]);
        let pulses = pulses(seen);
        assert_eq!(pulses.of(Component::Feeder), Pulse::Age(Duration::from_secs(3)));
        assert_eq!(pulses.of(Component::Ares), Pulse::Age(Duration::from_secs(3)), "never seen");
        assert_eq!(pulses.of(Component::Watchdog), Pulse::NotExpected);

        tokio::time::advance(SILENCE).await;
        assert_eq!(pulses.of(Component::Feeder), Pulse::Unknown, "the bus is silent");
        pulses.seen().reachable = None;
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(pulses.bus_failure().is_some());
        pulses.seen().note(Instant::now(), vec![]);
        assert_eq!(
            pulses.of(Component::Feeder),
            Pulse::Age(Duration::ZERO),
            "no grace, and no blame for the outage"
        );
        assert_eq!(pulses.bus_failure(), None);
        pulses.seen().note(Instant::now(), vec![(Component::Feeder, "b".into())]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pulses.of(Component::Feeder), Pulse::Age(Duration::from_secs(1)));
    }

    #[test]
    fn the_feeders_streams_are_read_from_its_heartbeat() {
        let streams = read_streams(r#"{"streams":{"BTCUSDT":1500,"ETHUSDT":null},"ts":1}"#).unwrap();
        assert_eq!(streams.ages["BTCUSDT"], Some(Duration::from_millis(1_500)));
        assert_eq!((streams.ages["ETHUSDT"], streams.disconnected), (None, None));
        assert!(read_streams("{}").is_none());
    }
}
