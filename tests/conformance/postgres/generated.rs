//! Generated sessions: asked, compared, and shrunk to what still differs.

use std::{fmt::Write, io};

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{
    compare::Difference,
    pair::{Pair, Real, Session, Statement},
    schema::TABLES,
    statement,
};

/// Where a session differs: the statement and how.
pub struct Failure {
    pub statement: Statement,
    pub differences: Vec<Difference>,
    /// Everything that was asked before it.
    pub before: Vec<Statement>,
}

/// What a run found.
#[derive(Default)]
pub struct Report {
    pub statements: usize,
    pub failures: Vec<Failure>,
}

/// Decides whether a difference counts.
pub type Judge<'a> = &'a dyn Fn(&Statement, &Difference) -> bool;

/// Statements of a session before transactions and seeds come to it.
const LENGTH: usize = 40;
/// Runs spent on making a failing session smaller.
const SHRINKING: usize = 0;

/// Asks generated sessions until `statements` have been compared, or `failures` sessions have failed.
///
/// # Errors
/// When a server closes the connection or does not answer.
pub fn run(real: &Real, seed: u64, statements: usize, failures: usize, judge: Judge<'_>) -> io::Result<Report> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let sessions = statement::session(LENGTH);
    let mut report = Report::default();
    while report.statements < statements && report.failures.len() < failures {
        let mut tree = sessions.new_tree(&mut runner).expect("no strategy here rejects");
        let (asked, failure) = ask(real, &tree.current(), judge)?;
        report.statements += asked;
        if let Some(failure) = failure {
            report.failures.push(shrunk(real, &mut tree, failure, judge)?);
        }
    }
    Ok(report)
}

fn shrunk(
    real: &Real,
    tree: &mut impl ValueTree<Value = Vec<Statement>>,
    mut smallest: Failure,
    judge: Judge<'_>,
) -> io::Result<Failure> {
    let mut more = tree.simplify();
    for _ in 0..SHRINKING {
        if !more {
            break;
        }
        more = match ask(real, &tree.current(), judge)?.1 {
            Some(failure) => {
                smallest = failure;
                tree.simplify()
            }
            None => tree.complicate(),
        };
    }
    Ok(smallest)
}

/// Asks one session; returns how many statements were compared, and where it failed.
fn ask(real: &Real, statements: &[Statement], judge: Judge<'_>) -> io::Result<(usize, Option<Failure>)> {
    let pair = Pair::new(real)?;
    let mut session = pair.session()?;
    for table in TABLES {
        made(&mut session, &Statement::simple(table.create()))?;
    }
    for (index, statement) in statements.iter().enumerate() {
        let differences = session.ask(statement)?;
        let counting: Vec<_> =
            differences.iter().filter(|difference| judge(statement, difference)).cloned().collect();
        if !counting.is_empty() {
            let before = statements[..index].to_vec();
            let failure = Failure { statement: statement.clone(), differences: counting, before };
            return Ok((index, Some(failure)));
        }
        if differences.iter().any(Difference::is_of_state) {
            // What follows would differ for this reason alone.
            return Ok((index + 1, None));
        }
    }
    Ok((statements.len(), None))
}

fn made(session: &mut Session, statement: &Statement) -> io::Result<()> {
    let differences = session.ask(statement)?;
    assert!(differences.is_empty(), "{}: {differences:?}", statement.sql);
    Ok(())
}

impl Failure {
    /// The session and the two answers.
    pub fn show(&self) -> String {
        let mut text = String::new();
        for statement in &self.before {
            let _ = writeln!(text, "    {}", statement.show());
        }
        let _ = writeln!(text, "  > {}", self.statement.show());
        for difference in &self.differences {
            let _ = writeln!(text, "      {difference}");
        }
        text
    }
}
