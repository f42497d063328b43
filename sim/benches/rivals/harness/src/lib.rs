//! What the rivals share, so that they differ in nothing but the engine: arguments, timing, the check that the work was
//! done, the line of output, and the allocator. The two halves of the workload itself are in [`workload`].
//!
//! Absent on purpose: anything that knows how an engine is driven. That is each binary's own file.

mod args;
pub mod workload;

use std::process::ExitCode;
use std::time::{Duration, Instant};

pub use args::Args;
use workload::check;
pub use workload::{Tally, World};

/// The allocator of the `tradewind` binary: engines that allocate much must not lose to the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LOCK_FILE: &str = include_str!("../../Cargo.lock");

/// Measures `simulate`, which runs one seed to the end of simulated time, and prints one line of JSON.
///
/// `package` is the engine's name in `Cargo.lock`. Fails, printing no line, when any seed did not do the work.
pub fn run(package: &str, mut simulate: impl FnMut(&World, u64) -> Tally) -> ExitCode {
    let measured = Args::parse(std::env::args().skip(1)).and_then(|args| {
        let version = locked_version(package).ok_or_else(|| format!("{package} is not in Cargo.lock"))?;
        let mut repeats = (0..args.repeats)
            .map(|_| measure(&args, &mut simulate))
            .collect::<Result<Vec<_>, _>>()?;
        repeats.sort_by_key(|repeat| repeat.wall);
        Ok(json(package, version, &args, &repeats))
    });
    match measured {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("{package}: {reason}");
            ExitCode::FAILURE
        }
    }
}

struct Repeat {
    wall: Duration,
    /// Echoes of all seeds together.
    messages: u64,
}

fn measure(args: &Args, simulate: &mut impl FnMut(&World, u64) -> Tally) -> Result<Repeat, String> {
    let started = Instant::now();
    let tallies: Vec<Tally> = (0..args.seeds).map(|seed| simulate(&args.world, seed)).collect();
    let wall = started.elapsed();
    for (seed, tally) in tallies.iter().enumerate() {
        check(&args.world, tally).map_err(|reason| format!("seed {seed} did not do the work: {reason}"))?;
    }
    let messages = tallies.iter().map(Tally::echoes).sum();
    Ok(Repeat { wall, messages })
}

/// `repeats` ordered by wall time, not empty.
fn json(engine: &str, version: &str, args: &Args, repeats: &[Repeat]) -> String {
    let (fastest, median, slowest) = (
        &repeats[0],
        &repeats[repeats.len() / 2],
        &repeats[repeats.len() - 1],
    );
    format!(
        r#"{{"engine":"{engine}","version":"{version}","hosts":{},"rate":{},"seconds":{},"seeds":{},"messages":{},"wall_seconds":{:.6},"wall_seconds_min":{:.6},"wall_seconds_max":{:.6}}}"#,
        args.world.hosts,
        args.world.rate,
        args.world.length.as_secs(),
        args.seeds,
        median.messages,
        median.wall.as_secs_f64(),
        fastest.wall.as_secs_f64(),
        slowest.wall.as_secs_f64(),
    )
}

/// The version that was built, so that the line cannot name another.
fn locked_version(package: &str) -> Option<&'static str> {
    LOCK_FILE
        .split("[[package]]")
        .find(|entry| entry.contains(&format!("\nname = \"{package}\"\n")))?
        .lines()
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    fn tally(connected: u64, echoes: u64) -> Tally {
        let tally = Tally::default();
        (0..connected).for_each(|_| tally.count_connection());
        (0..echoes).for_each(|_| tally.count_echo());
        tally
    }

    #[test]
    fn a_run_that_did_the_work_within_two_percent_passes() {
        let world = args("--hosts 10 --rate 10 --seconds 20 --seeds 1").unwrap().world;
        for echoes in [1764, 1800, 1836] {
            assert_eq!(check(&world, &tally(9, echoes)), Ok(()));
        }
    }

    #[test]
    fn a_run_that_did_less_or_more_than_the_work_fails() {
        let world = args("--hosts 10 --rate 10 --seconds 20 --seeds 1").unwrap().world;
        for echoes in [0, 1763, 1837] {
            assert!(check(&world, &tally(9, echoes)).is_err(), "{echoes} echoes");
        }
        assert!(
            check(&world, &tally(8, 1800)).is_err(),
            "a client never connected"
        );
    }

    #[test]
    fn an_idle_run_must_connect_and_stay_silent() {
        let world = args("--hosts 3 --rate 0 --seconds 20 --seeds 1").unwrap().world;
        assert_eq!(check(&world, &tally(2, 0)), Ok(()));
        assert!(check(&world, &tally(2, 1)).is_err());
        assert!(check(&world, &tally(0, 0)).is_err());
    }

    #[test]
    fn a_run_that_did_not_do_the_work_is_not_measured() {
        let args = args("--hosts 3 --rate 1 --seconds 5 --seeds 2").unwrap();
        assert!(measure(&args, &mut |_, _| tally(2, 9)).is_err());
        let repeat = measure(&args, &mut |_, _| tally(2, 10)).unwrap();
        assert_eq!(repeat.messages, 20);
    }

    #[test]
    fn the_line_carries_the_median_and_its_spread() {
        let args = args("--hosts 3 --rate 1 --seconds 5 --seeds 2").unwrap();
        let repeats = [100, 200, 900].map(|ms| Repeat {
            wall: Duration::from_millis(ms),
            messages: 20,
        });
        assert_eq!(
            json("turmoil", "0.7.2", &args, &repeats),
            r#"{"engine":"turmoil","version":"0.7.2","hosts":3,"rate":1,"seconds":5,"seeds":2,"messages":20,"wall_seconds":0.200000,"wall_seconds_min":0.100000,"wall_seconds_max":0.900000}"#
        );
    }

    #[test]
    fn the_version_is_that_of_the_lock_file() {
        assert!(locked_version("turmoil").is_some_and(|version| version.starts_with("0.7.")));
        assert_eq!(locked_version("no such package"), None);
    }
}
