//! The seam on a real machine: the only place that calls the operating system.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this module is what the bans elsewhere point to"
)]

mod disk;
mod net;
mod process;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

pub use process::Command;

use crate::{BoxFuture, Entropy, Env, Memory, Resources, Task, Tasks, WallClock, WallTime};

/// What a process on a real machine needs to know of it.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The directory that holds the process's files; created when missing.
    pub data_dir: PathBuf,
    /// The address to listen on, e.g. `127.0.0.1`.
    pub listen_ip: String,
    /// Where a port that this process listens on really is: 8080 → 9101. A port that is not listed is itself.
    pub ports: BTreeMap<u16, u16>,
    /// Where a role name really is: `bus` → (`localhost`, 6379). A name that is not listed is resolved by the system.
    pub hosts: BTreeMap<String, (String, u16)>,
    /// How the other processes are started, by role name.
    pub commands: BTreeMap<String, Command>,
}

/// Builds the environment of a real process. Call inside a tokio runtime with I/O and time enabled.
///
/// # Errors
/// When the data directory cannot be created or signals cannot be watched.
pub fn env(config: Config) -> io::Result<Env> {
    std::fs::create_dir_all(&config.data_dir)?;
    Ok(Env {
        net: Arc::new(net::OsNet { listen_ip: config.listen_ip, ports: config.ports, hosts: config.hosts }),
        disk: Arc::new(disk::OsDisk::new(config.data_dir)),
        clock: Arc::new(OsClock),
        entropy: Arc::new(OsEntropy),
        tasks: Arc::new(OsTasks),
        processes: Arc::new(process::OsProcesses::new(config.commands)?),
        resources: Arc::new(OsResources),
    })
}

struct OsClock;

impl WallClock for OsClock {
    fn now(&self) -> WallTime {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |m| -m),
        };
        WallTime::from_micros(micros)
    }
}

struct OsEntropy;

impl Entropy for OsEntropy {
    fn bits(&self, _site: &'static str) -> u64 {
        let mut bytes = [0; 8];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(&mut bytes))
            .expect("a Unix system has /dev/urandom");
        u64::from_le_bytes(bytes)
    }
}

struct OsTasks;

impl Tasks for OsTasks {
    fn spawn(&self, _name: &'static str, future: BoxFuture<()>) -> Task {
        Task::new(tokio::spawn(future))
    }
}

struct OsResources;

impl Resources for OsResources {
    /// Resident set from `/proc/self/statm`, total memory from `/proc/meminfo` (proc(5)).
    fn memory(&self) -> io::Result<Memory> {
        let statm = std::fs::read_to_string("/proc/self/statm")?;
        let meminfo = std::fs::read_to_string("/proc/meminfo")?;
        let pages = statm.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok());
        let kilobytes = meminfo
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|word| word.parse::<u64>().ok());
        match (pages, kilobytes) {
            (Some(pages), Some(kilobytes)) => {
                Ok(Memory { used: pages * rustix::param::page_size() as u64, limit: kilobytes * 1024 })
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "/proc/self/statm or /proc/meminfo is not as in proc(5)",
            )),
        }
    }
}
