//! Whether entries are sent, or only written on paper because the exchange's order endpoints do not answer.
//!
//! LIVE → (two unanswered orders in a row) → PAPER → (an order endpoint answers) → LIVE. On paper, one entry each
//! [`PROBE_AFTER`] is sent all the same, so that a recovery is noticed when nothing else asks. Exits are always sent.
//! Deliberately absent: paper fills; they have no place among live ones.

use std::time::Duration;

use tokio::time::Instant;

/// How many orders in a row stay without an answer before entries go on paper: one is an accident.
const UNANSWERED_LIMIT: u32 = 2;

/// How long entries stay on paper before one is sent to see; trading is to be back within 30 s of the exchange's return
/// (chaos procedures, "Exchange API Timeout").
pub const PROBE_AFTER: Duration = Duration::from_secs(15);

/// What happens to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// It is sent.
    Live,
    /// It is written on paper.
    Paper,
}

/// Follows whether the order endpoints answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct PaperMode {
    unanswered: u32,
    probe_at: Option<Instant>,
}

impl PaperMode {
    /// Whether entries go on paper.
    pub const fn is_on(&self) -> bool {
        self.probe_at.is_some()
    }

    /// Where an entry goes at `now`. The one that is due as a probe is live, and the next only after another pause.
    pub fn route(&mut self, now: Instant) -> Route {
        match self.probe_at {
            Some(at) if now < at => Route::Paper,
            Some(_) => {
                self.probe_at = Some(now + PROBE_AFTER);
                Route::Live
            }
            None => Route::Live,
        }
    }

    /// An order or a question about one stayed without an answer. Says whether entries go on paper from now on.
    pub fn unanswered(&mut self, now: Instant) -> bool {
        self.unanswered = self.unanswered.saturating_add(1);
        let begins = self.unanswered >= UNANSWERED_LIMIT && self.probe_at.is_none();
        if begins {
            self.probe_at = Some(now + PROBE_AFTER);
        }
        begins
    }

    /// An order endpoint answered, whatever it said. Says whether entries are live again.
    pub fn answered(&mut self) -> bool {
        self.unanswered = 0;
        self.probe_at.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_unanswered_orders_send_entries_on_paper_and_one_answer_brings_them_back() {
        let now = Instant::now();
        let mut paper = PaperMode::default();
        assert!(!paper.unanswered(now));
        assert!(!paper.answered(), "nothing had changed");
        assert!(!paper.unanswered(now));
        assert!(paper.unanswered(now));
        assert_eq!(paper.route(now), Route::Paper);
        assert!(paper.answered());
        assert_eq!(paper.route(now), Route::Live);
    }

    #[test]
    fn on_paper_one_entry_in_a_while_is_a_probe() {
        let now = Instant::now();
        let mut paper = PaperMode::default();
        paper.unanswered(now);
        paper.unanswered(now);
        assert_eq!(paper.route(now + PROBE_AFTER), Route::Live);
        assert_eq!(paper.route(now + PROBE_AFTER), Route::Paper);
        assert!(!paper.unanswered(now + PROBE_AFTER), "it is on paper already");
        assert_eq!(paper.route(now + PROBE_AFTER * 2), Route::Live);
    }

    proptest! {
        #[test]
        fn while_nothing_answers_entries_are_live_at_most_once_a_pause(
            steps in prop::collection::vec((0..8_u64, any::<bool>()), 1..100),
        ) {
            let mut now = Instant::now();
            let mut paper = PaperMode::default();
            paper.unanswered(now);
            paper.unanswered(now);
            let mut probed = now;
            for (pause, fails) in steps {
                now += Duration::from_secs(pause);
                if fails {
                    paper.unanswered(now);
                } else if paper.route(now) == Route::Live {
                    prop_assert!(now - probed >= PROBE_AFTER);
                    probed = now;
                }
            }
        }
    }
}
