//! One binary, scenario, seed and plan give one hash: twice in a process, in two processes, on one and on two threads.
//! Debug against release is compared by `.ci/run`.

use std::{collections::BTreeMap, num::NonZeroUsize, process::Command};

use scenarios::{ALL, Cost, Scenario};
use serde_json::Value;
use sim::{Job, Options, sweep};

/// How many seeds a scenario is compared with: each is run four times.
const fn seeds(scenario: &Scenario) -> u64 {
    match scenario.cost {
        Cost::Quick => 12,
        Cost::Ordinary => 3,
    }
}

type Hashes = BTreeMap<(String, u64), String>;

fn in_this_process(threads: usize) -> Hashes {
    let jobs = ALL.iter().flat_map(|scenario| {
        let case = scenario.case(scenarios::Length::Sweep);
        (0..seeds(scenario)).map(move |seed| Job { case: case.clone(), seed, twice: false })
    });
    let threads = NonZeroUsize::new(threads).expect("a thread at least");
    let mut hashes = Hashes::new();
    sweep(jobs.collect::<Vec<_>>(), threads, &Options::default(), |outcome| {
        assert!(outcome.verdict.held(), "{} seed {}: {}", outcome.case, outcome.seed, outcome.verdict);
        hashes.insert((outcome.case.into(), outcome.seed), format!("{:016x}", outcome.hash));
    })
    .expect("plans of the scenarios' own");
    hashes
}

fn in_another_process() -> Hashes {
    let mut hashes = Hashes::new();
    for scenario in ALL {
        hashes.extend(in_another_process_alone(scenario));
    }
    hashes
}

fn in_another_process_alone(scenario: &Scenario) -> Hashes {
    let directory = tempfile::tempdir().expect("room for a file");
    let report = directory.path().join("hashes.json");
    let seeds = seeds(scenario).to_string();
    let arguments = ["run", scenario.name, "--seeds", &seeds, "--json"];
    let run = Command::new(tests::tradewind()).args(arguments).arg(&report).output();
    let run = run.expect("tradewind runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    let report: Value = serde_json::from_slice(&std::fs::read(&report).expect("a report")).expect("JSON");
    let results = report["results"].as_array().expect("a list of results");
    let text = |value: &Value| value.as_str().expect("text").to_string();
    let entry = |result: &Value| {
        ((text(&result["scenario"]), result["seed"].as_u64().expect("a seed")), text(&result["hash"]))
    };
    results.iter().map(entry).collect()
}

#[test]
fn seeds_of_every_scenario_repeat_in_process_across_processes_and_on_any_number_of_threads() {
    let alone = in_this_process(1);
    assert_eq!(alone.len() as u64, ALL.iter().map(seeds).sum::<u64>());
    let distinct: std::collections::BTreeSet<&String> = alone.values().collect();
    assert_eq!(distinct.len(), alone.len(), "different seeds give different runs");
    assert_eq!(alone, in_this_process(2), "one thread against two");
    assert_eq!(alone, in_another_process(), "this process against another");
}
