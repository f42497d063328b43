//! Health check v2: from what one check has seen to DOR ("declared operational readiness").
//!
//! DOR is true iff no component fails. Each failure says whether a restart may help: a process that is gone or stands
//! still is restarted, what cannot be reached or lies outside is waited for. Deliberately absent: memory of earlier
//! checks, which is auto-heal's, and how things are asked, which is the supervisor's.

use std::{collections::BTreeMap, fmt, time::Duration};

/// A heartbeat older than this is none (auto-heal runbook, "heartbeats < 5 s").
pub const HEARTBEAT_MAX_AGE: Duration = Duration::from_secs(5);

/// A market stream without a trade for this long is dead (auto-heal runbook, "WS stream freshness, age < 60 s").
pub const STREAM_MAX_AGE: Duration = Duration::from_secs(60);

/// The slowest tolerable REST answer at the 95th percentile (auto-heal runbook, scenario 4).
pub const REST_MAX_P95: Duration = Duration::from_millis(1_500);

/// Below this free space on the supervisor's disk the check fails; state files and logs of a day take a few MiB.
pub const LEAST_FREE_SPACE: u64 = 16 << 20;

/// Something whose health decides whether the system may trade. In the order of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// The entry strategy.
    Ares,
    /// The bus.
    Bus,
    /// The supervisor's disk.
    Disk,
    /// The process that flattens after a panic.
    EmergencyExit,
    /// The process that watches open positions.
    ExitBrain,
    /// The market data process, with its streams.
    Feeder,
    /// The ledger.
    Ledger,
    /// The broker's REST interface.
    RestApi,
    /// The supervisor's own state files.
    StateFiles,
    /// One of the two traders.
    TraderA,
    /// The other one.
    TraderB,
    /// The process that watches the exit brain.
    Watchdog,
}

impl Component {
    /// Every component.
    pub const ALL: [Self; 12] = [
        Self::Ares,
        Self::Bus,
        Self::Disk,
        Self::EmergencyExit,
        Self::ExitBrain,
        Self::Feeder,
        Self::Ledger,
        Self::RestApi,
        Self::StateFiles,
        Self::TraderA,
        Self::TraderB,
        Self::Watchdog,
    ];

    /// The name in `failing_components` (auto-heal runbook: `Feeder`, `REST_API`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ares => "ARES",
            Self::Bus => "Bus",
            Self::Disk => "Disk",
            Self::EmergencyExit => "EmergencyExit",
            Self::ExitBrain => "ExitBrain",
            Self::Feeder => "Feeder",
            Self::Ledger => "Ledger",
            Self::RestApi => "REST_API",
            Self::StateFiles => "StateFiles",
            Self::TraderA => "TraderA",
            Self::TraderB => "TraderB",
            Self::Watchdog => "Watchdog",
        }
    }

    /// The component with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|component| component.name() == name)
    }

    /// The role name of the process that it is; `None` for what is no process of this system.
    pub const fn process(self) -> Option<&'static str> {
        match self {
            Self::Ares => Some("ares"),
            Self::EmergencyExit => Some("emergency-exit"),
            Self::ExitBrain => Some("exit-brain"),
            Self::Feeder => Some("feeder"),
            Self::TraderA => Some("trader-a"),
            Self::TraderB => Some("trader-b"),
            Self::Watchdog => Some("watchdog"),
            Self::Bus | Self::Disk | Self::Ledger | Self::RestApi | Self::StateFiles => None,
        }
    }

    /// The component that is the process with this role name.
    pub fn of_process(process: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|component| component.process() == Some(process))
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What may help a failing component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Restarting it.
    Restart,
    /// Waiting: it cannot be reached, or it is not this system's to restart.
    Wait,
}

/// Why a component fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What may help.
    pub remedy: Remedy,
    /// What was seen, in words.
    pub reason: String,
}

impl Failure {
    fn restart(reason: impl Into<String>) -> Self {
        Self { remedy: Remedy::Restart, reason: reason.into() }
    }

    fn wait(reason: impl Into<String>) -> Self {
        Self { remedy: Remedy::Wait, reason: reason.into() }
    }
}

/// What was seen of a process's heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// This process writes none.
    NotExpected,
    /// The bus, on which it would be, cannot be asked.
    Unknown,
    /// How long ago it last changed, on the observer's clock; since the bus can be asked when it never has.
    Age(Duration),
}

/// What a process said over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was not asked: its heartbeat says enough.
    NotAsked,
    /// It lives, and does not miss the bus.
    Alive,
    /// It lives, and cannot reach the bus.
    WithoutBus,
    /// It did not answer.
    Silent(String),
}

/// What one check saw of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSeen {
    /// Whether it exists.
    pub running: bool,
    /// Its heartbeat.
    pub pulse: Pulse,
    /// Its answer.
    pub answer: Answer,
}

/// What the feeder's heartbeat said of its work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// Each symbol's time since its last trade; `None` when there was none since the feeder started.
    pub ages: BTreeMap<String, Option<Duration>>,
    /// Why it has no connection to the exchange, when it has none.
    pub disconnected: Option<String>,
}

/// The outcome of one probe: what was seen, or why its component fails.
pub type Probe = Result<String, Failure>;

/// Judges a process by its existence, its heartbeat and, when that is old, its answer.
pub fn process(seen: &ProcessSeen) -> Probe {
    if !seen.running {
        return Err(Failure::restart("does not run"));
    }
    let beats = match seen.pulse {
        Pulse::Age(age) if age >= HEARTBEAT_MAX_AGE => {
            let reason = format!("its last heartbeat is {} s old", age.as_secs());
            return Err(match &seen.answer {
                Answer::WithoutBus => Failure::wait(format!("{reason}: it cannot reach the bus")),
                Answer::NotAsked | Answer::Alive | Answer::Silent(_) => Failure::restart(reason),
            });
        }
        Pulse::Age(_) => "runs, its heart beats",
        Pulse::Unknown | Pulse::NotExpected => "runs",
    };
    match &seen.answer {
        Answer::Silent(why) => Err(Failure::restart(format!("does not answer: {why}"))),
        Answer::NotAsked | Answer::Alive | Answer::WithoutBus => Ok(beats.into()),
    }
}

/// Judges the feeder: as any process, then by its streams. `streams` is `None` while its heartbeat cannot be read.
pub fn feeder(seen: &ProcessSeen, streams: Option<&Streams>) -> Probe {
    let alive = process(seen)?;
    let Some(Streams { ages, disconnected }) = streams else { return Ok(alive) };
    if let Some(why) = disconnected {
        return Err(Failure::wait(format!("CONN_TIMEOUT: no connection to the exchange: {why}")));
    }
    for (symbol, age) in ages {
        match age {
            Some(age) if *age < STREAM_MAX_AGE => {}
            Some(age) => {
                return Err(Failure::restart(format!("no trade of {symbol} for {} s", age.as_secs())));
            }
            None => return Err(Failure::restart(format!("no trade of {symbol} since it started"))),
        }
    }
    Ok(format!("{alive}, {} streams are fresh", ages.len()))
}

/// Judges the broker by how long requests to it took; `None` is one that was not answered in time.
pub fn rest_api(latencies: &[Option<Duration>]) -> Probe {
    let answered = latencies.iter().flatten().count();
    if answered == 0 {
        return Err(Failure::wait("CONN_TIMEOUT: the exchange does not answer"));
    }
    match p95(latencies) {
        Some(p95) if p95 <= REST_MAX_P95 => Ok(format!("p95 is at most {} ms", REST_MAX_P95.as_millis())),
        Some(p95) => Err(Failure::wait(format!("p95 is {} ms", p95.as_millis()))),
        None => Err(Failure::wait(format!("{} of {} answered", answered, latencies.len()))),
    }
}

/// The 95th percentile by nearest rank; `None` when it is one of the unanswered.
fn p95(latencies: &[Option<Duration>]) -> Option<Duration> {
    let mut sorted: Vec<Duration> = latencies.iter().flatten().copied().collect();
    sorted.sort_unstable();
    let rank = (latencies.len() * 95).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// Judges what no restart by this system can help: fails for the reason that is given.
pub fn dependency(failure: Option<String>) -> Probe {
    match failure {
        None => Ok("works".into()),
        Some(reason) => Err(Failure::wait(reason)),
    }
}

/// Judges a disk by its free bytes.
pub fn disk(free: Result<u64, String>) -> Probe {
    match free {
        Ok(free) if free >= LEAST_FREE_SPACE => Ok("has room".into()),
        Ok(free) => Err(Failure::wait(format!("{free} bytes are free"))),
        Err(reason) => Err(Failure::wait(reason)),
    }
}

/// The outcome of one check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Each component that was looked at.
    pub probes: BTreeMap<Component, Probe>,
}

impl Health {
    /// Whether the system is ready to trade: something was looked at, and nothing of it fails.
    pub fn dor(&self) -> bool {
        !self.probes.is_empty() && self.failing().next().is_none()
    }

    /// The failing components, in the order of their names.
    pub fn failing(&self) -> impl Iterator<Item = (Component, &Failure)> {
        self.probes.iter().filter_map(|(component, probe)| Some((*component, probe.as_ref().err()?)))
    }

    /// Their names, separated by commas.
    pub fn failing_names(&self) -> String {
        self.failing().map(|(component, _)| component.name()).collect::<Vec<_>>().join(",")
    }

    /// What may help a component, if it fails.
    pub fn remedy(&self, component: Component) -> Option<Remedy> {
        self.probes.get(&component)?.as_ref().err().map(|failure| failure.remedy)
    }
}

#[cfg(test)]
mod tests {
    use Remedy::{Restart, Wait};

    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn seen(pulse: Pulse, answer: Answer) -> ProcessSeen {
        ProcessSeen { running: true, pulse, answer }
    }

    fn remedy(probe: Probe) -> Option<Remedy> {
        probe.err().map(|failure| failure.remedy)
    }

    fn streams(ages: &[(&str, Option<Duration>)]) -> Streams {
        let ages = ages.iter().map(|(symbol, age)| ((*symbol).to_owned(), *age)).collect();
        Streams { ages, disconnected: None }
    }

    #[test]
    fn a_process_that_is_gone_or_stands_still_wants_a_restart() {
        let gone = ProcessSeen { running: false, pulse: Pulse::Age(secs(0)), answer: Answer::Alive };
        assert_eq!(remedy(process(&gone)), Some(Restart));
        for answer in [Answer::NotAsked, Answer::Alive, Answer::Silent("no answer".into())] {
            assert_eq!(remedy(process(&seen(Pulse::Age(secs(5)), answer))), Some(Restart));
        }
        assert_eq!(
            remedy(process(&seen(Pulse::NotExpected, Answer::Silent("refused".into())))),
            Some(Restart)
        );
    }

    #[test]
    fn a_process_that_is_only_cut_off_from_the_bus_is_waited_for() {
        assert_eq!(remedy(process(&seen(Pulse::Age(secs(9)), Answer::WithoutBus))), Some(Wait));
        assert_eq!(remedy(process(&seen(Pulse::Unknown, Answer::NotAsked))), None, "the bus itself is down");
        assert_eq!(remedy(process(&seen(Pulse::Age(Duration::from_millis(4_999)), Answer::NotAsked))), None);
    }

    #[test]
    fn a_feeder_without_fresh_trades_fails_however_well_its_heart_beats() {
        let alive = seen(Pulse::Age(secs(1)), Answer::NotAsked);
        for (age, expected) in [
            (Some(secs(0)), None),
            (Some(Duration::from_millis(59_999)), None),
            (Some(secs(60)), Some(Restart)),
            (None, Some(Restart)),
        ] {
            let streams = streams(&[("BTCUSDT", Some(secs(1))), ("ETHUSDT", age)]);
            assert_eq!(remedy(feeder(&alive, Some(&streams))), expected, "{age:?}");
        }
        let cut = Streams { disconnected: Some("silent".into()), ..streams(&[("BTCUSDT", None)]) };
        assert_eq!(remedy(feeder(&alive, Some(&cut))), Some(Wait), "a restart mends no network");
        assert_eq!(remedy(feeder(&alive, None)), None, "the bus is down, which is the bus's failure");
        let gone = ProcessSeen { running: false, ..alive };
        assert_eq!(remedy(feeder(&gone, Some(&cut))), Some(Restart));
    }

    #[test]
    fn the_rest_interface_fails_when_it_is_slow_or_silent() {
        let ms = |ms| Some(Duration::from_millis(ms));
        for (latencies, healthy) in [
            (vec![ms(5), ms(1_500), ms(20)], true),
            (vec![ms(5), ms(1_501), ms(20)], false),
            (vec![ms(5), None, ms(20)], false),
            (vec![None, None, None], false),
            (vec![], false),
            ([vec![ms(5); 19], vec![None]].concat(), true),
        ] {
            assert_eq!(rest_api(&latencies).is_ok(), healthy, "{latencies:?}");
            assert_ne!(remedy(rest_api(&latencies)), Some(Restart));
        }
    }

    #[test]
    fn one_failing_component_makes_the_system_not_ready() {
        assert!(!Health::default().dor(), "nothing was looked at");
        let mut health = Health::default();
        health.probes.insert(Component::RestApi, rest_api(&[Some(secs(0))]));
        health.probes.insert(Component::Disk, disk(Ok(LEAST_FREE_SPACE)));
        assert!(health.dor());
        health.probes.insert(Component::Disk, disk(Ok(LEAST_FREE_SPACE - 1)));
        health.probes.insert(Component::Bus, dependency(Some("refused".into())));
        assert!(!health.dor());
        assert_eq!(health.failing_names(), "Bus,Disk");
        assert_eq!((health.remedy(Component::Bus), health.remedy(Component::RestApi)), (Some(Wait), None));
    }

    #[test]
    fn every_component_is_found_by_its_name_and_by_its_process() {
        for component in Component::ALL {
            assert_eq!(Component::named(component.name()), Some(component));
            if let Some(process) = component.process() {
                assert_eq!(Component::of_process(process), Some(component));
            }
        }
        assert_eq!(Component::named("feeder"), None);
        assert_eq!(Component::of_process("bus"), None);
    }
}
