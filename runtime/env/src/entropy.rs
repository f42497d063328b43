//! Random decisions.

/// A source of randomness that knows which question it answers.
///
/// `site` is a constant name of the place that asks, e.g. `"bus.reconnect_jitter"`. A simulator keys its answer on it, so
/// that a new question elsewhere changes no answer here; a real machine ignores it.
pub trait Entropy: Send + Sync {
    /// 64 uniformly distributed bits.
    fn bits(&self, site: &'static str) -> u64;

    /// A number in `0..bound`, uniform to within 2⁻⁶⁴ × bound.
    ///
    /// # Panics
    /// When `bound` is 0: there is no such number.
    fn below(&self, site: &'static str, bound: u64) -> u64 {
        assert!(bound > 0, "{site}: a random number below 0 was asked for");
        ((u128::from(self.bits(site)) * u128::from(bound)) >> 64) as u64
    }
}
