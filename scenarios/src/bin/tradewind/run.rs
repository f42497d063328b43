//! `tradewind run`: many seeds, a table, an exit code.

use std::{
    io::{IsTerminal, Write},
    num::NonZeroUsize,
    thread::available_parallelism,
};

use anyhow::{Result, ensure};
use scenarios::{ALL, Scenario};
use serde::Serialize;
use sim::{Job, Options, Outcome, sweep};

use crate::{
    Found,
    args::RunArgs,
    files::Report,
    say, screen,
    table::{Row, table},
};

/// How many failures are told in full; the table counts them all.
const TOLD: usize = 3;

pub fn run(args: &RunArgs) -> Result<Found> {
    let most = chosen(args).iter().map(|scenario| seeds(args, scenario)).max().unwrap_or(0);
    ensure!(
        args.from.checked_add(most.saturating_sub(1)).is_some(),
        "there are not {most} seeds from {} on: the last is {}",
        args.from,
        u64::MAX
    );
    let report = args.json.as_deref().map(Report::open).transpose()?;
    let chosen = chosen(args);
    let parallel = args.jobs.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let mut rows: Vec<Row> =
        chosen.iter().map(|scenario| Row::new(scenario, seeds(args, scenario))).collect();
    let jobs = chosen.iter().flat_map(|scenario| {
        let case = scenario.case(args.length.length());
        // The first seed of each scenario runs twice: a run that depends on more than its seed is worth nothing.
        (0..seeds(args, scenario)).map(move |index| Job {
            case: case.clone(),
            seed: args.from + index,
            twice: index == 0,
        })
    });
    let mut progress = Progress::new(rows.iter().map(|row| row.planned).sum());
    let mut failures: Vec<Outcome> = Vec::new();
    let mut results: Vec<SeedResult> = Vec::new();
    sweep(jobs.collect::<Vec<_>>(), parallel, &Options::default(), |outcome| {
        progress.step(&outcome);
        for row in rows.iter_mut().filter(|row| row.name == outcome.case) {
            row.add(&outcome);
        }
        results.push(SeedResult::of(&outcome));
        if !outcome.verdict.held() {
            failures.push(outcome);
        }
    })?;
    progress.clear();
    // Runs end in any order; what is told of them does not depend on it.
    failures.sort_by_key(|outcome| (outcome.case, outcome.seed));
    results.sort_by_key(|result| (result.scenario, result.seed));
    for outcome in failures.iter().take(TOLD) {
        say!("{}\n", screen::failure(outcome, None));
    }
    if failures.len() > TOLD {
        say!("… and {} more failures\n", failures.len() - TOLD);
    }
    say!("{}", table(&rows));
    if let Some(report) = report {
        report.write(&serde_json::to_string_pretty(&RunReport { schema: 1, results })?)?;
    }
    Ok(if failures.is_empty() { Found::AllHeld } else { Found::Failures })
}

fn chosen(args: &RunArgs) -> Vec<Scenario> {
    if args.names.is_empty() { ALL.to_vec() } else { args.names.clone() }
}

fn seeds(args: &RunArgs, scenario: &Scenario) -> u64 {
    args.seeds.unwrap_or(scenario.cost.seeds())
}

/// The JSON report: one entry per run, in the order of scenario and seed.
#[derive(Serialize)]
struct RunReport {
    schema: u32,
    results: Vec<SeedResult>,
}

#[derive(Serialize)]
struct SeedResult {
    scenario: &'static str,
    seed: u64,
    verdict: &'static str,
    detail: String,
    plan: Vec<String>,
    hash: String,
    simulated_seconds: f64,
    wall_seconds: f64,
}

impl SeedResult {
    fn of(outcome: &Outcome) -> Self {
        Self {
            scenario: outcome.case,
            seed: outcome.seed,
            verdict: outcome.verdict.word(),
            detail: outcome.verdict.to_string(),
            plan: outcome.plan.entries.iter().map(ToString::to_string).collect(),
            hash: format!("{:016x}", outcome.hash),
            simulated_seconds: outcome.simulated.as_secs_f64(),
            wall_seconds: outcome.wall.as_secs_f64(),
        }
    }
}

/// One line on standard error that is written over and over, when somebody watches.
struct Progress {
    done: u64,
    failed: u64,
    total: u64,
    watched: bool,
}

impl Progress {
    fn new(total: u64) -> Self {
        Self { done: 0, failed: 0, total, watched: std::io::stderr().is_terminal() }
    }

    fn step(&mut self, outcome: &Outcome) {
        self.done += 1;
        self.failed += u64::from(!outcome.verdict.held());
        if self.watched {
            let Self { done, failed, total, .. } = self;
            let _ = write!(std::io::stderr(), "\r\x1b[K{done}/{total}  {failed} failed  {}", outcome.case);
        }
    }

    fn clear(&self) {
        if self.watched {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
