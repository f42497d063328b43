//! Sessions made by a strategy: asked, compared, and shrunk to what still differs.

use std::{fmt::Write, io};

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{
    compare::Difference,
    pair::{Pair, Real, Statement},
    schema::TABLES,
};

/// Where a session differs: the statement and how.
pub struct Failure {
    pub statement: Statement,
    pub differences: Vec<Difference>,
    /// What happened before it, a line each.
    pub before: String,
}

/// How many statements were compared, and where they differ.
pub type Found = (usize, Option<Failure>);

/// Decides whether a difference counts.
pub type Judge<'a> = &'a dyn Fn(&Statement, &Difference) -> bool;

/// What a run compared.
#[derive(Default)]
pub struct Report {
    pub sessions: usize,
    pub statements: usize,
    pub failures: Vec<Failure>,
}

/// Runs spent on making a failing session smaller.
const SHRINKING: usize = 200;

/// Asks sessions until it is enough.
///
/// # Errors
/// When a server closes a connection or does not answer.
pub fn run<S: Strategy>(
    sessions: &S,
    seed: u8,
    enough: impl Fn(&Report) -> bool,
    ask: impl Fn(&S::Value) -> io::Result<Found>,
) -> io::Result<Report> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut report = Report::default();
    while !enough(&report) {
        let mut tree = sessions.new_tree(&mut runner).expect("no strategy here rejects");
        let (asked, failure) = ask(&tree.current())?;
        report.sessions += 1;
        report.statements += asked;
        if let Some(failure) = failure {
            report.failures.push(shrunk(&mut tree, failure, &ask)?);
        }
    }
    Ok(report)
}

fn shrunk<T: ValueTree>(
    tree: &mut T,
    mut smallest: Failure,
    ask: impl Fn(&T::Value) -> io::Result<Found>,
) -> io::Result<Failure> {
    let mut more = tree.simplify();
    for _ in 0..SHRINKING {
        if !more {
            break;
        }
        more = match ask(&tree.current())?.1 {
            Some(failure) => {
                smallest = failure;
                tree.simplify()
            }
            None => tree.complicate(),
        };
    }
    Ok(smallest)
}

/// Asks one session on fresh tables; returns how many statements were compared, and where it failed.
///
/// # Errors
/// When a server closes a connection or does not answer.
pub fn ask(real: &Real, statements: &[Statement], judge: Judge<'_>) -> io::Result<Found> {
    let pair = Pair::new(real)?;
    let mut session = pair.session()?;
    for table in TABLES {
        session.must_agree(&Statement::simple(table.create()))?;
    }
    for (index, statement) in statements.iter().enumerate() {
        let differences = session.ask(statement)?;
        let counting: Vec<_> =
            differences.iter().filter(|difference| judge(statement, difference)).cloned().collect();
        if !counting.is_empty() {
            let mut before = String::new();
            for statement in &statements[..index] {
                let _ = writeln!(before, "    {}", statement.show());
            }
            return Ok((
                index,
                Some(Failure { statement: statement.clone(), differences: counting, before }),
            ));
        }
        if differences.iter().any(Difference::is_of_state) {
            // What follows would differ for this reason alone.
            return Ok((index + 1, None));
        }
    }
    Ok((statements.len(), None))
}

impl Failure {
    /// The session and the two answers.
    pub fn show(&self) -> String {
        let mut text = format!("{}  > {}\n", self.before, self.statement.show());
        for difference in &self.differences {
            let _ = writeln!(text, "      {difference}");
        }
        text
    }
}
