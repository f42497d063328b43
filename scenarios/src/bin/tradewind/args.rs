//! The command line.

use std::{io::Write, num::NonZeroUsize, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use scenarios::{Length, Scenario};

#[derive(Parser)]
#[command(
    name = "tradewind",
    version,
    about = "Deterministic simulation tests for a fail-safe trading system",
    after_help = "Without a command the whole catalogue runs, as with `run`.\n\
                  Exit codes: 0 everything held, 1 something did not, 2 the call was wrong."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run scenarios over many seeds and print a table
    Run(RunArgs),
    /// Run one scenario with one seed, and tell what happens
    Replay(ReplayArgs),
    /// List the scenarios
    List,
    /// Serve one of the simulated peers on this machine's loopback network and disk
    #[command(subcommand)]
    Serve(Peer),
    /// Ask a running supervisor for its status, or to do something
    Ops(OpsArgs),
}

#[derive(Args)]
pub struct OpsArgs {
    /// Where the supervisor is
    #[arg(long, value_name = "HOST:PORT", value_parser = address, default_value = "127.0.0.1:8080")]
    pub at: (String, u16),
    /// The operator's token [default: the environment's TRADEWIND_OPS_TOKEN]
    #[arg(long, value_name = "TOKEN", default_value_t = token_of_environment(), hide_default_value = true)]
    pub token: String,
    #[command(subcommand)]
    pub command: OpsCommand,
}

/// What operators do; the steps of the runbooks.
#[derive(Subcommand)]
pub enum OpsCommand {
    /// What the last health check has found
    Status,
    /// Whether the supervisor is ready, and what keeps it from being so
    Health,
    /// Its metrics, in Prometheus's text format
    Metrics,
    /// Check the health now
    Check,
    /// Restart a process
    Restart {
        /// Its role name, as `feeder`
        name: String,
    },
    /// Clear one halt: PANIC, FAILSAFE, KILL_SWITCH, or the file STOP.TXT
    ClearHalt {
        /// The reason of the halt
        reason: String,
    },
    /// Clear FAILSAFE and remove STOP.TXT; breakers have their own command
    ClearFailsafe,
    /// Close the circuit breaker of a symbol
    ResetBreaker {
        /// The symbol
        symbol: String,
    },
    /// Stop all entries, or allow them again
    #[command(subcommand)]
    KillSwitch(KillSwitch),
}

#[derive(Subcommand)]
pub enum KillSwitch {
    /// Whether it is active
    Status,
    /// Stop all entries, until it is deactivated
    Activate {
        /// Why, for those who will ask
        reason: String,
    },
    /// Allow entries again
    Deactivate {
        /// Why, for those who will ask
        reason: String,
    },
}

#[derive(Args, Default)]
pub struct RunArgs {
    /// Scenarios to run; none means all
    #[arg(value_name = "NAME", value_parser = scenario)]
    pub names: Vec<Scenario>,
    /// Seeds 0 to N-1 of each scenario [default: 10 or 100, by the scenario's cost]
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub seeds: Option<u64>,
    /// The first seed
    #[arg(long, value_name = "S", value_parser = seed, default_value = "0", allow_negative_numbers = true)]
    pub from: u64,
    /// Runs at a time [default: one per core]
    #[arg(long, value_name = "J", value_parser = jobs, allow_negative_numbers = true)]
    pub jobs: Option<NonZeroUsize>,
    /// Write the results there as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub length: LengthArgs,
}

#[derive(Args, Default)]
pub struct LengthArgs {
    /// Let scenarios that show more in a longer time have it: 24 simulated hours of calm_day instead of 30 minutes
    #[arg(long)]
    pub long: bool,
}

impl LengthArgs {
    pub const fn length(&self) -> Length {
        if self.long { Length::Long } else { Length::Sweep }
    }
}

#[derive(Args)]
pub struct ReplayArgs {
    /// The scenario
    #[arg(value_name = "NAME", value_parser = scenario)]
    pub scenario: Scenario,
    /// The seed
    #[arg(long, value_name = "S", value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,
    /// Inject the faults of this file instead of those drawn from the seed
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Print what happened: `story` (facts and faults), `all` (details, too), `json` (all, as JSON lines)
    #[arg(long, value_name = "LEVEL", num_args = 0..=1, default_missing_value = "story")]
    pub trace: Option<Trace>,
    #[command(flatten)]
    pub length: LengthArgs,
}

/// The servers that `serve` knows.
#[derive(Subcommand)]
pub enum Peer {
    /// The bus, which speaks Redis's protocol [port 6379]
    Bus {
        #[command(flatten)]
        serve: ServeArgs,
        /// Let nobody in who does not know this [default: let everybody in]
        #[arg(long, value_name = "WORD")]
        password: Option<String>,
    },
    /// The ledger, which speaks PostgreSQL's protocol [port 5432]
    Ledger(ServeArgs),
    /// The broker, which speaks Binance's USD-M futures API [port 8080; key `key`, secret `secret`]
    Broker {
        #[command(flatten)]
        serve: ServeArgs,
        /// Play these trades, in the venue's CSV format, as BTCUSDT's market [default: a random walk]
        #[arg(long, value_name = "FILE")]
        tape: Option<PathBuf>,
    },
}

#[derive(Args)]
pub struct ServeArgs {
    /// The port on 127.0.0.1; 0 picks a free one
    #[arg(long, value_name = "P", value_parser = port, allow_negative_numbers = true)]
    pub port: Option<u16>,
    /// Keep the files in this directory [default: a new one, which is removed at the end]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Trace {
    Story,
    All,
    Json,
}

fn scenario(name: &str) -> Result<Scenario, String> {
    let names = || scenarios::ALL.iter().map(|scenario| scenario.name).collect::<Vec<_>>().join(", ");
    scenarios::find(name).copied().ok_or_else(|| format!("there is no such scenario; there are {}", names()))
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a seed is a whole number from 0 to {}", u64::MAX))
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("a port is a whole number from 0 to {}", u16::MAX))
}

fn address(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    parts
        .filter(|(host, _)| !host.is_empty())
        .ok_or_else(|| "an address is HOST:PORT, as 127.0.0.1:8080".into())
}

#[expect(clippy::disallowed_methods, reason = "the settings of a binary are read at its start")]
fn token_of_environment() -> String {
    std::env::var("TRADEWIND_OPS_TOKEN").unwrap_or_default()
}

/// More seeds than anybody can wait for are a slip of the finger.
const MOST_SEEDS: u64 = 10_000_000;

fn count(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| (1..=MOST_SEEDS).contains(count));
    count.ok_or_else(|| format!("a number of seeds is a whole number from 1 to {MOST_SEEDS}"))
}

/// Each run takes two threads; beyond this the system has none left.
const MOST_JOBS: usize = 1_024;

fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    let jobs = text.parse().ok().filter(|jobs: &NonZeroUsize| jobs.get() <= MOST_JOBS);
    jobs.ok_or_else(|| format!("a number of jobs is a whole number from 1 to {MOST_JOBS}"))
}

/// Reads the command line; when it is wrong, complains in one line. Asked for help or the version, prints that.
pub fn parse() -> Result<Command, ExitCode> {
    match Cli::try_parse() {
        Ok(cli) => Ok(cli.command.unwrap_or_else(|| Command::Run(RunArgs::default()))),
        Err(error) if !error.use_stderr() => {
            // Help is for a reader who may have gone away.
            let _ = error.print();
            Err(ExitCode::SUCCESS)
        }
        Err(error) => {
            let text = error.to_string();
            let words =
                text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
            let line = words.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
            Err(complain(line.strip_prefix("error: ").unwrap_or(&line)))
        }
    }
}

/// One line on standard error, and the exit code for a wrong call.
pub fn complain(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "tradewind: {message}");
    ExitCode::from(2)
}
