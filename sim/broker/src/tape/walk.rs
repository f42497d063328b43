//! The random walk, in integers: ticks, lots and microseconds.

use std::time::Duration;

use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::{Synthetic, cursor::Step};
use crate::config::SymbolConfig;

/// The largest quantity of a trade, in lots.
const MAX_LOTS: u64 = 2_000;
/// ln 2 in 2⁻³² units: turns a logarithm of base 2 into a natural one.
const LN_2: u128 = 2_977_044_472;

pub(crate) struct Walk {
    random: SplitMix,
    tick_size: Decimal,
    step_size: Decimal,
    start: i64,
    ticks: i64,
    volatility: u64,
    mean_micros: u64,
}

impl Walk {
    pub fn new(symbol: &SymbolConfig, walk: &Synthetic, seed: u64) -> Self {
        let start = (walk.start_price / symbol.tick_size).trunc().to_i64().unwrap_or(i64::MAX / 4).max(2);
        Self {
            random: SplitMix(seed ^ hash(&symbol.symbol)),
            tick_size: symbol.tick_size,
            step_size: symbol.step_size,
            start,
            ticks: start,
            volatility: u64::from(walk.volatility),
            mean_micros: u64::try_from(walk.mean_interval.as_micros()).unwrap_or(u64::MAX),
        }
    }

    pub fn price(&self) -> Decimal {
        Decimal::from(self.ticks) * self.tick_size
    }

    pub fn step(&mut self) -> Step {
        let delay = self.interval();
        let swing = i64::try_from(self.random.below(2 * self.volatility + 1)).unwrap_or(0);
        let mut change = swing - i64::try_from(self.volatility).unwrap_or(0);
        if !(self.start / 2..=self.start.saturating_mul(2)).contains(&(self.ticks + change)) {
            change = -change;
        }
        self.ticks = (self.ticks + change).max(1);
        Step {
            delay,
            price: self.price(),
            quantity: Decimal::from(1 + self.random.below(MAX_LOTS)) * self.step_size,
            trades: 1 + self.random.below(3),
            is_buyer_maker: change < 0 || (change == 0 && self.random.below(2) == 0),
        }
    }

    /// Exponential with the given mean: −log₂ of a uniform number is its leading zeros plus what its next bits say,
    /// here to first order.
    fn interval(&mut self) -> Duration {
        let uniform = self.random.next();
        let zeros = uniform.leading_zeros();
        let fraction = u128::from(uniform.checked_shl(zeros + 1).unwrap_or(0) >> 32);
        let log2 = (u128::from(zeros + 1) << 32) - fraction;
        let micros = (u128::from(self.mean_micros) * ((log2 * LN_2) >> 32)) >> 32;
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the walk needs four numbers per trade on the simulation's hottest path.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        let drawn = mix(self.0);
        self.0 = self.0.wrapping_add(GOLDEN);
        drawn
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// 2⁶⁴ divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The number that SplitMix64 draws in state `state`: scatters neighbouring keys over all 64 bits.
pub(crate) fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// FNV-1a: keeps the walks of two symbols apart.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_the_mean_asked_for_and_an_exponential_tail() {
        let mut walk = Walk::new(&SymbolConfig::default(), &Synthetic::default(), 7);
        let intervals: Vec<u128> = (0..20_000).map(|_| walk.interval().as_millis()).collect();
        let mean = intervals.iter().sum::<u128>() / 20_000;
        assert!((240..280).contains(&mean), "the mean is {mean} ms");
        let long = intervals.iter().filter(|ms| **ms > 750).count();
        assert!((700..1_300).contains(&long), "{long} of 20,000 are longer than three means; e⁻³ is 996");
    }

    #[test]
    fn a_walk_stays_on_the_grid_and_between_half_and_twice_its_start() {
        let wild = Synthetic { start_price: Decimal::ONE, volatility: 4, ..Synthetic::default() };
        let mut walk = Walk::new(&SymbolConfig::default(), &wild, 1);
        for _ in 0..10_000 {
            let step = walk.step();
            assert!(step.price >= Decimal::new(5, 1) && step.price <= Decimal::TWO, "{}", step.price);
            assert!((step.price % Decimal::new(1, 1)).is_zero());
        }
    }
}
