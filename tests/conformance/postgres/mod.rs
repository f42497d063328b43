//! The ledger against PostgreSQL.

mod compare;
mod corpus;
mod edge;
mod expression;
mod generated;
mod ours;
mod pair;
mod schema;
mod statement;
mod wire;

use wire::Mode;

#[test]
fn every_statement_of_the_corpus_is_answered_as_postgresql_answers_it() {
    let mut out = String::new();
    let real = pair::Real::database(5499, "corpus").unwrap();
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
    let ignored = |_: &pair::Statement, difference: &compare::Difference| difference.aspect != "position";
    let real = pair::Real::database(5499, "generated").unwrap();
    let report = generated::run(&real, 1, 3_000, 30, &ignored).unwrap();
    let shown: Vec<_> = report.failures.iter().map(generated::Failure::show).collect();
    std::fs::write("/tmp/confpg/generated.txt", format!("{} statements\n{}", report.statements, shown.join("\n"))).unwrap();
}
