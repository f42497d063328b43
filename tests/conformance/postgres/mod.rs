//! The ledger against PostgreSQL.

mod compare;
mod corpus;
mod edge;
mod expression;
mod generated;
mod interleaved;
mod ours;
mod pair;
mod schema;
mod statement;
mod wire;

use pair::Real;
use wire::Mode;

#[test]
fn every_statement_of_the_corpus_is_answered_as_postgresql_answers_it() {
    let mut out = String::new();
    let real = Real::start();
    for corpus in corpus::all(&tests::root().join("tests/conformance/postgres/corpus")) {
        for mode in [Mode::Simple, Mode::Text, Mode::Binary] {
            let findings = corpus.run(&real, mode).unwrap();
            out += &format!("== {} {mode:?} {} of {}\n", corpus.name, findings.len(), corpus.len());
            for finding in findings {
                out += &format!("{}\n    {}\n", finding.sql, finding.difference);
            }
        }
    }
    std::fs::write("/tmp/confpg/corpus.txt", out).unwrap();
}

#[test]
fn generated_sessions_are_answered_as_postgresql_answers_them() {
    let judge = |_: &pair::Statement, difference: &compare::Difference| difference.aspect != "position" && !difference.ours.starts_with("0A000");
    let real = Real::start();
    let report = generated::run(&statement::session(), 3_000, 30, |session| generated::ask(&real, session, &judge)).unwrap();
    let shown: Vec<_> = report.failures.iter().map(generated::Failure::show).collect();
    std::fs::write("/tmp/confpg/generated.txt", format!("{} statements\n{}", report.statements, shown.join("\n"))).unwrap();
}

#[test]
fn interleaved_sessions_see_and_wait_as_postgresql_lets_them() {
    let judge = |_: &pair::Statement, difference: &compare::Difference| difference.aspect != "position";
    let real = Real::start();
    let report = generated::run(&interleaved::steps(), 500, 10, |session| interleaved::ask(&real, session, &judge)).unwrap();
    let shown: Vec<_> = report.failures.iter().map(generated::Failure::show).collect();
    std::fs::write("/tmp/confpg/interleaved.txt", format!("{} statements\n{}", report.statements, shown.join("\n"))).unwrap();
}
