//! Auto-heal v2: what to restart, when to wait, when to give up.
//!
//! Each component is a patient of its own: OBSERVE → two consecutive failing checks → RESTART → REWIRE, which waits up to
//! 90 s for it to come back and climbs the wait ladder when it does not → after three restarts FAILSAFE. What no restart
//! can help climbs the ladder alone. An episode ends, and its counts with it, after 300 s of DOR.
//!
//! A patient that was given up stays so until a person says otherwise; the others are still healed, because exits need
//! them. Deliberately absent: how a process is restarted and what FAILSAFE does to trading.

use std::{collections::BTreeMap, fmt, time::Duration};

use tokio::time::Instant;

use super::health::{Component, Health, Remedy};

/// So many consecutive failing checks confirm a failure (auto-heal runbook, stage 1).
const CONFIRMED_BY: u8 = 2;

/// How long a restarted component may take to be healthy (auto-heal runbook, stage 2).
const VERIFY: Duration = Duration::from_secs(90);

/// The waits after which it is tried again (auto-heal runbook, stage 2).
const LADDER: [Duration; 5] = [
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(300),
];

/// So many restarts an episode may have (auto-heal runbook, stage 3).
pub const MAX_RESTARTS: u8 = 3;

/// So long DOR must hold to end an episode.
const EPISODE_ENDS_AFTER: Duration = Duration::from_secs(300);

/// The stage of the system, or of one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing is being healed.
    Observe,
    /// A component is being restarted.
    Restart,
    /// A component is waited for.
    Rewire,
    /// A component was given up; a person must act.
    Failsafe,
}

impl Stage {
    /// The runbook's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "OBSERVE",
            Self::Restart => "RESTART",
            Self::Rewire => "REWIRE",
            Self::Failsafe => "FAILSAFE",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is to be done, or has come to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Restart the component.
    Restart {
        /// Which one; it is a process.
        component: Component,
        /// The how manieth restart of the episode this is, from 1.
        attempt: u8,
    },
    /// Look at the component again after this long.
    Wait {
        /// Which one.
        component: Component,
        /// How long.
        delay: Duration,
    },
    /// The component is healthy again.
    Recovered {
        /// Which one.
        component: Component,
    },
    /// The component cannot be healed: enter FAILSAFE and notify.
    GiveUp {
        /// Which one.
        component: Component,
    },
    /// DOR held for long enough: all counts are zero again.
    EpisodeEnds,
}

/// What of a patient must survive a restart of the healer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// Restarts in this episode.
    pub restarts: u8,
    /// Waits of the ladder that were taken in this episode.
    pub waits: u8,
    /// Whether it was given up.
    pub given_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Healthy, or failing for less than two checks.
    Observed {
        failing: u8,
    },
    /// Restarted; it has until then.
    Verified {
        until: Instant,
    },
    /// Failing for a reason with this remedy; tried again then.
    Waiting {
        until: Instant,
        remedy: Remedy,
    },
    GivenUp,
}

struct Patient {
    component: Component,
    restarts: u8,
    waits: u8,
    phase: Phase,
}

/// The healer of all components.
#[derive(Default)]
pub struct Heal {
    patients: BTreeMap<Component, Patient>,
    ready_since: Option<Instant>,
}

impl Heal {
    /// Goes on with the cases of an earlier life.
    pub fn resume(cases: impl IntoIterator<Item = (Component, Case)>) -> Self {
        let patient = |(component, case): (Component, Case)| {
            let phase = if case.given_up { Phase::GivenUp } else { Phase::Observed { failing: 0 } };
            (component, Patient { component, restarts: case.restarts, waits: case.waits, phase })
        };
        Self { patients: cases.into_iter().map(patient).collect(), ready_since: None }
    }

    /// Takes note of a check; returns what is to be done now.
    pub fn step(&mut self, now: Instant, health: &Health) -> Vec<Action> {
        let mut actions = Vec::new();
        for &component in health.probes.keys() {
            let patient = self.patients.entry(component).or_insert_with(|| Patient::new(component));
            actions.extend(patient.step(now, health.remedy(component)));
        }
        if !health.dor() {
            self.ready_since = None;
        } else if now.duration_since(*self.ready_since.get_or_insert(now)) >= EPISODE_ENDS_AFTER {
            let ended =
                self.patients.values_mut().filter_map(|patient| patient.forget().then_some(())).count();
            actions.extend((ended > 0).then_some(Action::EpisodeEnds));
        }
        actions
    }

    /// When a check is due because a verification or a wait ends.
    pub fn due(&self) -> Option<Instant> {
        self.patients
            .values()
            .filter_map(|patient| match patient.phase {
                Phase::Verified { until } | Phase::Waiting { until, .. } => Some(until),
                Phase::Observed { .. } | Phase::GivenUp => None,
            })
            .min()
    }

    /// A person has cleared FAILSAFE: every count is zero, every component is observed again.
    pub fn clear(&mut self) {
        self.patients.clear();
        self.ready_since = None;
    }

    /// A person has restarted a component: it has the time that any restart has, and no restart was used up.
    pub fn restarted_by_hand(&mut self, now: Instant, component: Component) {
        let patient = self.patients.entry(component).or_insert_with(|| Patient::new(component));
        if patient.phase != Phase::GivenUp {
            patient.phase = Phase::Verified { until: now + VERIFY };
        }
    }

    /// The stage of the system: the gravest of its components.
    pub fn stage(&self) -> Stage {
        self.patients.values().map(Patient::stage).max().unwrap_or(Stage::Observe)
    }

    /// Whether a component was given up, here or in an earlier life.
    pub fn has_given_up(&self, component: Component) -> bool {
        self.patients.get(&component).is_some_and(|patient| patient.phase == Phase::GivenUp)
    }

    /// What must survive a restart of the healer: the components that are, or lately were, being healed.
    pub fn cases(&self) -> impl Iterator<Item = (Component, Case)> {
        self.patients
            .iter()
            .map(|(component, patient)| (*component, patient.case()))
            .filter(|(_, case)| *case != Case::default())
    }
}

impl Patient {
    const fn new(component: Component) -> Self {
        Self { component, restarts: 0, waits: 0, phase: Phase::Observed { failing: 0 } }
    }

    fn step(&mut self, now: Instant, failing: Option<Remedy>) -> Option<Action> {
        match (self.phase, failing) {
            (Phase::GivenUp, _) => None,
            (Phase::Observed { .. }, None) => {
                self.phase = Phase::Observed { failing: 0 };
                None
            }
            (Phase::Observed { failing }, Some(remedy)) => {
                if failing + 1 < CONFIRMED_BY {
                    self.phase = Phase::Observed { failing: failing + 1 };
                    return None;
                }
                match remedy {
                    Remedy::Restart if self.restarts == 0 => Some(self.restart(now)),
                    Remedy::Restart => Some(self.wait_or_give_up(now)),
                    Remedy::Wait => Some(self.wait(now, remedy)),
                }
            }
            (Phase::Verified { .. } | Phase::Waiting { .. }, None) => {
                self.phase = Phase::Observed { failing: 0 };
                Some(Action::Recovered { component: self.component })
            }
            (Phase::Verified { until } | Phase::Waiting { until, .. }, Some(Remedy::Wait)) => {
                if now >= until {
                    return Some(self.wait(now, Remedy::Wait));
                }
                None
            }
            (Phase::Verified { until }, Some(Remedy::Restart)) => {
                (now >= until).then(|| self.wait_or_give_up(now))
            }
            (Phase::Waiting { until, remedy: Remedy::Restart }, Some(Remedy::Restart)) => {
                (now >= until).then(|| self.restart(now))
            }
            // What could only be waited for can be helped now: one check says so, a second must confirm it.
            (Phase::Waiting { remedy: Remedy::Wait, .. }, Some(Remedy::Restart)) => {
                self.phase = Phase::Observed { failing: 1 };
                None
            }
        }
    }

    fn restart(&mut self, now: Instant) -> Action {
        self.restarts += 1;
        self.phase = Phase::Verified { until: now + VERIFY };
        Action::Restart { component: self.component, attempt: self.restarts }
    }

    fn wait_or_give_up(&mut self, now: Instant) -> Action {
        if self.restarts < MAX_RESTARTS {
            return self.wait(now, Remedy::Restart);
        }
        self.phase = Phase::GivenUp;
        Action::GiveUp { component: self.component }
    }

    fn wait(&mut self, now: Instant, remedy: Remedy) -> Action {
        let delay = LADDER[usize::from(self.waits).min(LADDER.len() - 1)];
        self.waits = self.waits.saturating_add(1);
        self.phase = Phase::Waiting { until: now + delay, remedy };
        Action::Wait { component: self.component, delay }
    }

    /// Ends the episode; whether there was one.
    fn forget(&mut self) -> bool {
        let had_one = self.restarts > 0 || self.waits > 0;
        if self.phase == Phase::GivenUp {
            return false;
        }
        (self.restarts, self.waits) = (0, 0);
        had_one
    }

    const fn stage(&self) -> Stage {
        match self.phase {
            Phase::Observed { .. } => Stage::Observe,
            Phase::Verified { .. } | Phase::Waiting { .. } => Stage::Rewire,
            Phase::GivenUp => Stage::Failsafe,
        }
    }

    fn case(&self) -> Case {
        Case { restarts: self.restarts, waits: self.waits, given_up: self.phase == Phase::GivenUp }
    }
}

#[cfg(test)]
mod tests;
