//! What must hold, checked while the run goes on.
//!
//! `always` looks at every event the moment it happens, before anything else can happen. `eventually` must come true
//! within a span of the healing. `reached` must have happened at all, or the run has shown nothing.

use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    sync::Arc,
    time::Duration,
};

use crate::{disk::SimDisk, time::SimTime, trace::Event};

/// What a check can see besides the event: the past, the platters, and what the scenario has published.
pub struct View<'a> {
    pub(crate) now: SimTime,
    pub(crate) events: &'a [Event],
    pub(crate) exhibits: &'a Exhibits,
}

impl View<'_> {
    /// The time.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Everything that has happened, the current event last.
    pub fn events(&self) -> &[Event] {
        self.events
    }

    /// The events with this name, in order.
    pub fn named<'b>(&'b self, name: &'b str) -> impl DoubleEndedIterator<Item = &'b Event> {
        self.events.iter().filter(move |event| event.name == name)
    }

    /// The hosts of the world, sorted by name.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.exhibits.disks.keys().map(|host| &**host)
    }

    /// Hands the durable content of a file to `look`: what a power loss at this moment would leave, whatever the process
    /// claims. `None` when the file would be gone.
    ///
    /// # Panics
    /// When there is no such host: a check that looks at nothing could not fail.
    pub fn durable<T>(&self, host: &str, path: &str, look: impl FnOnce(Option<&[u8]>) -> T) -> T {
        let disk = self.exhibits.disks.get(host).unwrap_or_else(|| panic!("no host is called {host:?}"));
        disk.durable(path, look)
    }

    /// What the scenario's setup has published with this type.
    ///
    /// # Panics
    /// When it has published none: a check that looks at nothing could not fail.
    pub fn exhibit<T: Any + Send + Sync>(&self) -> &T {
        let name = std::any::type_name::<T>();
        let exhibit = self.exhibits.published.get(&TypeId::of::<T>());
        let exhibit = exhibit.unwrap_or_else(|| panic!("the setup has published no {name}"));
        exhibit.downcast_ref().expect("the map is keyed by the value's type")
    }
}

#[derive(Default)]
pub(crate) struct Exhibits {
    pub(crate) disks: BTreeMap<Arc<str>, Arc<SimDisk>>,
    pub(crate) published: BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

type Observe = Box<dyn FnMut(&Event, &View<'_>) -> Result<(), String> + Send>;
type Predicate = Box<dyn FnMut(&View<'_>) -> Result<(), String> + Send>;

/// Something that must hold at every event.
pub struct Invariant {
    pub(crate) words: String,
    observe: Observe,
}

/// An invariant in words, and the function that finds it broken: it returns what it saw instead.
pub fn invariant(
    words: impl Into<String>,
    observe: impl FnMut(&Event, &View<'_>) -> Result<(), String> + Send + 'static,
) -> Invariant {
    Invariant { words: words.into(), observe: Box::new(observe) }
}

pub(crate) struct Eventually {
    pub(crate) words: String,
    pub(crate) within: Duration,
    pub(crate) satisfied: bool,
    /// What the predicate saw when it was last asked.
    pub(crate) seen: String,
    predicate: Predicate,
}

/// The checks of one run.
#[derive(Default)]
pub struct Checks {
    pub(crate) always: Vec<Invariant>,
    pub(crate) eventually: Vec<Eventually>,
    pub(crate) reached: Vec<String>,
}

impl Checks {
    /// Must hold at every event.
    pub fn always(&mut self, invariant: Invariant) {
        self.always.push(invariant);
    }

    /// Must come true no later than `within` after the healing, the end of all faults. `predicate` is asked from the
    /// healing on whenever something has happened, sees the whole run, and returns what it saw instead; once true, it is
    /// not asked again.
    pub fn eventually(
        &mut self,
        words: impl Into<String>,
        within: Duration,
        predicate: impl FnMut(&View<'_>) -> Result<(), String> + Send + 'static,
    ) {
        let predicate = Box::new(predicate);
        self.eventually.push(Eventually {
            words: words.into(),
            within,
            satisfied: false,
            seen: String::new(),
            predicate,
        });
    }

    /// An event with this name, or an effect of the fault with this name (`disk full`), must occur.
    pub fn reached(&mut self, name: impl Into<String>) {
        self.reached.push(name.into());
    }

    /// The first invariant that the last event of the view breaks, and what was seen.
    pub(crate) fn observe(&mut self, view: &View<'_>) -> Option<(String, String)> {
        let event = view.events.last()?;
        self.always
            .iter_mut()
            .find_map(|check| (check.observe)(event, view).err().map(|seen| (check.words.clone(), seen)))
    }

    /// Asks what is not yet true.
    pub(crate) fn look(&mut self, view: &View<'_>) {
        for check in self.eventually.iter_mut().filter(|check| !check.satisfied) {
            match (check.predicate)(view) {
                Ok(()) => check.satisfied = true,
                Err(seen) => check.seen = seen,
            }
        }
    }

    /// The first check whose time is over.
    pub(crate) fn overdue(&self, since_healing: Duration) -> Option<&Eventually> {
        self.eventually.iter().find(|check| !check.satisfied && since_healing >= check.within)
    }

    pub(crate) fn all_satisfied(&self) -> bool {
        self.eventually.iter().all(|check| check.satisfied)
    }

    /// How long after the healing the last deadline passes.
    pub(crate) fn patience(&self) -> Duration {
        self.eventually.iter().map(|check| check.within).max().unwrap_or_default()
    }
}
