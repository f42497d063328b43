//! What others say about this trader's trading: the health check's verdict, and the watchdog's panic.
//!
//! Ages are measured on the observer's clock, from when it first saw what it speaks of. A verdict whose age is not known,
//! because it was there already, counts once the next one has come.

use std::time::Duration;

use tokio::time::Instant;

/// How long a verdict of the health check holds: two checks, one each 15 s (auto-heal runbook).
const DOR_LIMIT: Duration = Duration::from_secs(30);

/// For how long a panic that nobody completes keeps the trader from closing positions itself; flattening is to take less
/// than 10 s (emergency exit runbook).
const PANIC_PATIENCE: Duration = Duration::from_secs(30);

/// A verdict of the health check as it stands on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dor {
    /// Whether the desk is operationally ready.
    pub ready: bool,
    /// Counts the verdicts.
    pub seq: u64,
}

/// Follows the verdicts.
#[derive(Clone, Copy, Debug, Default)]
pub struct DorWatch {
    newest: Option<(Dor, Option<Instant>)>,
}

impl DorWatch {
    /// Takes note of what stood on the bus when it was asked at `asked`; says whether entries may rely on it.
    pub fn observe(&mut self, asked: Instant, shown: Option<Dor>) -> bool {
        let Some(dor) = shown else {
            return false;
        };
        let since = match self.newest {
            Some((known, since)) if known == dor => since,
            Some(_) => Some(asked),
            None => None,
        };
        self.newest = Some((dor, since));
        dor.ready && since.is_some_and(|since| asked.duration_since(since) <= DOR_LIMIT)
    }
}

/// What the panic streams of the bus show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PanicNews {
    /// The newest event that the watchdog issued.
    pub event: Option<String>,
    /// The newest event that was carried out.
    pub completed: Option<String>,
}

/// Follows panic events.
#[derive(Clone, Debug, Default)]
pub struct PanicWatch {
    event: Option<(String, Instant)>,
}

/// What a panic means for the trader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PanicView {
    /// It has just become known and nobody has carried it out: the latch is to be set.
    pub is_new: bool,
    /// It is being carried out: only the emergency exit trades.
    pub is_active: bool,
}

impl PanicWatch {
    /// Takes note of what the bus showed at `now`.
    pub fn observe(&mut self, now: Instant, news: &PanicNews) -> PanicView {
        let Some(event) = &news.event else {
            return PanicView::default();
        };
        let completed = news.completed.as_ref() == Some(event);
        let known = self.event.as_ref().filter(|(known, _)| known == event).map(|(_, since)| *since);
        let since = known.unwrap_or(now);
        if known.is_none() {
            self.event = Some((event.clone(), now));
        }
        PanicView {
            is_new: known.is_none() && !completed,
            is_active: !completed && now.duration_since(since) <= PANIC_PATIENCE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dor(ready: bool, seq: u64) -> Option<Dor> {
        Some(Dor { ready, seq })
    }

    #[test]
    fn a_verdict_counts_from_when_it_replaced_another_and_for_30_seconds() {
        let start = Instant::now();
        let mut watch = DorWatch::default();
        assert!(!watch.observe(start, None));
        assert!(!watch.observe(start, dor(true, 7)), "nobody knows how old it is");
        assert!(watch.observe(start, dor(true, 8)));
        assert!(watch.observe(start + DOR_LIMIT, dor(true, 8)));
        assert!(!watch.observe(start + DOR_LIMIT + Duration::from_millis(1), dor(true, 8)));
        assert!(!watch.observe(start + DOR_LIMIT, dor(false, 9)));
        assert!(watch.observe(start + DOR_LIMIT, dor(true, 10)));
        assert!(!watch.observe(start + DOR_LIMIT, None));
    }

    fn news(event: &str, completed: Option<&str>) -> PanicNews {
        PanicNews { event: Some(event.into()), completed: completed.map(str::to_owned) }
    }

    #[test]
    fn a_panic_is_new_once_and_active_until_it_is_completed() {
        let now = Instant::now();
        let mut watch = PanicWatch::default();
        assert_eq!(watch.observe(now, &PanicNews::default()), PanicView::default());
        let view = watch.observe(now, &news("e1", None));
        assert_eq!(view, PanicView { is_new: true, is_active: true });
        let view = watch.observe(now, &news("e1", Some("e0")));
        assert_eq!(view, PanicView { is_new: false, is_active: true });
        assert_eq!(watch.observe(now, &news("e1", Some("e1"))), PanicView::default());
        assert!(watch.observe(now, &news("e2", Some("e1"))).is_new);
    }

    #[test]
    fn a_panic_that_nobody_carries_out_blocks_exits_for_30_seconds_only() {
        let start = Instant::now();
        let mut watch = PanicWatch::default();
        watch.observe(start, &news("e1", None));
        assert!(watch.observe(start + PANIC_PATIENCE, &news("e1", None)).is_active);
        let later = start + PANIC_PATIENCE + Duration::from_millis(1);
        assert_eq!(watch.observe(later, &news("e1", None)), PanicView::default());
    }

    #[test]
    fn a_panic_that_was_completed_before_anybody_looked_is_over() {
        let mut watch = PanicWatch::default();
        assert_eq!(watch.observe(Instant::now(), &news("e1", Some("e1"))), PanicView::default());
    }
}
