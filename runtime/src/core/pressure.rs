//! Whether a process is short of memory, and must do without what it can do without.
//!
//! Two thresholds, so that a gauge that hovers around one of them does not switch each second. Deliberately absent: what
//! is shed, which is the process's to know.

/// From this use of its limit on a process sheds caches and low-priority work (chaos procedures, memory pressure ≥ 80 %).
const SHED_FROM_PERCENT: u64 = 80;

/// Below this use it takes them up again.
const RELAX_BELOW_PERCENT: u64 = 70;

/// What a reading of the gauge has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Shed from now on.
    Shed,
    /// All is as usual again.
    Relax,
}

/// The pressure on one process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pressure {
    shedding: bool,
}

impl Pressure {
    /// Takes note of the use in percent of the limit.
    pub const fn observe(&mut self, percent: u64) -> Option<Change> {
        if !self.shedding && percent >= SHED_FROM_PERCENT {
            self.shedding = true;
            Some(Change::Shed)
        } else if self.shedding && percent < RELAX_BELOW_PERCENT {
            self.shedding = false;
            Some(Change::Relax)
        } else {
            None
        }
    }

    /// Whether to shed.
    pub const fn sheds(self) -> bool {
        self.shedding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shedding_begins_at_80_percent_and_ends_below_70() {
        let mut pressure = Pressure::default();
        let steps = [
            (79, None),
            (80, Some(Change::Shed)),
            (100, None),
            (70, None),
            (80, None),
            (69, Some(Change::Relax)),
            (79, None),
        ];
        for (percent, expected) in steps {
            assert_eq!(pressure.observe(percent), expected, "at {percent} %");
        }
        assert!(!pressure.sheds());
    }
}
