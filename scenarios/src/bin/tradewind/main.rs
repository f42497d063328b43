//! `tradewind`: runs the catalogue, replays a seed, lists what there is, serves a peer, asks a supervisor.
//!
//! Exit codes: 0 everything held, 1 something did not, 2 the call was wrong.

mod args;
mod files;
mod list;
mod ops;
mod replay;
mod run;
mod screen;
mod serve;
mod table;

use std::process::ExitCode;

use args::{Command, parse};

/// Runs are bound by allocation; mimalloc makes them faster than the system's allocator (see docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Prints a line to standard output. A closed pipe ends the program quietly, as it should.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        if writeln!(std::io::stdout(), $($text)*).is_err() {
            std::process::exit(0);
        }
    }};
}

/// What a command has found.
enum Found {
    AllHeld,
    Failures,
}

fn main() -> ExitCode {
    let command = match parse() {
        Ok(command) => command,
        Err(code) => return code,
    };
    let outcome = match command {
        Command::Run(options) => run::run(&options),
        Command::Replay(options) => replay::replay(&options),
        Command::List => {
            list::list();
            Ok(Found::AllHeld)
        }
        Command::Serve(peer) => serve::serve(&peer).map(|()| Found::AllHeld),
        Command::Ops(args) => ops::ops(&args),
    };
    match outcome {
        Ok(Found::AllHeld) => ExitCode::SUCCESS,
        Ok(Found::Failures) => ExitCode::from(1),
        Err(error) => args::complain(&format!("{error:#}")),
    }
}
