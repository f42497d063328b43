//! The healer against the runbook's transitions, and against its invariants under any sequence of checks.

use Component::{Feeder, RestApi, TraderA};
use proptest::prelude::*;

use super::*;
use crate::core::health::Failure;

const CHECK: Duration = Duration::from_secs(15);

fn health(failing: &[(Component, Remedy)]) -> Health {
    let mut health = Health::default();
    for component in [Feeder, RestApi, TraderA] {
        let failure = failing.iter().find(|(name, _)| *name == component);
        let probe = failure.map_or(Ok("works".into()), |(_, remedy)| {
            Err(Failure { remedy: *remedy, reason: "broken".into() })
        });
        health.probes.insert(component, probe);
    }
    health
}

/// A healer with its clock, which checks as the supervisor does: each 15 s, and when it is due.
struct Bench {
    heal: Heal,
    start: Instant,
    now: Instant,
    done: Vec<(u64, Action)>,
}

impl Bench {
    fn new() -> Self {
        let start = Instant::now();
        Self { heal: Heal::default(), start, now: start, done: Vec::new() }
    }

    /// One check now.
    fn check(&mut self, failing: &[(Component, Remedy)]) {
        let actions = self.heal.step(self.now, &health(failing));
        let at = self.now.duration_since(self.start).as_secs();
        self.done.extend(actions.into_iter().map(|action| (at, action)));
    }

    /// Checks for as long as told, and what was done meanwhile.
    fn run(&mut self, span: Duration, failing: &[(Component, Remedy)]) -> Vec<(u64, Action)> {
        let end = self.now + span;
        while self.now < end {
            self.now = self.heal.due().map_or(self.now + CHECK, |due| due.min(self.now + CHECK));
            self.check(failing);
        }
        std::mem::take(&mut self.done)
    }
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const DEAD: &[(Component, Remedy)] = &[(Feeder, Remedy::Restart)];
const CUT: &[(Component, Remedy)] = &[(Feeder, Remedy::Wait)];

fn restart(attempt: u8) -> Action {
    Action::Restart { component: Feeder, attempt }
}

fn wait(delay: u64) -> Action {
    Action::Wait { component: Feeder, delay: secs(delay) }
}

#[test]
fn one_failing_check_is_no_failure_and_the_second_restarts() {
    let mut bench = Bench::new();
    assert_eq!(bench.run(secs(15), DEAD), []);
    assert_eq!(bench.run(secs(15), &[]), []);
    assert_eq!(bench.run(secs(15), DEAD), []);
    assert_eq!(bench.heal.stage(), Stage::Observe);
    assert_eq!(bench.run(secs(15), DEAD), [(60, restart(1))]);
    assert_eq!(bench.heal.stage(), Stage::Rewire);
    assert_eq!(bench.run(secs(15), &[]), [(75, Action::Recovered { component: Feeder })]);
    assert_eq!(bench.heal.stage(), Stage::Observe);
}

#[test]
fn what_never_comes_back_is_given_up_after_exactly_three_restarts_within_360_s() {
    let mut bench = Bench::new();
    let done = bench.run(secs(600), DEAD);
    let expected = [
        (30, restart(1)),
        (120, wait(15)),
        (135, restart(2)),
        (225, wait(30)),
        (255, restart(3)),
        (345, Action::GiveUp { component: Feeder }),
    ];
    assert_eq!(done, expected);
    assert_eq!(bench.heal.stage(), Stage::Failsafe);
    assert_eq!(bench.run(secs(600), &[]), [], "nothing but a person ends FAILSAFE");
    bench.heal.clear();
    assert_eq!(bench.heal.stage(), Stage::Observe);
}

#[test]
fn what_cannot_be_reached_climbs_the_ladder_and_uses_up_no_restart() {
    let mut bench = Bench::new();
    let done = bench.run(secs(1_200), CUT);
    let expected = [
        (30, wait(15)),
        (45, wait(30)),
        (75, wait(60)),
        (135, wait(120)),
        (255, wait(300)),
        (555, wait(300)),
        (855, wait(300)),
        (1_155, wait(300)),
    ];
    assert_eq!(done, expected);
    assert_eq!(bench.run(secs(15), &[]).last().unwrap().1, Action::Recovered { component: Feeder });
}

#[test]
fn what_dies_while_it_is_waited_for_is_restarted_after_two_more_checks() {
    let mut bench = Bench::new();
    bench.run(secs(300), CUT);
    assert_eq!(bench.run(secs(30), DEAD).last().unwrap().1, restart(1));
}

#[test]
fn a_component_that_recovers_and_fails_again_waits_longer_each_time() {
    let mut bench = Bench::new();
    assert_eq!(bench.run(secs(30), DEAD), [(30, restart(1))]);
    bench.run(secs(30), &[]);
    assert_eq!(bench.run(secs(45), DEAD), [(90, wait(15)), (105, restart(2))]);
    bench.run(secs(30), &[]);
    assert_eq!(bench.run(secs(60), DEAD), [(165, wait(30)), (195, restart(3))]);
    bench.run(secs(30), &[]);
    assert_eq!(bench.run(secs(30), DEAD), [(255, Action::GiveUp { component: Feeder })]);
}

#[test]
fn counts_are_forgotten_after_300_s_of_dor_and_not_before() {
    for (healthy, again) in [(secs(300), wait(15)), (secs(330), restart(1))] {
        let mut bench = Bench::new();
        bench.run(secs(30), DEAD);
        bench.run(healthy, &[]);
        assert_eq!(bench.run(secs(30), DEAD).last().unwrap().1, again, "{healthy:?}");
    }
    let mut bench = Bench::new();
    bench.run(secs(30), DEAD);
    bench.run(secs(150), &[]);
    bench.run(secs(15), &[(RestApi, Remedy::Wait)]);
    bench.run(secs(285), &[]);
    assert_eq!(bench.run(secs(30), DEAD).last().unwrap().1, wait(15), "another component interrupted DOR");
}

#[test]
fn a_later_life_of_the_healer_knows_what_was_used_up() {
    let mut bench = Bench::new();
    bench.run(secs(230), DEAD);
    let cases: Vec<_> = bench.heal.cases().collect();
    assert_eq!(cases, [(Feeder, Case { restarts: 2, waits: 2, given_up: false })]);
    bench.heal = Heal::resume(cases);
    let done = bench.run(secs(600), DEAD);
    let restarts = done.iter().filter(|(_, action)| matches!(action, Action::Restart { .. })).count();
    assert_eq!(restarts, 1);
    assert_eq!(done.last().unwrap().1, Action::GiveUp { component: Feeder });

    let mut later = Heal::resume(bench.heal.cases());
    assert!(later.has_given_up(Feeder));
    assert_eq!(later.step(bench.now, &health(DEAD)), []);
}

#[test]
fn a_restart_by_hand_uses_up_nothing_and_is_given_its_time() {
    let mut bench = Bench::new();
    bench.run(secs(15), DEAD);
    bench.heal.restarted_by_hand(bench.now, Feeder);
    assert_eq!(bench.run(secs(75), DEAD), []);
    assert_eq!(bench.run(secs(15), DEAD), [(105, wait(15))]);
    assert_eq!(bench.run(secs(15), DEAD), [(120, restart(1))]);
}

fn remedy() -> impl Strategy<Value = Option<Remedy>> {
    prop_oneof![4 => Just(Some(Remedy::Restart)), 1 => Just(Some(Remedy::Wait)), 2 => Just(None)]
}

/// For how many checks each of two components is in a state.
fn histories() -> impl Strategy<Value = Vec<(usize, Option<Remedy>, Option<Remedy>)>> {
    proptest::collection::vec((1..12_usize, remedy(), remedy()), 1..40)
}

proptest! {
    #[test]
    fn nothing_healthy_or_out_of_reach_is_restarted_and_no_episode_has_more_than_three(histories in histories()) {
        let mut bench = Bench::new();
        let mut restarts = BTreeMap::from([(Feeder, 0), (TraderA, 0)]);
        let mut given_up = Vec::new();
        let mut failing_checks = BTreeMap::from([(Feeder, 0), (TraderA, 0)]);
        for (checks, feeder, trader) in histories {
            let states = [(Feeder, feeder), (TraderA, trader)];
            let failing: Vec<_> =
                states.iter().filter_map(|(component, state)| Some((*component, (*state)?))).collect();
            for _ in 0..checks {
                for (component, state) in states {
                    let count = failing_checks.get_mut(&component).unwrap();
                    *count = if state.is_some() { *count + 1 } else { 0 };
                }
                bench.now = bench.heal.due().map_or(bench.now + CHECK, |due| due.min(bench.now + CHECK));
                bench.check(&failing);
                for (_, action) in bench.done.drain(..) {
                    match action {
                        Action::Restart { component, attempt } => {
                            prop_assert!(failing.contains(&(component, Remedy::Restart)), "{component} was no case");
                            prop_assert!(failing_checks[&component] >= 2, "{component} failed one check");
                            prop_assert!(!given_up.contains(&component), "{component} was given up");
                            let count = restarts.get_mut(&component).unwrap();
                            *count += 1;
                            prop_assert_eq!(*count, attempt);
                            prop_assert!(attempt <= MAX_RESTARTS);
                        }
                        Action::GiveUp { component } => {
                            prop_assert_eq!(restarts[&component], MAX_RESTARTS);
                            given_up.push(component);
                        }
                        Action::EpisodeEnds => {
                            prop_assert!(failing.is_empty());
                            restarts.iter_mut().filter(|(name, _)| !given_up.contains(name)).for_each(|(_, n)| *n = 0);
                        }
                        Action::Wait { delay, .. } => prop_assert!(LADDER.contains(&delay)),
                        Action::Recovered { component } => {
                            prop_assert!(failing.iter().all(|(name, _)| *name != component));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_fails_for_good_is_restarted_three_times_whatever_happened_to_others(other in histories()) {
        let mut bench = Bench::new();
        let mut restarts = 0;
        for (_, trader, _) in other.into_iter().cycle().take(200) {
            let mut failing = DEAD.to_vec();
            failing.extend(trader.map(|remedy| (TraderA, remedy)));
            for (_, action) in bench.run(CHECK, &failing) {
                restarts += u8::from(matches!(action, Action::Restart { component: Feeder, .. }));
            }
        }
        prop_assert_eq!(restarts, MAX_RESTARTS);
        prop_assert!(bench.heal.has_given_up(Feeder));
    }
}
