//! Many runs at once: one thread per job, each run on a fresh thread of its own, no order between them but in what is
//! reported.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, mpsc},
    thread,
};

use crate::{
    case::Case,
    misfit::Misfit,
    run::{Options, Outcome, run, run_twice},
};

/// One run of a sweep.
#[derive(Clone)]
pub struct Job {
    /// What to run.
    pub case: Case,
    /// With which seed.
    pub seed: u64,
    /// Run it twice and compare, see [`run_twice`].
    pub twice: bool,
}

/// Runs all jobs, `parallel` at a time, and hands each outcome to `report` as it comes; the events of runs that held are
/// dropped first. The order of reports is that of completion, the outcomes themselves do not depend on it.
///
/// # Errors
/// The first plan that does not fit its world; the runs that have begun are still reported.
pub fn sweep(
    jobs: impl IntoIterator<Item = Job, IntoIter: Send>,
    parallel: NonZeroUsize,
    options: &Options,
    mut report: impl FnMut(Outcome),
) -> Result<(), Misfit> {
    let jobs = Mutex::new(jobs.into_iter());
    let (send, receive) = mpsc::channel();
    let work = |send: mpsc::Sender<Result<Outcome, Misfit>>| {
        loop {
            let next = jobs.lock().expect("taking a job does not panic").next();
            let Some(job) = next else { return };
            let play = if job.twice { run_twice } else { run };
            let outcome = play(&job.case, job.seed, options).map(|mut outcome| {
                if outcome.verdict.held() {
                    outcome.events = Vec::new();
                }
                outcome
            });
            let failed = outcome.is_err();
            if send.send(outcome).is_err() || failed {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..parallel.get() {
            let send = send.clone();
            scope.spawn(|| work(send));
        }
        drop(send);
        let mut result = Ok(());
        for outcome in receive {
            match outcome {
                Ok(outcome) => report(outcome),
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    })
}
