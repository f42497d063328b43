//! `tradewind replay`: one scenario, one seed, the whole story.

use anyhow::Result;
use sim::{
    Options, run,
    trace::{Kind, json_line, story_line},
};

use crate::{
    Found,
    args::{ReplayArgs, Trace},
    files::read_plan,
    say, screen,
};

pub fn replay(args: &ReplayArgs) -> Result<Found> {
    let plan = args.plan.as_deref().map(read_plan).transpose()?;
    let outcome = run(&args.scenario.case(), args.seed, &Options { plan, ..Options::default() })?;
    if args.trace == Some(Trace::Json) {
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
