//! `tradewind replay`: one scenario, one seed, the whole story.

use anyhow::Result;
use serde_json::json;
use sim::{
    Options, Outcome, run,
    trace::{Kind, SCHEMA, json_line, story_line},
};

use crate::{
    Found,
    args::{ReplayArgs, Trace},
    files::read_plan,
    say, screen,
};

pub fn replay(args: &ReplayArgs) -> Result<Found> {
    let plan = args.plan.as_deref().map(read_plan).transpose()?;
    let outcome =
        run(&args.scenario.case(args.length.length()), args.seed, &Options { plan, ..Options::default() })?;
    if args.trace == Some(Trace::Json) {
        say!("{}", json_header(&outcome));
        for event in &outcome.events {
            say!("{}", json_line(event));
        }
        return Ok(if outcome.verdict.held() { Found::AllHeld } else { Found::Failures });
    }
    say!("{} seed {}: {}", args.scenario.name, args.seed, args.scenario.summary);
    if !outcome.plan.entries.is_empty() {
        say!("\nplan\n{}", screen::indented(&outcome.plan.to_string()));
    }
    if let Some(level) = args.trace {
        say!("\ntrace");
        let told = |kind: Kind| level == Trace::All || kind != Kind::Detail;
        for event in outcome.events.iter().filter(|event| told(event.kind)) {
            say!("{}", story_line(event));
        }
    }
    if !outcome.verdict.held() {
        say!("{}", screen::failure(&outcome, args.plan.as_deref()));
    }
    say!(
        "\n{}: {} simulated in {:.2} s, {} events, hash {:016x}",
        outcome.verdict.word(),
        sim::SimTime::after(outcome.simulated),
        outcome.wall.as_secs_f64(),
        outcome.events.len(),
        outcome.hash
    );
    Ok(if outcome.verdict.held() { Found::AllHeld } else { Found::Failures })
}

/// The first line of a trace in JSON: what the lines that follow are, and how they are to be read.
fn json_header(outcome: &Outcome) -> serde_json::Value {
    let plan: Vec<String> = outcome.plan.entries.iter().map(ToString::to_string).collect();
    json!({
        "schema": SCHEMA,
        "scenario": outcome.case,
        "seed": outcome.seed,
        "plan": plan,
        "verdict": outcome.verdict.word(),
        "hash": format!("{:016x}", outcome.hash),
    })
}
