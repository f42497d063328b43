//! The circuit breaker of a symbol: CLOSED → (3 failures within 60 s) → OPEN for 120 s → HALF_OPEN, one probe → CLOSED.
//!
//! It stops entries; an exit takes risk away and passes. Spans are measured with the monotonic clock; what must survive
//! this process ([`Record`]) is stamped with the wall clock, and clamped when it is read back.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use env::WallTime;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{ClientOrderId, Symbol};

/// How many failures trip it (auto-heal runbook, scenario 7: "Circuit trips after 3 failures in 60s").
pub const FAILURES: usize = 3;

/// Within which time (auto-heal runbook, scenario 7).
pub const WINDOW: Duration = Duration::from_secs(60);

/// For how long it is open (auto-heal runbook, scenario 7: "T+0 to T+120s: Circuit remains OPEN").
pub const OPEN_FOR: Duration = Duration::from_secs(120);

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Entries pass.
    Closed,
    /// None does.
    Open,
    /// One does, to see.
    HalfOpen,
}

impl BreakerState {
    /// The name in facts and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Open => "OPEN",
            Self::HalfOpen => "HALF_OPEN",
        }
    }

    /// The number that the metric `breaker_state` shows: 0, 1 (half open), 2 (open).
    pub const fn level(self) -> u32 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

/// The breaker of one symbol.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    Closed { failures: VecDeque<Instant> },
    Open { until: Instant },
    HalfOpen { probe: Option<ClientOrderId> },
}

impl Default for Phase {
    fn default() -> Self {
        Self::Closed { failures: VecDeque::new() }
    }
}

impl Breaker {
    /// Where it stands. Call [`Breaker::tick`] first: this does not look at the time.
    pub const fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// When it will change by itself.
    pub const fn next_tick(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open { until } => Some(until),
            Phase::Closed { .. } | Phase::HalfOpen { .. } => None,
        }
    }

    /// Lets time pass; says whether the state has changed.
    pub fn tick(&mut self, now: Instant) -> bool {
        let due = self.next_tick().is_some_and(|until| until <= now);
        if due {
            self.phase = Phase::HalfOpen { probe: None };
        }
        due
    }

    /// Whether an entry would pass. Whoever lets it pass then says so with [`Breaker::pass`].
    pub const fn admits(&self) -> bool {
        match &self.phase {
            Phase::Closed { .. } => true,
            Phase::Open { .. } => false,
            Phase::HalfOpen { probe } => probe.is_none(),
        }
    }

    /// An entry passes; of a half-open breaker it is the probe. Says whether it is.
    pub fn pass(&mut self, entry: &ClientOrderId) -> bool {
        match &mut self.phase {
            Phase::HalfOpen { probe } => {
                *probe = Some(entry.clone());
                true
            }
            Phase::Closed { .. } | Phase::Open { .. } => false,
        }
    }

    /// An order of this symbol failed. Says whether the state has changed.
    pub fn failed(&mut self, now: Instant) -> bool {
        match &mut self.phase {
            Phase::Closed { failures } => {
                failures.push_back(now);
                while failures.pop_front_if(|at| now - *at > WINDOW).is_some() {}
                if failures.len() < FAILURES {
                    return false;
                }
            }
            Phase::HalfOpen { .. } => {}
            Phase::Open { .. } => return false,
        }
        self.phase = Phase::Open { until: now + OPEN_FOR };
        true
    }

    /// The exchange took an order of this symbol. Says whether the state has changed: only the probe closes the breaker.
    pub fn succeeded(&mut self, order: &ClientOrderId) -> bool {
        let closes = matches!(&self.phase, Phase::HalfOpen { probe: Some(probe) } if probe == order);
        if closes {
            self.phase = Phase::default();
        }
        closes
    }

    /// An order was not sent after all: if it was the probe, another may be. Says whether it was.
    pub fn withdrawn(&mut self, order: &ClientOrderId) -> bool {
        match &mut self.phase {
            Phase::HalfOpen { probe } if probe.as_ref() == Some(order) => {
                *probe = None;
                true
            }
            _ => false,
        }
    }

    /// What must survive this process.
    pub fn record(&self, now: Instant, wall: WallTime) -> Record {
        let at = |moment: Instant| shifted(wall, moment, now).as_millis();
        match &self.phase {
            Phase::Closed { failures } => {
                Record::Closed { failures: failures.iter().copied().map(at).collect() }
            }
            Phase::Open { until } => Record::Open { until: at(*until) },
            Phase::HalfOpen { probe } => Record::HalfOpen { probe: probe.clone() },
        }
    }

    /// A breaker as it was recorded. A probe whose order is not in doubt any more (`is_unresolved`) leaves its place to
    /// another: how it ended may have been lost.
    pub fn restored(
        record: &Record,
        now: Instant,
        wall: WallTime,
        is_unresolved: impl Fn(&ClientOrderId) -> bool,
    ) -> Self {
        let phase = match record {
            Record::Closed { failures } => {
                let age = |at: &i64| wall.since(WallTime::from_millis(*at));
                let recent = failures.iter().map(age).filter(|age| *age <= WINDOW).take(FAILURES - 1);
                let mut failures: Vec<Instant> = recent.filter_map(|age| now.checked_sub(age)).collect();
                failures.sort_unstable();
                Phase::Closed { failures: failures.into() }
            }
            Record::Open { until } => {
                let left = WallTime::from_millis(*until).since(wall).min(OPEN_FOR);
                Phase::Open { until: now + left }
            }
            Record::HalfOpen { probe } => {
                Phase::HalfOpen { probe: probe.clone().filter(|probe| is_unresolved(probe)) }
            }
        };
        let mut breaker = Self { phase };
        breaker.tick(now);
        breaker
    }
}

/// The wall-clock time of a moment near `now`.
fn shifted(wall: WallTime, moment: Instant, now: Instant) -> WallTime {
    let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    let ahead = micros(moment.saturating_duration_since(now));
    let behind = micros(now.saturating_duration_since(moment));
    WallTime::from_micros(wall.as_micros().saturating_add(ahead).saturating_sub(behind))
}

/// The durable form of a breaker. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum Record {
    /// With the failures that still count.
    Closed {
        /// When they happened.
        failures: Vec<i64>,
    },
    /// Until when.
    Open {
        /// When it will be half open.
        until: i64,
    },
    /// With the order that is the probe.
    HalfOpen {
        /// None, if the probe is still to come.
        probe: Option<ClientOrderId>,
    },
}

/// The breakers of all symbols; one that was never needed is closed.
#[derive(Clone, Debug, Default)]
pub struct Breakers(BTreeMap<Symbol, Breaker>);

impl Breakers {
    /// Breakers as they were restored.
    pub const fn new(breakers: BTreeMap<Symbol, Breaker>) -> Self {
        Self(breakers)
    }

    /// The breaker of a symbol.
    pub fn of(&mut self, symbol: &Symbol) -> &mut Breaker {
        if !self.0.contains_key(symbol) {
            self.0.insert(symbol.clone(), Breaker::default());
        }
        self.0.get_mut(symbol).expect("it was there or has just been added")
    }

    /// All of them, by symbol.
    pub fn iter(&self) -> impl Iterator<Item = (&Symbol, &Breaker)> {
        self.0.iter()
    }

    /// When the next one will change by itself.
    pub fn next_tick(&self) -> Option<Instant> {
        self.0.values().filter_map(Breaker::next_tick).min()
    }

    /// Lets time pass; returns the symbols whose state has changed.
    pub fn tick(&mut self, now: Instant) -> Vec<Symbol> {
        let changed =
            self.0.iter_mut().filter_map(|(symbol, breaker)| breaker.tick(now).then(|| symbol.clone()));
        changed.collect()
    }
}

#[cfg(test)]
mod tests;
