//! How fast this engine is beside others on one workload; `README.md` says what is measured and how to read it.
//!
//! `cargo bench -p sim` measures this engine and the rivals, `-- --alone` only this one, `-- --alone --rate R` one rate
//! of it, to be profiled. Absent on purpose: how the rivals are driven; they are programs of their own that print a
//! line of JSON each.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark reads the machine's clock and prints"
)]

#[path = "rivals/harness/src/workload.rs"]
mod workload;

use std::{
    io,
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use env::Env;
use serde::Deserialize;
use sim::{Case, Options, run};
use tokio::time::sleep_until;
use workload::{LATENCY, PORT, Tally, World, ask, check, serve};

/// The allocator of the `tradewind` binary and of the rivals.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ENGINE: &str = env!("CARGO_PKG_NAME");
const BASELINE: &str = "turmoil";

/// The matrix of `rivals/run.sh`: messages per second and host, seeds.
const MATRIX: [(u64, u64); 4] = [(0, 20_000), (1, 500), (10, 50), (100, 5)];
const REPEATS: usize = 3;

fn main() -> ExitCode {
    match Args::parse(std::env::args().skip(1)).and_then(|args| measure_all(&args)) {
        Ok(lines) => {
            print_table(&lines);
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("{ENGINE}: {reason}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Args {
    alone: bool,
    rate: Option<u64>,
}

impl Args {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                // Cargo's own word for benchmarks.
                "--bench" => {}
                "--alone" => args.alone = true,
                "--rate" => {
                    let rate = words.next().and_then(|rate| rate.parse().ok());
                    let known = rate.filter(|rate| MATRIX.iter().any(|(known, _)| known == rate));
                    args.rate = Some(known.ok_or("--rate must be 0, 1, 10 or 100")?);
                }
                _ => return Err(format!("{word} is not an option; there are --alone and --rate R")),
            }
        }
        if args.rate.is_some() && !args.alone {
            return Err("--rate needs --alone: the rivals are measured at every rate".to_owned());
        }
        Ok(args)
    }
}

/// One measurement, as the rivals print it.
#[derive(Deserialize)]
struct Line {
    engine: String,
    version: String,
    rate: u64,
    /// Simulated, of each seed.
    seconds: u64,
    seeds: u64,
    /// Of all seeds together.
    messages: u64,
    /// Of all seeds together.
    wall_seconds: f64,
}

impl Line {
    fn simulated_per_wall_second(&self) -> f64 {
        (self.seconds * self.seeds) as f64 / self.wall_seconds
    }

    fn messages_per_wall_second(&self) -> f64 {
        self.messages as f64 / self.wall_seconds
    }

    fn wall_millis_per_seed(&self) -> f64 {
        1e3 * self.wall_seconds / self.seeds as f64
    }
}

fn measure_all(args: &Args) -> Result<Vec<Line>, String> {
    // The rivals first: whether they can be built is soon known.
    let mut lines = if args.alone { Vec::new() } else { rivals()? };
    for (rate, seeds) in MATRIX {
        if args.rate.is_none_or(|only| only == rate) {
            lines.push(measure(rate, seeds)?);
        }
    }
    Ok(lines)
}

fn rivals() -> Result<Vec<Line>, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rivals/run.sh");
    let output = Command::new(&script)
        .env("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/rivals"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{} did not start: {error}", script.display()))?;
    if !output.status.success() {
        return Err("the rivals were not measured, see above; `-- --alone` measures without them".to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("a rival printed `{line}`: {error}")))
        .collect()
}

fn measure(rate: u64, seeds: u64) -> Result<Line, String> {
    let world = World { hosts: 10, rate, length: Duration::from_secs(60) };
    let mut repeats = (0..REPEATS).map(|_| measure_once(&world, seeds)).collect::<Result<Vec<_>, _>>()?;
    repeats.sort_by_key(|(wall, _)| *wall);
    let (wall, messages) = repeats[REPEATS / 2];
    Ok(Line {
        engine: ENGINE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rate,
        seconds: world.length.as_secs(),
        seeds,
        messages,
        wall_seconds: wall.as_secs_f64(),
    })
}

/// Wall time and echoes of all seeds.
fn measure_once(world: &World, seeds: u64) -> Result<(Duration, u64), String> {
    let started = Instant::now();
    let tallies = (0..seeds).map(|seed| simulate(world, seed)).collect::<Result<Vec<_>, _>>()?;
    let wall = started.elapsed();
    for (seed, tally) in tallies.iter().enumerate() {
        check(world, tally).map_err(|reason| format!("seed {seed} did not do the work: {reason}"))?;
    }
    Ok((wall, tallies.iter().map(Tally::echoes).sum()))
}

fn simulate(world: &World, seed: u64) -> Result<Tally, String> {
    let tally = Tally::default();
    let (counted, hosts, rate) = (tally.clone(), world.hosts, world.rate);
    let setup = move |world: &mut sim::World| {
        world.host("server", server);
        for client in 1..hosts {
            let (name, tally) = (format!("client-{client}"), counted.clone());
            world.host(&name, move |env| run_client(env, rate, tally.clone())).link(
                "server",
                &name,
                LATENCY.start,
                LATENCY.end,
            );
        }
    };
    let case = Case::new("echo", setup).safety(world.length);
    let outcome = run(&case, seed, &Options::default()).map_err(|error| error.to_string())?;
    if outcome.verdict.held() { Ok(tally) } else { Err(format!("seed {seed}: {}", outcome.verdict)) }
}

async fn server(env: Env) {
    let listener = env.net.listen(PORT).await.expect("the port is free");
    while let Ok((stream, _)) = listener.accept().await {
        env.spawn("echo", async move {
            serve(stream).await.expect("no client of this workload fails");
        });
    }
}

async fn run_client(env: Env, rate: u64, tally: Tally) {
    let asked: io::Result<()> = async {
        let stream = env.net.connect("server", PORT).await?;
        let start = tokio::time::Instant::now();
        ask(stream, rate, tally, |offset| sleep_until(start + offset)).await
    }
    .await;
    asked.expect("no server of this workload fails");
}

fn print_table(lines: &[Line]) {
    println!(
        "{:<20} {:>6} {:>14} {:>12} {:>14} {:>10}",
        "engine", "msg/s", "sim s/wall s", "messages/s", "ms per seed", "× turmoil"
    );
    for (rate, _) in MATRIX {
        let mut at_rate: Vec<&Line> = lines.iter().filter(|line| line.rate == rate).collect();
        at_rate.sort_by(|a, b| a.wall_millis_per_seed().total_cmp(&b.wall_millis_per_seed()));
        let baseline = at_rate.iter().find(|line| line.engine == BASELINE);
        for line in &at_rate {
            let ratio =
                baseline.map(|baseline| baseline.wall_millis_per_seed() / line.wall_millis_per_seed());
            println!(
                "{:<20} {:>6} {:>14.0} {:>12.0} {:>14.3} {:>10}",
                format!("{} {}", line.engine, line.version),
                if rate == 0 { "idle".to_owned() } else { rate.to_string() },
                line.simulated_per_wall_second(),
                line.messages_per_wall_second(),
                line.wall_millis_per_seed(),
                ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.1}")),
            );
        }
    }
}
