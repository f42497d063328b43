//! Random decisions, each keyed by the question that it answers.
//!
//! There is no shared random stream. Every decision belongs to a *site* (a constant name: what is being decided) and an
//! *entity* (for whom: a link, a host, a file), and the n-th answer for that pair depends on nothing but
//! (seed, site, entity, n). A new host, link or message elsewhere changes no answer here, which is what makes a replay
//! survive an edit of the program.

use std::{collections::BTreeMap, sync::Mutex};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// All decision streams of one run.
#[derive(Debug)]
pub struct Draws {
    seed: u64,
    streams: Mutex<BTreeMap<&'static str, BTreeMap<Box<str>, Draw>>>,
}

impl Draws {
    /// The decisions of the run with this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, streams: Mutex::default() }
    }

    /// The next 64 bits for this site and entity.
    pub fn bits(&self, site: &'static str, entity: &str) -> u64 {
        let mut streams = self.streams.lock().expect("no decision is drawn while one panics");
        let entities = streams.entry(site).or_default();
        match entities.get_mut(entity) {
            Some(draw) => draw.bits(),
            None => {
                entities.entry(entity.into()).or_insert_with(|| Draw::new(self.seed, site, entity)).bits()
            }
        }
    }

    /// The next number below `bound` for this site and entity; 0 when `bound` is 0.
    pub fn below(&self, site: &'static str, entity: &str, bound: u64) -> u64 {
        scale(self.bits(site, entity), bound)
    }
}

/// The decisions of one site for one entity, in order.
#[derive(Clone, Debug)]
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// The stream for (seed, site, entity).
    pub fn new(seed: u64, site: &str, entity: &str) -> Self {
        // Lengths keep ("ab", "c") and ("a", "bc") apart.
        let mut name = Vec::with_capacity(site.len() + entity.len() + 8);
        name.extend_from_slice(&(site.len() as u64).to_le_bytes());
        name.extend_from_slice(site.as_bytes());
        name.extend_from_slice(entity.as_bytes());
        let mut key = [0; 32];
        key[..16].copy_from_slice(&xxh3_128_with_seed(&name, seed).to_le_bytes());
        key[16..].copy_from_slice(&xxh3_128_with_seed(&name, !seed).to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// 64 uniformly distributed bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `range`; its start when the range is empty.
    pub fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + scale(self.bits(), range.end.saturating_sub(range.start))
    }

    /// A duration in whole milliseconds, from `least` up to but excluding `bound`.
    pub fn span(&mut self, least: std::time::Duration, bound: std::time::Duration) -> std::time::Duration {
        std::time::Duration::from_millis(self.within(least.as_millis() as u64..bound.as_millis() as u64))
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.within(0..100) < percent
    }
}

/// Maps 64 random bits onto `0..bound` by multiplication: uniform to within `bound` / 2⁶⁴, and one draw per decision.
pub(crate) fn scale(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_depends_only_on_its_own_history() {
        let alone = Draws::new(7);
        let among_others = Draws::new(7);
        for n in 0..100 {
            among_others.bits("latency", &format!("x{n}>y"));
            among_others.bits("torn", "a>b");
            assert_eq!(alone.bits("latency", "a>b"), among_others.bits("latency", "a>b"));
        }
    }

    #[test]
    fn seeds_sites_entities_and_occurrences_all_matter() {
        let first = |seed, site, entity| Draw::new(seed, site, entity).bits();
        let base = first(1, "ab", "c");
        assert_ne!(base, first(2, "ab", "c"));
        assert_ne!(base, first(1, "a", "bc"));
        assert_ne!(base, first(1, "ab", "d"));
        let mut draw = Draw::new(1, "ab", "c");
        assert_eq!(draw.bits(), base);
        assert_ne!(draw.bits(), base);
    }

    #[test]
    fn scaled_numbers_stay_in_their_range_and_reach_its_ends() {
        let mut draw = Draw::new(3, "range", "");
        let drawn: Vec<u64> = (0..1_000).map(|_| draw.within(5..9)).collect();
        assert_eq!(drawn.iter().min(), Some(&5));
        assert_eq!(drawn.iter().max(), Some(&8));
        assert_eq!(draw.within(4..4), 4);
    }
}
