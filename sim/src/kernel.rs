//! What all hosts of one run share.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use faults::Port;
use tokio::sync::oneshot;

use crate::{draw::Draws, host::Host, net::Fabric, recorder::Recorder, signal::Signal, verdict::Verdict};

/// After how many polls the wall clock is looked at again.
const WATCHDOG_STRIDE: u64 = 4_096;

pub(crate) struct Kernel {
    pub(crate) draws: Arc<Draws>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) signal: Arc<Signal>,
    pub(crate) hosts: Vec<Arc<Host>>,
    pub(crate) fabric: Mutex<Fabric>,
    pub(crate) commands: Mutex<Vec<Command>>,
    pub(crate) spent: AtomicU64,
    pub(crate) limits: Limits,
    /// What the servers on some hosts offer to break, by host.
    pub(crate) peers: BTreeMap<String, Arc<dyn Port>>,
    pub(crate) started: std::time::Instant,
}

/// What a run may use up before it is called stalled.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Steps: polls of tasks.
    pub steps: u64,
    /// Wall-clock time of the machine that simulates.
    pub wall: Duration,
}

impl Default for Limits {
    /// A run of a simulated day takes some 10⁸ steps; a minute is a hundred times what the longest sweep scenario takes.
    fn default() -> Self {
        Self { steps: 2_000_000_000, wall: Duration::from_secs(60) }
    }
}

/// What only the driver may do, asked for by a process.
pub(crate) enum Command {
    /// Starts a host's process.
    Start { host: usize, done: oneshot::Sender<()> },
    /// Asks a host's process to end.
    Stop { host: usize },
    /// Ends a host's process.
    Kill { host: usize, done: oneshot::Sender<()> },
    /// Takes away what an earlier listener has left on a port.
    Reap { host: usize, port: u16, done: oneshot::Sender<()> },
}

impl Kernel {
    pub(crate) fn host(&self, name: &str) -> Option<&Arc<Host>> {
        self.hosts.iter().find(|host| &*host.name == name)
    }

    pub(crate) fn ask(&self, command: Command) {
        self.commands.lock().expect("pushing does not panic").push(command);
        self.signal.raise();
    }

    /// Accounts for one poll; false when the run is over.
    pub(crate) fn spend(&self) -> bool {
        let spent = self.spent.fetch_add(1, Ordering::Relaxed);
        if spent >= self.limits.steps {
            let reason = format!("{} steps and no end", self.limits.steps);
            self.recorder.conclude(Verdict::Stalled { reason });
            return false;
        }
        if spent.is_multiple_of(WATCHDOG_STRIDE) && self.started.elapsed() > self.limits.wall {
            let reason = format!("{:?} of wall-clock time and no end", self.limits.wall);
            self.recorder.conclude(Verdict::Stalled { reason });
            return false;
        }
        true
    }
}
