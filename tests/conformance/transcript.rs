//! What a client said in a session, step by step.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Begins the line that names a step.
pub const MARK: &str = "@@ ";

/// A step of a session and what the client printed in it, errors included.
pub struct Step {
    pub name: String,
    pub output: String,
}

/// Runs a client to its end; `input` is what it reads.
///
/// # Panics
/// When it cannot be run.
pub fn of(command: &mut Command, input: &str) -> Vec<Step> {
    // One pipe for both streams, or their order would be lost.
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(writer.try_clone().expect("a pipe"))
        .stderr(writer)
        .spawn()
        .expect("the client runs");
    // The command keeps its ends of the pipe open until then.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let feeder = std::thread::spawn(move || {
        // A client that ends early does not read everything; what it said shows why.
        let _ = stdin.write_all(input.as_bytes());
    });
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut text).expect("the client's output");
    feeder.join().expect("feeding does not panic");
    let status = child.wait().expect("the client ends");
    let text = String::from_utf8_lossy(&text);
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix(MARK), steps.last_mut()) {
            (Some(name), _) => steps.push(Step { name: name.to_owned(), output: String::new() }),
            (None, Some(step)) => {
                step.output += line.trim_end();
                step.output.push('\n');
            }
            (None, None) => {
                steps.push(Step { name: "before the first step".into(), output: format!("{line}\n") })
            }
        }
    }
    if !status.success() {
        steps.push(Step { name: "the end".into(), output: status.to_string() });
    }
    steps
}
