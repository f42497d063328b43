//! The semantic trace of one seed of every scenario. Review a change as you would review a story: `cargo insta review`.

use scenarios::ALL;
use sim::{Options, run, trace::semantic};

/// The seed whose story is kept.
const SEED: u64 = 7;

#[test]
fn every_scenario_tells_the_story_that_was_reviewed() {
    for scenario in ALL {
        let outcome = run(&scenario.case(scenarios::Length::Sweep), SEED, &Options::default())
            .expect("a plan of the scenario's own");
        assert!(outcome.verdict.held(), "{}: {}", scenario.name, outcome.verdict);
        let story = format!("{}\n{}", outcome.plan, semantic(&outcome.events));
        insta::with_settings!({ prepend_module_to_snapshot => false, description => scenario.summary }, {
            insta::assert_snapshot!(scenario.name, story);
        });
    }
}
