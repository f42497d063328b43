//! The supervisor's files: what it has found, what it is healing, which halts stand, and its logs.

use std::{collections::BTreeMap, io, path::Path};

use env::{Env, OpenMode, fact, write_all_at};
use serde::{Deserialize, Serialize};

use crate::{
    core::{
        Latch, LatchRecord,
        heal::{Case, MAX_RESTARTS, Stage},
        health::{Component, Health},
    },
    state::State,
};

/// Where people who look at logs find the health check.
const HEALTH_COPY: &str = "logs/health/health_v2.json";

/// A log is put aside at this length; one older file is kept.
const LOG_LIMIT: u64 = 1 << 20;

/// The file that stands for "trade no more" to everybody with access to the machine (auto-heal runbook, stage 3).
const STOP: &str = "STOP.TXT";

/// `health_v2.json`: the outcome of the last check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HealthFile {
    pub(super) dor: bool,
    pub(super) failing_components: Vec<String>,
    pub(super) probes: BTreeMap<String, ProbeLine>,
    /// The stage of auto-heal.
    pub(super) stage: String,
    /// Milliseconds since 1970.
    pub(super) ts: i64,
    /// Counts the checks, through all lives of the supervisor.
    pub(super) seq: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProbeLine {
    pub(super) ok: bool,
    pub(super) seen: String,
}

impl HealthFile {
    pub(super) fn new(health: &Health, stage: Stage, ts: i64, seq: u64) -> Self {
        let line = |(component, probe): (&Component, &Result<String, _>)| {
            let line = match probe {
                Ok(seen) => ProbeLine { ok: true, seen: seen.clone() },
                Err(failure) => {
                    let failure: &crate::core::health::Failure = failure;
                    ProbeLine { ok: false, seen: failure.reason.clone() }
                }
            };
            (component.name().to_owned(), line)
        };
        Self {
            dor: health.dor(),
            failing_components: health.failing().map(|(component, _)| component.name().into()).collect(),
            probes: health.probes.iter().map(line).collect(),
            stage: stage.as_str().into(),
            ts,
            seq,
        }
    }
}

impl State for HealthFile {
    const PATH: &'static str = "shared_data/health_v2.json";
    const SCHEMA: u32 = 1;

    fn fresh() -> Self {
        Self {
            dor: false,
            failing_components: Vec::new(),
            probes: BTreeMap::new(),
            stage: Stage::Observe.as_str().into(),
            ts: 0,
            seq: 0,
        }
    }

    fn fail_closed() -> Self {
        Self::fresh()
    }

    fn check(&self) -> Result<(), String> {
        let failing = self.probes.iter().filter(|(_, line)| !line.ok).map(|(name, _)| name);
        if !failing.eq(&self.failing_components) {
            return Err("failing_components are not those whose probe failed".into());
        }
        if self.dor != (self.failing_components.is_empty() && !self.probes.is_empty()) {
            return Err("dor does not follow from the probes".into());
        }
        Ok(())
    }
}

/// `autoheal_state.json`: what of auto-heal must outlive the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HealFile {
    pub(super) stage: String,
    cases: BTreeMap<String, CaseLine>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CaseLine {
    restarts: u8,
    waits: u8,
    given_up: bool,
}

impl HealFile {
    pub(super) fn new(stage: Stage, cases: impl Iterator<Item = (Component, Case)>) -> Self {
        let line = |(component, Case { restarts, waits, given_up }): (Component, Case)| {
            (component.name().to_owned(), CaseLine { restarts, waits, given_up })
        };
        Self { stage: stage.as_str().into(), cases: cases.map(line).collect() }
    }

    pub(super) fn cases(&self) -> impl Iterator<Item = (Component, Case)> {
        self.cases.iter().filter_map(|(name, line)| {
            let CaseLine { restarts, waits, given_up } = *line;
            Some((Component::named(name)?, Case { restarts, waits, given_up }))
        })
    }
}

impl State for HealFile {
    const PATH: &'static str = "shared_data/autoheal_state.json";
    const SCHEMA: u32 = 1;

    fn fresh() -> Self {
        Self::new(Stage::Observe, std::iter::empty())
    }

    /// No process may be restarted once more: nobody knows how often it has been.
    fn fail_closed() -> Self {
        let used_up = Case { restarts: MAX_RESTARTS, waits: 0, given_up: false };
        let processes = Component::ALL.into_iter().filter(|component| component.process().is_some());
        Self::new(Stage::Observe, processes.map(|component| (component, used_up)))
    }

    fn check(&self) -> Result<(), String> {
        for (name, line) in &self.cases {
            if Component::named(name).is_none() {
                return Err(format!("{name:?} is no component"));
            }
            if line.restarts > MAX_RESTARTS {
                return Err(format!("{name} has {} restarts", line.restarts));
            }
        }
        Ok(())
    }
}

/// `global_flags.json`: the halts that only a person clears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GlobalFlags {
    failsafe_active: bool,
    mode: Mode,
    halts: BTreeMap<String, LatchRecord>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Mode {
    Live,
    SignalReadOnly,
}

impl GlobalFlags {
    pub(super) fn of(halts: &BTreeMap<Latch, LatchRecord>) -> Self {
        Self {
            failsafe_active: halts.contains_key(&Latch::Failsafe),
            mode: if halts.is_empty() { Mode::Live } else { Mode::SignalReadOnly },
            halts: halts.iter().map(|(latch, record)| (latch.to_string(), record.clone())).collect(),
        }
    }

    pub(super) fn halts(&self) -> BTreeMap<Latch, LatchRecord> {
        let halts = self.halts.iter();
        halts.filter_map(|(name, record)| Some((name.parse().ok()?, record.clone()))).collect()
    }
}

impl State for GlobalFlags {
    const PATH: &'static str = "shared_data/global_flags.json";
    const SCHEMA: u32 = 1;

    fn fresh() -> Self {
        Self::of(&BTreeMap::new())
    }

    /// SIGNAL_READ_ONLY: a halt may have stood there.
    fn fail_closed() -> Self {
        let record = LatchRecord {
            set_by: "supervisor".into(),
            set_at: 0,
            why: "global_flags.json could not be read".into(),
        };
        Self::of(&BTreeMap::from([(Latch::Failsafe, record)]))
    }

    fn check(&self) -> Result<(), String> {
        if let Some(name) = self.halts.keys().find(|name| name.parse::<Latch>().is_err()) {
            return Err(format!("{name:?} is no halt"));
        }
        if *self == Self::of(&self.halts()) { Ok(()) } else { Err("the flags contradict the halts".into()) }
    }
}

/// Writes the copy of `health_v2.json` that stands beside the logs. It is for people: nothing depends on it.
pub(super) async fn copy_health(env: &Env, health: &HealthFile) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(health).map_err(io::Error::other)?;
    env.disk.create_dir_all(Path::new("logs/health")).await?;
    let file = env.disk.open(Path::new(HEALTH_COPY), OpenMode::ReadWrite).await?;
    file.set_len(0).await?;
    write_all_at(&*file, &text, 0).await
}

/// Adds a line to a log below `logs/`, durably, and says so when it cannot.
pub(super) async fn log(env: &Env, name: &str, line: &str) {
    if let Err(error) = append(env, name, line).await {
        fact!("log.failed", name, reason = %error);
    }
}

async fn append(env: &Env, name: &str, line: &str) -> io::Result<()> {
    let path = format!("logs/{name}");
    env.disk.create_dir_all(Path::new("logs")).await?;
    let mut file = env.disk.open(Path::new(&path), OpenMode::ReadWrite).await?;
    let mut end = file.len().await?;
    if end >= LOG_LIMIT {
        env.disk.rename(Path::new(&path), Path::new(&format!("{path}.1"))).await?;
        file = env.disk.open(Path::new(&path), OpenMode::ReadWrite).await?;
        end = 0;
    }
    write_all_at(&*file, format!("{} {line}\n", env.clock.now()).as_bytes(), end).await?;
    file.sync().await?;
    env.disk.sync_dir(Path::new("logs")).await
}

/// Writes `STOP.TXT`.
pub(super) async fn write_stop(env: &Env, why: &str) -> io::Result<()> {
    let file = env.disk.open(Path::new(STOP), OpenMode::ReadWrite).await?;
    file.set_len(0).await?;
    write_all_at(&*file, format!("{why}\n").as_bytes(), 0).await?;
    file.sync().await?;
    env.disk.sync_dir(Path::new("")).await
}

/// Whether `STOP.TXT` is there; what cannot be looked at is taken to be there.
pub(super) async fn stop_is_there(env: &Env) -> bool {
    match env.disk.open(Path::new(STOP), OpenMode::Read).await {
        Ok(file) => {
            // Opened only to see whether it can be.
            drop(file);
            true
        }
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Removes `STOP.TXT`; that it is not there is no error.
pub(super) async fn remove_stop(env: &Env) -> io::Result<()> {
    match env.disk.remove(Path::new(STOP)).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => env.disk.sync_dir(Path::new("")).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::health::{dependency, disk};

    #[test]
    fn a_health_file_that_contradicts_itself_is_refused() {
        let mut health = Health::default();
        health.probes.insert(Component::Disk, disk(Ok(u64::MAX)));
        health.probes.insert(Component::Bus, dependency(Some("refused".into())));
        let file = HealthFile::new(&health, Stage::Rewire, 7, 1);
        assert_eq!((file.dor, file.failing_components.as_slice()), (false, &["Bus".to_owned()][..]));
        assert_eq!(file.check(), Ok(()));
        assert!(HealthFile { dor: true, ..file.clone() }.check().is_err());
        assert!(HealthFile { failing_components: vec![], ..file }.check().is_err());
        assert_eq!(HealthFile::fresh().check(), Ok(()));
    }

    #[test]
    fn the_closed_defaults_allow_neither_entries_nor_restarts() {
        let flags = GlobalFlags::fail_closed();
        assert_eq!((flags.check(), flags.mode), (Ok(()), Mode::SignalReadOnly));
        assert!(flags.halts().contains_key(&Latch::Failsafe));
        let heal = HealFile::fail_closed();
        assert_eq!(heal.check(), Ok(()));
        assert!(heal.cases().all(|(_, case)| case.restarts == MAX_RESTARTS));
        assert_eq!(heal.cases().count(), 7);
    }
}
