//! Sessions of real clients: scripts in `clients/` that talk to the server on a port and print what they see. The same
//! script runs against the real server and against ours; what it prints must be the same, step by step.
//!
//! A line `@@ name` begins a step; what fails in a step is printed like everything else.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::tolerated::Tolerance;

/// The steps of a session: their names and what was printed in them.
pub type Transcript = Vec<(String, String)>;

/// The path of a script.
pub fn script(name: &str) -> PathBuf {
    tests::root().join("tests/conformance/clients").join(name)
}

/// Runs a session to its end. What it writes to standard error is printed when it fails.
///
/// # Panics
/// When the script fails, or prints something before its first step.
pub fn transcript(program: &Path, arguments: &[&str]) -> Transcript {
    let mut command = Command::new(program);
    let output = command.args(arguments).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?} fails:\n{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut steps = Transcript::new();
    for line in printed.lines() {
        match (line.strip_prefix("@@ "), steps.last_mut()) {
            (Some(name), _) => steps.push((name.to_owned(), String::new())),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => panic!("{command:?} prints something before its first step: {line}"),
        }
    }
    steps
}

/// Compares what a session printed with the real server and with ours; returns the number of steps.
///
/// # Panics
/// With every step that differs and may not.
pub fn compare(tolerance: &Tolerance, real: &Transcript, ours: &Transcript) -> usize {
    let names = |steps: &Transcript| steps.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(real), names(ours), "the session takes the same steps with both servers");
    let mut differences = String::new();
    for ((name, real), (_, ours)) in real.iter().zip(ours) {
        if real != ours && !tolerance.admits(name, real, ours) {
            differences += &format!("@@ {name}\n{}", side_by_side(real, ours));
        }
    }
    assert!(differences.is_empty(), "ours differs (-: the real server, +: ours):\n{differences}");
    real.len()
}

/// The lines of both that differ, in order; those that agree at the start and at the end are left out.
fn side_by_side(real: &str, ours: &str) -> String {
    let (mut real, mut ours): (Vec<&str>, Vec<&str>) = (real.lines().collect(), ours.lines().collect());
    let same = real.iter().zip(&ours).take_while(|(real, ours)| real == ours).count();
    real.drain(..same);
    ours.drain(..same);
    while real.last().is_some() && real.last() == ours.last() {
        real.pop();
        ours.pop();
    }
    let lines = real.iter().map(|line| ('-', line)).chain(ours.iter().map(|line| ('+', line)));
    lines.map(|(side, line)| format!("{side} {line}\n")).collect()
}
