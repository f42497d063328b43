//! The heartbeat of a process on the bus, and the readiness that goes with it.
//!
//! Deliberately absent: who reads it. Its time stamp is for people; readers measure its age by when they saw it change.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use env::{Env, WallTime, fact};
use redis::Pipeline;
use serde_json::{Map, Value};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    clients::bus::Bus,
    core::pressure::{Change, Pressure},
    status::{self, Status},
    streams,
};

/// How often it is written. A little less than each second: what it confirms holds for one, and a round trip comes on top.
pub(super) const EVERY: Duration = Duration::from_millis(800);

/// For how long the bus keeps a heartbeat whose writer is gone.
const KEPT: Duration = Duration::from_secs(60);

/// A worker that has not got on for this long does not beat: twice the longest wait of a read for new entries.
const IDLE: Duration = Duration::from_secs(10);

/// The condition that this process can reach the bus.
pub(super) const BUS: &str = "bus";

/// Beats for as long as the process lives. `describe` is asked each time, and withholds the beat with `None`: a process
/// that does not get on is not to look alive.
pub(super) async fn beat(
    env: Env,
    process: String,
    status: Status,
    mut describe: impl FnMut() -> Option<Map<String, Value>> + Send,
) {
    status.declare(BUS);
    let key = streams::heartbeat(&process);
    let mut bus = Bus::for_commands(env.clone(), "heartbeat");
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(detail) = describe() else { continue };
        let mut set = Pipeline::with_capacity(1);
        set.cmd("SET")
            .arg(&key)
            .arg(document(detail, env.clock.now()))
            .arg("PX")
            .arg(KEPT.as_millis() as u64);
        match bus.ask_all(&set).await {
            Ok(_) => status.confirm(BUS),
            Err(error) => status.deny(BUS, error.to_string()),
        }
    }
}

fn document(mut detail: Map<String, Value>, now: WallTime) -> String {
    detail.insert("ts".into(), now.as_millis().into());
    Value::Object(detail).to_string()
}

/// What a worker and its heartbeat tell each other. Cheap to clone; clones show the same.
#[derive(Clone)]
pub(super) struct Work(Arc<Mutex<Shared>>);

struct Shared {
    went_on: Instant,
    pressure: Pressure,
}

impl Work {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker has finished a round.
    pub(super) fn goes_on(&self) {
        self.shared().went_on = Instant::now();
    }

    /// Whether memory is short, so that the worker should do without what it can do without.
    pub(super) fn is_pressed(&self) -> bool {
        self.shared().pressure.sheds()
    }

    fn describe(&self, env: &Env) -> Option<Map<String, Value>> {
        let mut shared = self.shared();
        let change = env.resources.memory().ok().and_then(|memory| shared.pressure.observe(memory.percent()));
        match change {
            Some(Change::Shed) => fact!("pressure.sheds"),
            Some(Change::Relax) => fact!("pressure.relaxes"),
            None => {}
        }
        (shared.went_on.elapsed() < IDLE).then(Map::new)
    }
}

/// Serves the status of a worker without conditions of its own, and beats as long as it gets on.
pub(super) fn of_worker(env: &Env, process: &'static str) -> Work {
    let status = Status::default();
    env.spawn("worker.status", status::serve(env.clone(), status::PORT, status.clone(), Arc::new(())));
    let work = Work(Arc::new(Mutex::new(Shared { went_on: Instant::now(), pressure: Pressure::default() })));
    let (told, gauges) = (work.clone(), env.clone());
    env.spawn(
        "worker.heartbeat",
        beat(env.clone(), process.to_owned(), status, move || told.describe(&gauges)),
    );
    work
}
