//! The ledger against PostgreSQL.

mod compare;
mod corpus;
mod ours;
mod pair;
mod wire;

use wire::Mode;

#[test]
fn every_statement_of_the_corpus_is_answered_as_postgresql_answers_it() {
    let mut out = String::new();
    for corpus in corpus::all(&tests::root().join("tests/conformance/postgres/corpus")) {
        for mode in [Mode::Simple, Mode::Text, Mode::Binary] {
            let findings = corpus.run(5499, mode).unwrap();
            out += &format!("== {} {mode:?} {} of {}\n", corpus.name, findings.len(), corpus.len());
            for finding in findings {
                out += &format!("{}\n    {}\n", finding.sql, finding.difference);
            }
        }
    }
    std::fs::write("/tmp/confpg/corpus.txt", out).unwrap();
}
