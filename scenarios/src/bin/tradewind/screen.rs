//! A failure on one screen: what broke, with which seed and plan, how to see it again, and what happened last.

use std::{fmt::Write, path::Path};

use sim::{
    Event, Outcome, Verdict,
    trace::{Kind, story_line},
};

/// How many events before the end are shown.
const LAST: usize = 15;

/// Everything that a reader needs to begin with.
pub fn failure(outcome: &Outcome, plan: Option<&Path>) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    line(format!("FAILED   {} seed {}", outcome.case, outcome.seed));
    for (label, words) in explanation(&outcome.verdict) {
        line(format!("{label:<8} {words}"));
    }
    let plan_option = plan.map(|path| format!(" --plan {}", path.display())).unwrap_or_default();
    line(format!("replay   cargo sim replay {} --seed {}{plan_option} --trace", outcome.case, outcome.seed));
    if outcome.plan.entries.is_empty() {
        line("plan     no faults".into());
    } else {
        line(format!("plan\n{}", indented(&outcome.plan.to_string())));
    }
    let culprit = match &outcome.verdict {
        Verdict::Violated(violation) => violation.event.as_ref(),
        _ => None,
    };
    line(format!("last events\n{}", last_events(&outcome.events, culprit)));
    text.trim_end().into()
}

fn explanation(verdict: &Verdict) -> Vec<(&'static str, String)> {
    match verdict {
        Verdict::Held => vec![],
        Verdict::Violated(violation) => vec![
            ("broken", violation.invariant.clone()),
            ("seen", format!("{} (at {})", violation.seen, violation.at)),
        ],
        Verdict::Vacuous { missing } => {
            missing.iter().map(|what| ("vacuous", format!("never happened: {what}"))).collect()
        }
        Verdict::Diverged { first, second } => {
            vec![
                ("diverged", "two runs of this seed differ first at".into()),
                ("one", first.clone()),
                ("other", second.clone()),
            ]
        }
        Verdict::Stalled { reason } => vec![("stalled", reason.clone())],
        Verdict::Panicked { host, task, message } => {
            vec![("panicked", format!("{host}, task {task}: {message}"))]
        }
    }
}

/// The facts and faults before the end, the culprit marked; a culprit that is a detail is shown, too.
fn last_events(events: &[Event], culprit: Option<&Event>) -> String {
    let is_culprit =
        |event: &Event| culprit.is_some_and(|culprit| std::ptr::eq(culprit, event) || culprit == event);
    let told: Vec<&Event> =
        events.iter().filter(|event| event.kind != Kind::Detail || is_culprit(event)).collect();
    let lines = told.iter().skip(told.len().saturating_sub(LAST)).map(|event| {
        let mark = if is_culprit(event) { '>' } else { ' ' };
        format!(" {mark}{}", story_line(event))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Each line moved in by two spaces.
pub fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
