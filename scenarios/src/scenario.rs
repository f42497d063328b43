//! What a scenario is: its place in the catalogue, its world, its faults, its checks.

use std::time::Duration;

use sim::{Case, Checks, Draw, Plan, World, secs};

/// How bad a failure of the scenario would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Impact {
    /// Nothing is lost.
    Low,
    /// Trading is degraded.
    Medium,
    /// Trading stops, or opportunities are lost.
    High,
    /// Money or records are lost.
    Critical,
}

/// What the scenario is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// Market data and prices.
    Data,
    /// Processes that die, and how the system comes back.
    Recovery,
    /// Files and disks.
    Storage,
    /// Orders, fills, positions.
    Trading,
}

/// How many seeds a sweep runs when nobody says how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// About a minute of simulated time: 100 seeds.
    Quick,
    /// Many minutes of simulated time: 10 seeds.
    Ordinary,
}

impl Cost {
    /// The default number of seeds.
    pub const fn seeds(self) -> u64 {
        match self {
            Self::Quick => 100,
            Self::Ordinary => 10,
        }
    }
}

/// One scenario. Built by `scenario` and the methods below, all of them `const`.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name in `snake_case`, which is also its file's.
    pub name: &'static str,
    /// What happens, in a sentence.
    pub summary: &'static str,
    /// 1 data corruption, 2 state inconsistency, 3 operational blindness, 4 recovery; none outside the tiered suite.
    pub tier: Option<u8>,
    /// What it is about.
    pub category: Category,
    /// How bad a failure would be.
    pub impact: Impact,
    /// The document that demands it.
    pub source: &'static str,
    /// How much a seed costs.
    pub cost: Cost,
    setup: fn(&mut World),
    inject: fn(&mut Plan, &mut Draw),
    verify: fn(&mut Checks),
    safety: Duration,
    settle: Duration,
    long: Option<Duration>,
}

/// For how long a scenario is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Length {
    /// As long as a sweep over many seeds can bear.
    #[default]
    Sweep,
    /// As long as the scenario needs to show what only time shows; the same for those that need none.
    Long,
}

/// A scenario without faults that runs for a minute.
pub const fn scenario(name: &'static str, summary: &'static str) -> Scenario {
    Scenario {
        name,
        summary,
        tier: None,
        category: Category::Trading,
        impact: Impact::Critical,
        source: "ours",
        cost: Cost::Quick,
        setup: |_| {},
        inject: |_, _| {},
        verify: |_| {},
        safety: secs(60),
        settle: Duration::ZERO,
        long: None,
    }
}

impl Scenario {
    /// Its tier, 1 to 4.
    #[must_use]
    pub const fn tier(mut self, tier: u8) -> Self {
        assert!(tier >= 1 && tier <= 4, "tiers are 1 to 4");
        self.tier = Some(tier);
        self
    }

    /// What it is about, and how bad a failure would be.
    #[must_use]
    pub const fn about(mut self, category: Category, impact: Impact) -> Self {
        self.category = category;
        self.impact = impact;
        self
    }

    /// The document that demands it.
    #[must_use]
    pub const fn source(mut self, source: &'static str) -> Self {
        self.source = source;
        self
    }

    /// How much a seed costs.
    #[must_use]
    pub const fn cost(mut self, cost: Cost) -> Self {
        self.cost = cost;
        self
    }

    /// The world, the faults and the checks.
    #[must_use]
    pub const fn steps(
        mut self,
        setup: fn(&mut World),
        inject: fn(&mut Plan, &mut Draw),
        verify: fn(&mut Checks),
    ) -> Self {
        self.setup = setup;
        self.inject = inject;
        self.verify = verify;
        self
    }

    /// How long faults may strike, and how long the healed world runs at least.
    #[must_use]
    pub const fn lasting(mut self, safety: Duration, settle: Duration) -> Self {
        self.safety = safety;
        self.settle = settle;
        self
    }

    /// How long faults may strike in a run with `--long`.
    #[must_use]
    pub const fn long(mut self, safety: Duration) -> Self {
        self.long = Some(safety);
        self
    }

    /// The scenario as the simulator runs it.
    pub fn case(&self, length: Length) -> Case {
        let safety = match length {
            Length::Sweep => self.safety,
            Length::Long => self.long.unwrap_or(self.safety),
        };
        Case::new(self.name, self.setup)
            .inject(self.inject)
            .verify(self.verify)
            .safety(safety)
            .settle(self.settle)
    }
}
