//! Records what happens, hashes it, counts it, and has it checked at once.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::time::Instant;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::{
    check::{Checks, Exhibits, View},
    signal::Signal,
    time::SimTime,
    trace::{Event, Kind, Value, WORLD},
    verdict::{Verdict, Violation},
};

thread_local! {
    /// The host whose code this thread runs, by its number; hosts are numbered from 0.
    static CURRENT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// While it lives, what this thread reports is reported by the host.
pub(crate) struct Entered(Option<usize>);

pub(crate) fn enter(host: usize) -> Entered {
    Entered(CURRENT.replace(Some(host)))
}

/// The number of the host whose code this thread runs.
pub(crate) fn current_host() -> Option<usize> {
    CURRENT.try_with(Cell::get).ok().flatten()
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// How many bytes are gathered before they enter the hash.
const HASHED_AT_ONCE: usize = 4_096;

/// What is kept of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    /// Facts, details and faults; packets and disk writes enter the hash only.
    #[default]
    Story,
    /// Packets and disk writes, too: to find where two runs part.
    Everything,
}

pub(crate) struct Recorder {
    names: Vec<Arc<str>>,
    world: Arc<str>,
    recording: Recording,
    start: OnceLock<Instant>,
    signal: Arc<Signal>,
    /// There is a verdict, or a fault to begin: the driver must look.
    attention: AtomicBool,
    inner: Mutex<Inner>,
}

struct Inner {
    events: Vec<Event>,
    hash: Xxh3,
    /// What is still to enter the hash.
    unhashed: Vec<u8>,
    checks: Checks,
    exhibits: Arc<Exhibits>,
    counts: BTreeMap<&'static str, u64>,
    triggers: Vec<Trigger>,
    fired: Vec<usize>,
    bitten: BTreeSet<usize>,
    faults: Vec<String>,
    verdict: Option<Verdict>,
    /// How many events there were when the checks last looked at everything.
    looked: Option<usize>,
}

/// Waits for the n-th event of a name.
struct Trigger {
    event: String,
    nth: u64,
    entry: usize,
}

impl Recorder {
    pub(crate) fn new(names: Vec<Arc<str>>, recording: Recording, signal: Arc<Signal>) -> Arc<Self> {
        Arc::new(Self {
            names,
            world: WORLD.into(),
            recording,
            start: OnceLock::new(),
            signal,
            attention: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                events: Vec::new(),
                hash: Xxh3::new(),
                unhashed: Vec::with_capacity(2 * HASHED_AT_ONCE),
                checks: Checks::default(),
                exhibits: Arc::default(),
                counts: BTreeMap::new(),
                triggers: Vec::new(),
                fired: Vec::new(),
                bitten: BTreeSet::new(),
                faults: Vec::new(),
                verdict: None,
                looked: None,
            }),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("a check panicked: it must return what it saw instead")
    }

    /// Starts the clock; call once, inside the runtime.
    pub(crate) fn start(&self) {
        self.start.set(Instant::now()).expect("a run starts once");
    }

    pub(crate) fn now(&self) -> SimTime {
        self.start.get().map_or(SimTime::ZERO, |start| SimTime::after(start.elapsed()))
    }

    /// The moment of the runtime's clock that is this time of the run.
    pub(crate) fn instant(&self, time: SimTime) -> Instant {
        *self.start.get().expect("the run has started") + time.elapsed()
    }

    pub(crate) fn set_checks(&self, checks: Checks, exhibits: Arc<Exhibits>, faults: Vec<String>) {
        let mut inner = self.inner();
        inner.checks = checks;
        inner.exhibits = exhibits;
        inner.faults = faults;
    }

    pub(crate) fn watch(&self, event: &str, nth: u64, entry: usize) {
        self.inner().triggers.push(Trigger { event: event.into(), nth, entry });
    }

    fn call_the_driver(&self) {
        self.attention.store(true, Ordering::Relaxed);
        self.signal.raise();
    }

    /// The plan entries whose event has occurred since the last call.
    pub(crate) fn take_fired(&self) -> Vec<usize> {
        if !self.attention.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut inner = self.inner();
        self.attention.store(inner.verdict.is_some(), Ordering::Relaxed);
        std::mem::take(&mut inner.fired)
    }

    /// An event that the code of a host has reported.
    pub(crate) fn service_event(&self, name: &'static str, kind: Kind, fields: Vec<(&'static str, Value)>) {
        let host = current_host().map_or(&self.world, |host| &self.names[host]);
        self.record(Event { at: self.now(), host: host.clone(), name, kind, fields });
    }

    /// An event of the simulator's own.
    pub(crate) fn engine_event(
        &self,
        host: Option<&Arc<str>>,
        name: &'static str,
        fields: Vec<(&'static str, Value)>,
    ) {
        let host = host.unwrap_or(&self.world).clone();
        self.record(Event { at: self.now(), host, name, kind: Kind::Engine, fields });
    }

    fn record(&self, event: Event) {
        let mut inner = self.inner();
        if inner.verdict.is_some() {
            return;
        }
        inner.digest(&event);
        let name = event.name;
        inner.events.push(event);
        let occurrence = {
            let count = inner.counts.entry(name).or_default();
            *count += 1;
            *count
        };
        inner.fire(name, occurrence);
        inner.check(self.now());
        if inner.verdict.is_some() || !inner.fired.is_empty() {
            self.call_the_driver();
        }
    }

    /// Something that happens too often to keep, but must be the same in two runs: it enters the hash.
    pub(crate) fn note(&self, name: &'static str, host: &Arc<str>, numbers: [u64; 2], content: &[u8]) {
        let at = self.now();
        let digest = xxh3_64(content);
        let mut inner = self.inner();
        inner.fold(at, host, numbers, digest);
        if self.recording == Recording::Everything && inner.verdict.is_none() {
            let fields = vec![("a", numbers[0].into()), ("b", numbers[1].into()), ("content", digest.into())];
            inner.events.push(Event { at, host: host.clone(), name, kind: Kind::Engine, fields });
        }
    }

    /// A fault of the plan has changed an outcome.
    pub(crate) fn bite(&self, entry: usize) {
        let fault = {
            let mut inner = self.inner();
            if !inner.bitten.insert(entry) {
                return;
            }
            inner.faults.get(entry).cloned().unwrap_or_default()
        };
        self.engine_event(None, "fault.bit", vec![("fault", fault.into())]);
    }

    /// Ends the run with this verdict, unless it has one already.
    pub(crate) fn conclude(&self, verdict: Verdict) {
        self.inner().verdict.get_or_insert(verdict);
        self.call_the_driver();
    }

    pub(crate) fn concluded(&self) -> bool {
        self.attention.load(Ordering::Relaxed) && self.inner().verdict.is_some()
    }

    /// After the healing: the verdict as far as it is clear.
    pub(crate) fn judge(&self, since_healing: std::time::Duration) -> bool {
        let now = self.now();
        let mut inner = self.inner();
        inner.look(now);
        if inner.checks.overdue(since_healing).is_some() {
            // A platter changes without an event.
            inner.looked = None;
            inner.look(now);
        }
        if inner.verdict.is_none()
            && let Some(late) = inner.checks.overdue(since_healing)
        {
            let (invariant, seen) = (late.words.clone(), late.seen.clone());
            inner.verdict =
                Some(Verdict::Violated(Box::new(Violation { invariant, at: now, event: None, seen })));
            self.attention.store(true, Ordering::Relaxed);
        }
        inner.verdict.is_some() || inner.checks.all_satisfied()
    }

    /// How long after the healing the last deadline passes.
    pub(crate) fn patience(&self) -> std::time::Duration {
        self.inner().checks.patience()
    }

    /// Ends the recording: the verdict, the hash of everything, and the events.
    pub(crate) fn finish(&self) -> (Verdict, u64, Vec<Event>) {
        let mut inner = self.inner();
        let verdict = inner.verdict.take().unwrap_or_else(|| inner.final_verdict());
        inner.verdict = Some(verdict.clone());
        // The disks on exhibit report here: without this they and the recorder would keep each other for ever.
        inner.exhibits = Arc::default();
        inner.checks = Checks::default();
        (verdict, inner.final_hash(), std::mem::take(&mut inner.events))
    }
}

impl Inner {
    fn fold(&mut self, at: SimTime, host: &str, numbers: [u64; 2], digest: u64) {
        for number in [at.elapsed().as_nanos() as u64, numbers[0], numbers[1], digest] {
            self.unhashed.extend_from_slice(&number.to_le_bytes());
        }
        self.unhashed.extend_from_slice(host.as_bytes());
        self.hash_if_enough();
    }

    fn digest(&mut self, event: &Event) {
        self.unhashed.extend_from_slice(&(event.at.elapsed().as_nanos() as u64).to_le_bytes());
        for text in [&*event.host, event.name] {
            self.unhashed.extend_from_slice(text.as_bytes());
            self.unhashed.push(0);
        }
        for (name, value) in &event.fields {
            self.unhashed.extend_from_slice(name.as_bytes());
            match value {
                Value::Bool(value) => self.unhashed.push(u8::from(*value)),
                Value::Int(value) => self.unhashed.extend_from_slice(&value.to_le_bytes()),
                Value::Uint(value) => self.unhashed.extend_from_slice(&value.to_le_bytes()),
                Value::Text(value) => self.unhashed.extend_from_slice(value.as_bytes()),
            }
            self.unhashed.push(0);
        }
        self.hash_if_enough();
    }

    fn hash_if_enough(&mut self) {
        if self.unhashed.len() >= HASHED_AT_ONCE {
            self.hash.update(&self.unhashed);
            self.unhashed.clear();
        }
    }

    fn final_hash(&mut self) -> u64 {
        self.hash.update(&self.unhashed);
        self.unhashed.clear();
        self.hash.digest()
    }

    fn fire(&mut self, name: &str, occurrence: u64) {
        let fired = &mut self.fired;
        self.triggers.retain(|trigger| {
            let hit = trigger.nth == occurrence && trigger.event == name;
            if hit {
                fired.push(trigger.entry);
            }
            !hit
        });
    }

    fn check(&mut self, now: SimTime) {
        let view = View { now, events: &self.events, exhibits: &self.exhibits };
        if let Some((invariant, seen)) = self.checks.observe(&view) {
            let event = self.events.last().cloned();
            self.verdict = Some(Verdict::Violated(Box::new(Violation { invariant, at: now, event, seen })));
        }
    }

    /// Asks what must come true, if anything has happened since the last time.
    fn look(&mut self, now: SimTime) {
        if self.looked.replace(self.events.len()) == Some(self.events.len()) {
            return;
        }
        let view = View { now, events: &self.events, exhibits: &self.exhibits };
        self.checks.look(&view);
    }

    fn final_verdict(&self) -> Verdict {
        let bitten = |name: &String| {
            self.bitten
                .iter()
                .any(|entry| self.faults.get(*entry).is_some_and(|fault| fault.starts_with(name.as_str())))
        };
        let idle = self.faults.iter().enumerate().filter(|(entry, _)| !self.bitten.contains(entry));
        let mut missing: Vec<String> = idle.map(|(_, fault)| format!("an effect of `{fault}`")).collect();
        let unreached = self
            .checks
            .reached
            .iter()
            .filter(|name| !self.counts.contains_key(name.as_str()) && !bitten(name));
        missing.extend(unreached.cloned());
        if missing.is_empty() { Verdict::Held } else { Verdict::Vacuous { missing } }
    }
}
