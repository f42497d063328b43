//! The ledger beside PostgreSQL: statements written by hand, generated sessions, sessions that wait for each other, and
//! real clients.

mod clients;
mod compare;
mod corpus;
mod edge;
mod expression;
mod generated;
mod interleaved;
pub mod known;
mod ours;
mod pair;
mod schema;
mod statement;
mod wire;

use std::fmt::Write;

use compare::Difference;
use generated::{Failure, Report};
use pair::{Real, Statement};
use wire::Mode;

use crate::{report, tolerated::Tolerance};

/// Statements to compare in generated sessions, unless `CONFORMANCE_OPS` says otherwise. `CONFORMANCE_SEED` chooses others.
const STATEMENTS: usize = 10_000;
/// The seed of the generator, unless `CONFORMANCE_SEED` says otherwise: a number below 256.
const SEED: u8 = 1;
/// Pairs of sessions that wait for each other: mostly time, because who waits is seen by waiting.
const INTERLEAVED: usize = 60;
/// Failing sessions to show; each has been made smaller.
const SHOWN: usize = 3;

fn wanted() -> Option<usize> {
    std::env::var("CONFORMANCE_OPS").ok().map(|text| text.parse().expect("a number of statements"))
}

fn other_seed() -> Option<u8> {
    std::env::var("CONFORMANCE_SEED").ok().map(|text| text.parse().expect("a number below 256"))
}

/// What a difference is called in `tolerated.rs`: the aspect and the statement.
fn request(statement: &str, difference: &Difference) -> String {
    format!("{}: {statement}", difference.aspect)
}

fn counts(tolerance: &Tolerance) -> impl Fn(&Statement, &Difference) -> bool + '_ {
    |statement, difference| {
        !tolerance.admits(&request(&statement.sql, difference), &difference.theirs, &difference.ours)
    }
}

fn assert_none(report: &Report) {
    let shown: Vec<_> = report.failures.iter().map(Failure::show).collect();
    assert!(shown.is_empty(), "the ledger differs from PostgreSQL in these sessions:\n{}", shown.join("\n"));
}

#[test]
fn statements_written_by_hand_are_answered_as_postgresql_answers_them() {
    let real = Real::start();
    let tolerance = Tolerance::of("ledger statements");
    let mut text = String::new();
    let mut rows = Vec::new();
    for corpus in corpus::all() {
        let mut differing = 0;
        for mode in [Mode::Simple, Mode::Text, Mode::Binary] {
            for (sql, difference) in corpus.run(&real, mode).expect("both servers answer") {
                if tolerance.admits(&request(&sql, &difference), &difference.theirs, &difference.ours) {
                    differing += usize::from(mode == Mode::Simple);
                } else {
                    let _ = writeln!(text, "{}, {mode:?}: {sql}\n    {difference}", corpus.name);
                }
            }
        }
        rows.push([format!("`{}`", corpus.name), corpus.len().to_string(), differing.to_string()]);
    }
    assert!(text.is_empty(), "the ledger differs from PostgreSQL:\n{text}");
    tolerance.assert_all_used();
    let table = report::table(["file", "statements", "tolerated differences"], rows);
    report::check(
        "ledger statements",
        &format!(
            "Compared with PostgreSQL {}. Each statement is sent three times, as a simple query and as an extended one with rows \
             in text and in binary form; rows, names and types of columns, command tags, parameter types, notices and all \
             fields of errors are compared.\n\n{table}\n{}",
            real.version(),
            tolerance.table()
        ),
    );
}

#[test]
fn generated_sessions_are_answered_as_postgresql_answers_them() {
    let real = Real::start();
    let tolerance = Tolerance::of("ledger sessions");
    let judge = counts(&tolerance);
    let statements = wanted().unwrap_or(STATEMENTS);
    let enough = |report: &Report| report.statements >= statements || report.failures.len() == SHOWN;
    let ask = |session: &Vec<Statement>| generated::ask(&real, session, &judge);
    let seed = other_seed().unwrap_or(SEED);
    let found = generated::run(&statement::session(), seed, enough, ask).expect("both servers answer");
    assert_none(&found);
    if wanted().is_none() && other_seed().is_none() {
        tolerance.assert_all_used();
        report::check(
            "ledger sessions",
            &format!(
                "{} sessions, {} statements.\n\n{}",
                found.sessions,
                found.statements,
                tolerance.table()
            ),
        );
    }
}

#[test]
fn sessions_wait_for_each_other_as_postgresql_lets_them() {
    let real = Real::start();
    let tolerance = Tolerance::of("ledger conflicts");
    let judge = counts(&tolerance);
    let enough = |report: &Report| report.sessions == INTERLEAVED || report.failures.len() == SHOWN;
    let ask = |steps: &Vec<interleaved::Step>| interleaved::ask(&real, steps, &judge);
    let found = generated::run(&interleaved::steps(), SEED, enough, ask).expect("both servers answer");
    assert_none(&found);
    tolerance.assert_all_used();
    report::check("ledger conflicts", &format!("{INTERLEAVED} pairs of sessions.\n\n{}", tolerance.table()));
}
