//! One simulated machine: its process, power, wall clock and gauges.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};

use env::{BoxFuture, Env, Memory, WallTime};
use tokio::sync::watch;
use turmoil_net::HostId;

use crate::{
    disk::SimDisk,
    recorder::{Recorder, enter},
    task::TaskSlot,
    time::SimTime,
};

/// What a host's process runs: called anew at every start.
pub(crate) type Boot = Arc<dyn Fn(Env) -> BoxFuture<()> + Send + Sync>;

/// 2026-01-05T00:00:00Z, a Monday: where every wall clock stands at the start of a run.
pub(crate) const EPOCH: WallTime = WallTime::from_millis(1_767_571_200_000);

/// Memory of a host that no fault presses: 64 MiB of 1 GiB.
const CALM_MEMORY: Memory = Memory { used: 64 << 20, limit: 1 << 30 };

pub(crate) struct Host {
    pub(crate) index: usize,
    pub(crate) name: Arc<str>,
    pub(crate) ip: IpAddr,
    pub(crate) net: HostId,
    pub(crate) boot: Boot,
    pub(crate) disk: Arc<SimDisk>,
    pub(crate) recorder: Arc<Recorder>,
    /// Set while something stands between the scheduler and the process: the slow path of a poll.
    pub(crate) impeded: AtomicBool,
    pub(crate) state: Mutex<HostState>,
}

pub(crate) struct HostState {
    /// The machine has power. Without it there is silence.
    pub(crate) powered: bool,
    /// Counts how often the machine got power; connections belong to one boot.
    pub(crate) boots: u64,
    pub(crate) process: Option<Process>,
    /// Pause faults, by plan entry.
    pub(crate) pauses: Vec<usize>,
    /// Slow faults, by plan entry, with the range of the delay of each step.
    pub(crate) slowness: Vec<(usize, Duration, Duration)>,
    /// Tasks that wait for the end of a pause.
    pub(crate) parked: Vec<Waker>,
    clock: Clock,
    pub(crate) memory: Memory,
    /// Memory faults, by plan entry, newest last.
    pub(crate) pressures: Vec<(usize, u64)>,
}

pub(crate) struct Process {
    pub(crate) tasks: BTreeMap<u64, Arc<TaskSlot>>,
    pub(crate) next_task: u64,
    pub(crate) stop: watch::Sender<bool>,
}

#[derive(Clone, Copy, Default)]
struct Clock {
    /// How far it was off at `since`, in microseconds.
    offset: i64,
    since: SimTime,
    /// Parts per million too fast.
    ppm: i64,
}

impl Clock {
    fn offset_at(self, now: SimTime) -> i64 {
        let elapsed = i64::try_from(now.since(self.since).as_micros()).unwrap_or(i64::MAX);
        self.offset + elapsed.saturating_mul(self.ppm) / 1_000_000
    }
}

impl HostState {
    pub(crate) fn new() -> Self {
        Self {
            powered: true,
            boots: 0,
            process: None,
            pauses: Vec::new(),
            slowness: Vec::new(),
            parked: Vec::new(),
            clock: Clock::default(),
            memory: CALM_MEMORY,
            pressures: Vec::new(),
        }
    }

    pub(crate) fn memory(&self) -> Memory {
        match self.pressures.last() {
            Some((_, percent)) => Memory { used: self.memory.limit / 100 * percent, ..self.memory },
            None => self.memory,
        }
    }
}

impl Host {
    pub(crate) fn state(&self) -> MutexGuard<'_, HostState> {
        self.state.lock().expect("no code of a host runs under its lock")
    }

    pub(crate) fn wall(&self) -> WallTime {
        let now = self.recorder.now();
        let true_micros = EPOCH.as_micros() + i64::try_from(now.elapsed().as_micros()).unwrap_or(i64::MAX);
        WallTime::from_micros(true_micros + self.state().clock.offset_at(now))
    }

    pub(crate) fn step_clock(&self, millis: i64) {
        let now = self.recorder.now();
        let mut state = self.state();
        state.clock =
            Clock { offset: state.clock.offset_at(now) + millis * 1_000, since: now, ..state.clock };
    }

    pub(crate) fn drift_clock(&self, ppm: i64) {
        let now = self.recorder.now();
        let mut state = self.state();
        state.clock = Clock { offset: state.clock.offset_at(now), since: now, ppm: state.clock.ppm + ppm };
    }

    /// Whether a process runs.
    pub(crate) fn runs(&self) -> bool {
        self.state().process.is_some()
    }

    /// Ends the process: every future is dropped, in the order of the tasks' start, as the process.
    pub(crate) fn drop_process(&self) -> bool {
        let Some(process) = self.state().process.take() else {
            return false;
        };
        let _entered = enter(self.index);
        for slot in process.tasks.into_values() {
            slot.discard();
        }
        true
    }

    /// Notes whether the scheduler must look before it polls, and lets waiting tasks look again.
    pub(crate) fn review_impediments(&self) {
        let parked = {
            let mut state = self.state();
            self.impeded.store(!state.pauses.is_empty() || !state.slowness.is_empty(), Ordering::Relaxed);
            if state.pauses.is_empty() { std::mem::take(&mut state.parked) } else { Vec::new() }
        };
        parked.into_iter().for_each(Waker::wake);
    }
}
