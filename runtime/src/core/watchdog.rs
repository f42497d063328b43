//! Whether the exit brain decides: ARMED → its heartbeat is older than 5.0 s → one panic event → LATCHED until somebody resets
//! the system by hand.
//!
//! There is no grace period. An age is measured on the clock of the watchdog, from when it first saw the newest heartbeat; a
//! bus that cannot be read says nothing of the exit brain, and the age begins anew when the bus is back. Latched means that
//! the panic event is out: until the emergency exit has halted the system the event is watched, because a bus can lose it;
//! when that halt is gone, somebody has cleared it, and the watchdog is armed at once. Deliberately absent: any opinion on
//! *why* there is no heartbeat.

use std::time::Duration;

use tokio::time::Instant;

use super::EventId;

/// A heartbeat may not be older (emergency exit runbook, "Pass/Fail Criteria": "Watchdog threshold is 5s").
pub const HEARTBEAT_LIMIT: Duration = Duration::from_secs(5);

/// How often the bus is looked at; half of the 0.5 s that the runbook grants on top of the threshold, because a heartbeat may
/// be seen that much late.
pub const POLL: Duration = Duration::from_millis(250);

/// What the watchdog wants to know of the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The id of the newest heartbeat.
    Heartbeat,
    /// What has become of the newest panic.
    Panic,
}

/// What a look at the bus has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The bus did not answer, or refused.
    Nothing,
    /// The bus's id of the newest heartbeat, if there is one.
    Heartbeat(Option<String>),
    /// The newest panic event of a watchdog, whether its completion is the newest, and whether the system is halted by a panic.
    Panic {
        /// Its id.
        event: Option<EventId>,
        /// The event that was completed last.
        completed: Option<EventId>,
        /// Whether the halt of a panic stands.
        halted: bool,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Publish a panic event for a reason, under a new id, and say which: [`Watchdog::published`].
    Publish {
        /// As in the runbook: `EXIT_BRAIN_HEARTBEAT_MISSING_(5.1S_>_5.0S)`.
        reason: String,
        /// How old the newest heartbeat is.
        age: Duration,
    },
    /// The bus has lost the event: publish it again under its id.
    Restore(EventId),
    /// The panic is over: somebody has cleared its halt.
    Rearmed,
}

/// The state machine.
#[derive(Clone, Debug)]
pub struct Watchdog {
    state: State,
    /// The newest heartbeat that was seen.
    newest: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// What an earlier life has left is not known yet.
    Starting,
    /// The bus cannot be read.
    Blind,
    /// No newer heartbeat since then.
    Armed(Instant),
    /// The event is being published.
    Publishing,
    /// The event is out; nobody has halted the system yet.
    Awaiting(EventId),
    /// The system is halted.
    Halted,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self { state: State::Starting, newest: None }
    }
}

impl Watchdog {
    /// What to ask the bus next.
    pub const fn question(&self) -> Question {
        match self.state {
            State::Blind | State::Armed(_) | State::Publishing => Question::Heartbeat,
            State::Starting | State::Awaiting(_) | State::Halted => Question::Panic,
        }
    }

    /// When to look next: at the poll, or as soon as the newest heartbeat will be too old.
    pub fn next_look(&self, now: Instant) -> Instant {
        let poll = now + POLL;
        match self.state {
            State::Armed(since) => poll.min(since + HEARTBEAT_LIMIT + Duration::from_millis(1)).max(now),
            _ => poll,
        }
    }

    /// Whether the watchdog watches: neither blind nor latched.
    pub const fn is_armed(&self) -> bool {
        matches!(self.state, State::Armed(_))
    }

    /// Whether a panic is under way or its halt stands.
    pub const fn is_latched(&self) -> bool {
        matches!(self.state, State::Publishing | State::Awaiting(_) | State::Halted)
    }

    /// Takes note of what the bus has shown at `now`, the moment of its answer.
    pub fn look(&mut self, now: Instant, sight: Sight) -> Option<Alarm> {
        match sight {
            Sight::Nothing => {
                if matches!(self.state, State::Armed(_)) {
                    self.state = State::Blind;
                }
                None
            }
            Sight::Heartbeat(newest) => self.heartbeat(now, newest),
            Sight::Panic { event, completed, halted } => self.panic(now, event, completed, halted),
        }
    }

    /// The panic event is on the bus.
    pub fn published(&mut self, event: EventId) {
        self.state = State::Awaiting(event);
    }

    fn heartbeat(&mut self, now: Instant, newest: Option<String>) -> Option<Alarm> {
        let fresh = newest.is_some() && newest != self.newest;
        if fresh {
            self.newest = newest;
        }
        let since = match self.state {
            State::Blind => now,
            State::Armed(_) if fresh => now,
            State::Armed(since) => since,
            State::Starting | State::Publishing | State::Awaiting(_) | State::Halted => return None,
        };
        self.state = State::Armed(since);
        let age = now.duration_since(since);
        (age > HEARTBEAT_LIMIT).then(|| {
            self.state = State::Publishing;
            Alarm::Publish { reason: reason(age), age }
        })
    }

    fn panic(
        &mut self,
        now: Instant,
        event: Option<EventId>,
        completed: Option<EventId>,
        halted: bool,
    ) -> Option<Alarm> {
        let (state, alarm) = match (&self.state, event) {
            (State::Starting | State::Awaiting(_) | State::Halted, _) if halted => (State::Halted, None),
            (State::Starting, Some(event)) if completed.as_ref() != Some(&event) => {
                (State::Awaiting(event), None)
            }
            (State::Starting, _) => (State::Armed(now), None),
            (State::Awaiting(ours), event) if event.as_ref() != Some(ours) => {
                return Some(Alarm::Restore(ours.clone()));
            }
            (State::Halted, _) => (State::Armed(now), Some(Alarm::Rearmed)),
            (State::Blind | State::Armed(_) | State::Publishing | State::Awaiting(_), _) => return None,
        };
        self.state = state;
        alarm
    }
}

/// The runbook's words; the age is rounded up, for it is greater than the limit.
fn reason(age: Duration) -> String {
    let tenths = age.as_millis().div_ceil(100);
    let limit = HEARTBEAT_LIMIT.as_millis() / 100;
    format!(
        "EXIT_BRAIN_HEARTBEAT_MISSING_({}.{}S_>_{}.{}S)",
        tenths / 10,
        tenths % 10,
        limit / 10,
        limit % 10
    )
}

#[cfg(test)]
mod tests;
