//! How a run ended.

use std::fmt;

use crate::{time::SimTime, trace::Event};

/// The judgement of one run. Only [`Verdict::Held`] is a success.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Every check held and every fault had an effect.
    Held,
    /// An invariant was broken.
    Violated(Box<Violation>),
    /// Something that the scenario is about never happened, so that its checks have shown nothing.
    Vacuous {
        /// What never happened: faults without effect, and events that were to be reached.
        missing: Vec<String>,
    },
    /// Two runs of one seed and plan differ.
    Diverged {
        /// The first event at which they differ, as either run tells it.
        first: String,
        /// The same place in the other run.
        second: String,
    },
    /// The run does not come to an end.
    Stalled {
        /// What ran out: events or wall-clock time.
        reason: String,
    },
    /// A process panicked.
    Panicked {
        /// On which host.
        host: String,
        /// In which task.
        task: String,
        /// What it said, and where.
        message: String,
    },
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The invariant, in words.
    pub invariant: String,
    /// When it was found broken.
    pub at: SimTime,
    /// The event at which it broke; none when a deadline passed.
    pub event: Option<Event>,
    /// What was seen instead.
    pub seen: String,
}

impl Verdict {
    /// Whether the run is a success.
    pub fn held(&self) -> bool {
        matches!(self, Self::Held)
    }

    /// The verdict in one word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Violated(_) => "violated",
            Self::Vacuous { .. } => "vacuous",
            Self::Diverged { .. } => "diverged",
            Self::Stalled { .. } => "stalled",
            Self::Panicked { .. } => "panicked",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held => f.write_str("held"),
            Self::Violated(violation) => {
                write!(f, "violated at {}: {} – {}", violation.at, violation.invariant, violation.seen)
            }
            Self::Vacuous { missing } => write!(f, "vacuous: never happened: {}", missing.join("; ")),
            Self::Diverged { first, second } => write!(f, "diverged: `{first}` against `{second}`"),
            Self::Stalled { reason } => write!(f, "stalled: {reason}"),
            Self::Panicked { host, task, message } => write!(f, "panicked: {host}, task {task}: {message}"),
        }
    }
}
