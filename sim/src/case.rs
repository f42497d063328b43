//! One thing to try: a world, its faults, its checks, and how long it takes.

use std::{sync::Arc, time::Duration};

use crate::{check::Checks, draw::Draw, plan::Plan, time::secs, world::World};

type Setup = Arc<dyn Fn(&mut World) + Send + Sync>;
type Inject = Arc<dyn Fn(&mut Plan, &mut Draw) + Send + Sync>;
type Verify = Arc<dyn Fn(&mut Checks) + Send + Sync>;

/// A scenario as the simulator needs it.
#[derive(Clone)]
pub struct Case {
    pub(crate) name: &'static str,
    pub(crate) setup: Setup,
    inject: Inject,
    pub(crate) verify: Verify,
    pub(crate) safety: Duration,
    pub(crate) settle: Duration,
}

impl Case {
    /// A case with this world, without faults and checks, that runs for ten seconds.
    pub fn new(name: &'static str, setup: impl Fn(&mut World) + Send + Sync + 'static) -> Self {
        Self {
            name,
            setup: Arc::new(setup),
            inject: Arc::new(|_, _| {}),
            verify: Arc::new(|_| {}),
            safety: secs(10),
            settle: Duration::ZERO,
        }
    }

    /// Writes the plan, or draws it from the seed.
    #[must_use]
    pub fn inject(mut self, inject: impl Fn(&mut Plan, &mut Draw) + Send + Sync + 'static) -> Self {
        self.inject = Arc::new(inject);
        self
    }

    /// Says what must hold.
    #[must_use]
    pub fn verify(mut self, verify: impl Fn(&mut Checks) + Send + Sync + 'static) -> Self {
        self.verify = Arc::new(verify);
        self
    }

    /// How long faults may strike; then the world is healed.
    #[must_use]
    pub fn safety(mut self, span: Duration) -> Self {
        self.safety = span;
        self
    }

    /// How long the healed world runs at least. It runs longer while a check is still to come true.
    #[must_use]
    pub fn settle(mut self, span: Duration) -> Self {
        self.settle = span;
        self
    }

    /// Its name, in `snake_case`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The plan of a seed.
    pub fn plan(&self, seed: u64) -> Plan {
        let mut plan = Plan::default();
        (self.inject)(&mut plan, &mut Draw::new(seed, "plan", self.name));
        plan
    }
}
