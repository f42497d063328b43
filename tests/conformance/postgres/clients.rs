//! `psql` and psycopg in the same session with the ledger and with PostgreSQL.

use std::{path::PathBuf, process::Command};

use crate::{
    clients::{self, Transcript},
    report,
    servers::{Server, program},
    tolerated::Tolerance,
};

fn path(program: PathBuf) -> String {
    program.to_str().expect("a path in text").to_owned()
}

fn psql(port: u16) -> Transcript {
    clients::transcript(
        &clients::script("psql_session.sh"),
        &[path(program("psql")).as_str(), port.to_string().as_str()],
    )
}

fn psycopg(port: u16) -> Transcript {
    let script = path(clients::script("psycopg_session.py"));
    clients::transcript(&program("python"), &[script.as_str(), port.to_string().as_str()])
}

fn version(program: PathBuf, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("the client runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// `psql (PostgreSQL) 15.18 (Debian …)`, without the name of the distribution's package.
fn psql_version() -> String {
    let words = version(program("psql"), &["--version"]);
    words.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

#[test]
fn psql_holds_the_session_that_it_holds_with_postgresql() {
    let (real, ours) = (Server::postgres(&[]), Server::ours("ledger", &[]));
    let tolerance = Tolerance::of("ledger psql");
    let steps = clients::compare(&tolerance, &psql(real.port), &psql(ours.port));
    tolerance.assert_all_used();
    report::check("ledger psql", &format!("{}: {steps} steps.\n\n{}", psql_version(), tolerance.table()));
}

#[test]
fn psycopg_holds_the_session_that_it_holds_with_postgresql() {
    let (real, ours) = (Server::postgres(&[]), Server::ours("ledger", &[]));
    let tolerance = Tolerance::of("ledger psycopg");
    let steps = clients::compare(&tolerance, &psycopg(real.port), &psycopg(ours.port));
    tolerance.assert_all_used();
    let code = "import psycopg; print('psycopg', psycopg.__version__)";
    let version = version(program("python"), &["-c", code]);
    report::check("ledger psycopg", &format!("{version}: {steps} steps.\n\n{}", tolerance.table()));
}
