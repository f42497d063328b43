//! Two sessions at a time on the same rows: what waits, what is seen, what the one that waited finds.
//!
//! A session that waits is not asked until its answer has come, on both servers.

use std::{fmt::Write, io, time::Duration};

use proptest::{
    collection::vec,
    sample::select,
    strategy::{BoxedStrategy, Strategy, Union},
};

use super::{
    compare::Difference,
    generated::{Failure, Found, Judge},
    pair::{Pair, Real, Session, Statement},
};

/// A statement and which of the two sessions sends it.
pub type Step = (usize, Statement);

/// After so long without an answer a statement is taken to wait for the other session.
const WAITING: Duration = Duration::from_millis(60);

/// Longer than any answer takes that the other server has given already.
const LAGGING: Duration = Duration::from_secs(5);

const SETUP: &[&str] = &[
    "CREATE TABLE w (id INT PRIMARY KEY, v INT, u TEXT UNIQUE)",
    "INSERT INTO w VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, NULL)",
];

const STATEMENTS: &[&str] = &[
    "UPDATE w SET v = v + 1 WHERE id = 1",
    "UPDATE w SET v = v + 1 WHERE id = 2 RETURNING v",
    "UPDATE w SET v = v * 2 WHERE v > 15",
    "UPDATE w SET u = 'c' WHERE id = 3",
    "UPDATE w SET id = 9 WHERE id = 2",
    "DELETE FROM w WHERE id = 1",
    "DELETE FROM w WHERE v < 12 RETURNING id",
    "INSERT INTO w VALUES (1, 11, NULL)",
    "INSERT INTO w VALUES (4, 40, 'c')",
    "INSERT INTO w VALUES (4, 41, 'd') ON CONFLICT DO NOTHING",
    "INSERT INTO w VALUES (4, 42, NULL) ON CONFLICT (id) DO UPDATE SET v = w.v + excluded.v RETURNING v",
    "SELECT id, v, u FROM w",
    "SELECT sum(v) FROM w",
    "SELECT v FROM w WHERE id = 1 FOR UPDATE",
    "SELECT v FROM w WHERE id = 2 FOR SHARE",
    "SELECT id FROM w WHERE id = 1 FOR UPDATE NOWAIT",
    "SELECT id FROM w FOR UPDATE SKIP LOCKED",
    "SELECT id FROM w WHERE v > 15 FOR NO KEY UPDATE",
];

const CONTROL: &[&str] = &["BEGIN", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s"];

/// Steps that begin with a transaction in both sessions.
pub fn steps() -> BoxedStrategy<Vec<Step>> {
    let statement = Union::new_weighted(vec![(3, select(STATEMENTS)), (1, select(CONTROL))]);
    let step = (0..2_usize, statement).prop_map(|(who, sql)| (who, unordered(sql)));
    vec(step, 4..14)
        .prop_map(|steps| (0..2).map(|who| (who, unordered("BEGIN"))).chain(steps).collect())
        .boxed()
}

fn unordered(sql: &str) -> Statement {
    Statement { ordered: false, ..Statement::simple(sql) }
}

/// Runs the steps on a fresh database; returns how many were answered, and where the answers differ.
///
/// # Errors
/// When a server closes a connection or does not answer.
pub fn ask(real: &Real, steps: &[Step], judge: Judge<'_>) -> io::Result<Found> {
    let pair = Pair::new(real)?;
    let mut setup = pair.session()?;
    for sql in SETUP {
        setup.must_agree(&Statement::simple(*sql))?;
    }
    let mut run = Run {
        sessions: [pair.session()?, pair.session()?],
        waiting: [None, None],
        told: String::new(),
        judge,
    };
    let mut answered = 0;
    for (who, statement) in steps {
        if run.waiting[*who].is_some() {
            continue;
        }
        run.sessions[*who].send(statement)?;
        run.waiting[*who] = Some(statement.clone());
        answered += 1;
        // Its end may be what the other one waits for.
        for session in [*who, 1 - *who] {
            if let Some(failure) = run.collect(session)? {
                return Ok((answered, Some(failure)));
            }
        }
    }
    let (ended, failure) = run.end()?;
    if failure.is_some() {
        return Ok((answered + ended, failure));
    }
    let last = unordered("SELECT * FROM w");
    let differences = setup.ask(&last)?;
    Ok((answered + ended + 1, run.judged(&last, &differences)))
}

struct Run<'a> {
    sessions: [Session; 2],
    /// What each session has sent and has no answer to.
    waiting: [Option<Statement>; 2],
    /// What has happened so far.
    told: String,
    judge: Judge<'a>,
}

impl Run<'_> {
    /// Takes a session's answers if both servers have one.
    fn collect(&mut self, who: usize) -> io::Result<Option<Failure>> {
        let Some(statement) = self.waiting[who].clone() else { return Ok(None) };
        let Session { ours, real } = &mut self.sessions[who];
        let mut answered = (real.answers_within(WAITING)?, ours.answers_within(WAITING)?);
        if answered.0 != answered.1 {
            answered = (real.answers_within(LAGGING)?, ours.answers_within(LAGGING)?);
        }
        match answered {
            (true, true) => {
                self.waiting[who] = None;
                let differences = self.sessions[who].answers(false)?;
                let failure = self.judged(&statement, &differences);
                let _ = writeln!(self.told, "    {who}: {}", statement.sql);
                Ok(failure)
            }
            (false, false) => {
                let _ = writeln!(self.told, "    {who}: {} … waits", statement.sql);
                Ok(None)
            }
            (theirs, ours) => {
                let says = |answered| if answered { "answers" } else { "waits" }.to_owned();
                let difference = Difference { aspect: "waits", ours: says(ours), theirs: says(theirs) };
                Ok(self.judged(&statement, &[difference]))
            }
        }
    }

    /// Ends both transactions; whoever waits gets its answer by that.
    fn end(&mut self) -> io::Result<(usize, Option<Failure>)> {
        let mut ended = 0;
        while ended < 4 {
            let Some(who) = (0..2).find(|who| self.waiting[*who].is_none()) else {
                // Both wait for each other: after a second one of them is told so.
                std::thread::sleep(WAITING);
                for who in 0..2 {
                    if let Some(failure) = self.collect(who)? {
                        return Ok((ended, Some(failure)));
                    }
                }
                continue;
            };
            let rollback = unordered("ROLLBACK");
            self.sessions[who].send(&rollback)?;
            self.waiting[who] = Some(rollback);
            ended += 1;
            for session in [who, 1 - who] {
                if let Some(failure) = self.collect(session)? {
                    return Ok((ended, Some(failure)));
                }
            }
            if self.waiting.iter().all(Option::is_none) && ended >= 2 {
                break;
            }
        }
        Ok((ended, None))
    }

    fn judged(&self, statement: &Statement, differences: &[Difference]) -> Option<Failure> {
        let counting: Vec<_> =
            differences.iter().filter(|difference| (self.judge)(statement, difference)).cloned().collect();
        (!counting.is_empty()).then(|| Failure {
            statement: statement.clone(),
            differences: counting,
            before: self.told.clone(),
        })
    }
}
