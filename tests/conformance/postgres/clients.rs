//! `psql` and psycopg in the same session with the ledger and with PostgreSQL: the transcripts are compared step by step.

use std::{
    fmt::Write,
    fs,
    process::{Command, Stdio},
};

use crate::{
    report,
    servers::{Server, program},
    tolerated::Tolerance,
    transcript::{self, Step},
};

/// The steps of `psql.sql` are its paragraphs; `psql` itself says where each begins.
fn psql(port: u16) -> Vec<Step> {
    let path = tests::root().join("tests/conformance/clients/psql.sql");
    let text = fs::read_to_string(path).expect("the session is there");
    let mut script = String::new();
    for step in text.trim().split("\n\n") {
        let name = step.lines().next().unwrap_or_default().replace('\'', "\"");
        let _ = writeln!(script, "\\echo '{}{name}'\n{step}", transcript::MARK);
    }
    let mut command = Command::new(program("psql"));
    command.args(["-X", "-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres", "-d", "postgres"]);
    transcript::of(&mut command, &script)
}

fn psycopg(port: u16) -> Vec<Step> {
    let mut command = Command::new(program("python"));
    command.arg(tests::root().join("tests/conformance/clients/psycopg_session.py")).arg(port.to_string());
    transcript::of(&mut command, "")
}

fn version(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("the client runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn clients_of_the_ledger_hold_the_session_that_they_hold_with_postgresql() {
    let (real, ours) = (Server::postgres(&[]), Server::ours("ledger", &[]));
    let tolerance = Tolerance::of("ledger clients");
    let mut differing = String::new();
    let mut rows = Vec::new();
    let psql_version = version(Command::new(program("psql")).arg("--version"));
    let psycopg_version = version(
        Command::new(program("python")).args(["-c", "import psycopg; print('psycopg', psycopg.__version__)"]),
    );
    for (client, hold) in [(psql_version, psql as fn(u16) -> Vec<Step>), (psycopg_version, psycopg)] {
        let (theirs, ours) = (hold(real.port), hold(ours.port));
        let mut admitted = 0;
        for (index, theirs) in theirs.iter().enumerate() {
            let (name, said) = ours.get(index).map_or(("", "(the session has ended)"), |step| {
                (step.name.as_str(), step.output.as_str())
            });
            if *name == theirs.name && said == theirs.output {
                continue;
            }
            if tolerance.admits(&theirs.name, &theirs.output, said) {
                admitted += 1;
            } else {
                let _ = writeln!(
                    differing,
                    "{client}: {}\n--- PostgreSQL\n{}\n--- the ledger\n{said}\n",
                    theirs.name, theirs.output
                );
            }
        }
        rows.push([client, theirs.len().to_string(), admitted.to_string()]);
    }
    assert!(differing.is_empty(), "the transcripts differ:\n{differing}");
    tolerance.assert_all_used();
    let table = report::table(["client", "steps", "tolerated differences"], rows);
    report::check("ledger clients", &format!("{table}\n{}", tolerance.table()));
}
