//! Faults that a server offers in its own words.

use std::{fmt, sync::Arc};

use env::fact;
use faults::{Board, Fault, Unexpected, Words};
use sim::{Case, Misfit, Options, Outcome, Plan, Verdict, run, secs};
use tokio::time::sleep;

use crate::world::named;

/// What can happen to a clerk.
enum Mood {
    /// He says no.
    Sulk,
    /// He says something once.
    Sneeze,
}

const MOODS: &str = "sulk or sneeze";

impl fmt::Display for Mood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sulk => "sulk",
            Self::Sneeze => "sneeze",
        })
    }
}

impl Fault for Mood {
    fn read(words: &mut Words<'_>) -> Result<Self, Unexpected> {
        words.read(MOODS, |word| match word {
            "sulk" => Some(Self::Sulk),
            "sneeze" => Some(Self::Sneeze),
            _ => None,
        })
    }

    fn lasts(&self) -> bool {
        matches!(self, Self::Sulk)
    }
}

/// A clerk who answers each second.
fn office(plan: &str) -> Result<Outcome, Misfit> {
    let case = Case::new("office", |world| {
        let moods = Board::new();
        world.peer("clerk", moods.clone());
        world.host("visitor", |_| async {}).host("clerk", move |_| answer(moods.clone()));
    });
    run(
        &case,
        1,
        &Options { plan: Some(Plan::parse(plan).expect("a well-formed plan")), ..Options::default() },
    )
}

async fn answer(moods: Arc<Board<Mood>>) {
    for _ in 0..9 {
        sleep(secs(1)).await;
        let mood = moods.strike(|mood| Some(mood.to_string()));
        fact!("clerk.answers", answer = %mood.as_deref().unwrap_or("yes"));
    }
}

fn answers(plan: &str) -> Vec<String> {
    let outcome = office(plan).expect("a plan that fits");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
    let answer = |event: &&sim::Event| event.text("answer").expect("an answer").to_string();
    named(&outcome, "clerk.answers").iter().map(answer).collect()
}

#[test]
fn a_state_lasts_and_an_act_strikes_once() {
    assert_eq!(answers("1.5s peer clerk sulk for 2s")[..5], ["yes", "sulk", "sulk", "yes", "yes"]);
    assert_eq!(answers("on clerk.answers #2  peer clerk sneeze")[..4], ["yes", "yes", "sneeze", "yes"]);
    assert_eq!(answers("7.5s peer clerk sulk")[6..], ["yes", "sulk", "sulk"]);
}

#[test]
fn a_fault_that_struck_nobody_makes_the_run_vacuous() {
    let outcome = office("9.5s peer clerk sneeze").expect("a plan that fits");
    assert!(matches!(outcome.verdict, Verdict::Vacuous { .. }), "{}", outcome.verdict);
}

#[test]
fn what_the_server_does_not_know_is_refused_before_the_run() {
    let told = |plan: &str| office(plan).expect_err(plan).to_string();
    assert_eq!(
        told("1s peer clerk yawn"),
        "`1.000s  peer clerk yawn`: expected sulk or sneeze, found `yawn`"
    );
    assert_eq!(
        told("1s peer clerk sulk deeply"),
        "`1.000s  peer clerk sulk deeply`: expected the end of the fault, found `deeply`"
    );
    assert_eq!(
        told("1s peer clerk sneeze for 2s"),
        "`1.000s  peer clerk sneeze  for 2s`: this fault is a single act and cannot last"
    );
    assert_eq!(
        told("1s peer visitor sulk"),
        "`1.000s  peer visitor sulk`: the host \"visitor\" has no faults of its own; these have: clerk"
    );
}
