//! What the emergency exit must not forget in a crash.

use std::collections::VecDeque;

use env::WallTime;
use serde::{Deserialize, Serialize};

use crate::{
    core::{
        Handled, PanicEvent,
        emergency::{Flattened, Progress},
    },
    state::State,
};

/// How many ended events may wait for the ledger; each is a minute's work at least.
const OWED: usize = 64;

/// The state file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// The bus's id of the last processed entry; none before the first.
    pub(super) cursor: Option<String>,
    /// The events that were carried out.
    pub(super) handled: Handled,
    /// The one that is being carried out.
    pub(super) under_way: Option<Progress>,
    /// How that one ended, if all that is left is to say so.
    pub(super) ended: Option<Ended>,
    /// What the ledger does not know yet.
    pub(super) owed: VecDeque<Owed>,
}

/// The end of an emergency exit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    /// What became of the positions.
    pub(super) flattened: Flattened,
    /// How long it took.
    pub(super) took_ms: u64,
}

/// A carried out event that is to be written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owed {
    pub(super) event: PanicEvent,
    pub(super) started_ms: i64,
    pub(super) ended: Ended,
}

impl Memory {
    /// The event that was under way is over, and said to be so.
    pub(super) fn end(&mut self, event: PanicEvent, started: WallTime, ended: Ended) {
        self.handled.note(event.event_id.clone());
        (self.under_way, self.ended) = (None, None);
        self.owed.push_back(Owed { event, started_ms: started.as_millis(), ended });
        if self.owed.len() > OWED {
            self.owed.pop_front();
        }
    }
}

impl State for Memory {
    const PATH: &'static str = "shared_data/emergency_exit.json";
    const SCHEMA: u32 = 1;

    fn fresh() -> Self {
        Self::default()
    }

    /// Nothing is known to have been handled but what the bus says: an event that still stands there is carried out again,
    /// which finds the account flat.
    fn fail_closed() -> Self {
        Self::default()
    }
}
