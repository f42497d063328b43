//! Public clients of the exchange in trading sessions with the broker. The scripts assert what must hold; what they print
//! is the same on every run and compared with the snapshot beside them.

use std::{fmt::Write, process::Command};

use tempfile::NamedTempFile;

use crate::{
    clients, report,
    servers::{Server, program},
};

/// The client, its package, and the script of its session.
const SESSIONS: &[(&str, &str, &str)] = &[
    ("ccxt", "ccxt", "ccxt_session.py"),
    ("binance-futures-connector", "binance-futures-connector", "connector_session.py"),
    ("python-binance", "python-binance", "python_binance_session.py"),
];

/// Trades of the tape: enough for ten minutes.
const TRADES: usize = 6_000;
/// Between two of them, in milliseconds.
const INTERVAL: usize = 100;

/// A market whose price does not move beyond one tick: whatever a client's speed, it meets the same prices.
fn calm_tape() -> NamedTempFile {
    let mut text = String::from(
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n",
    );
    for id in 1..=TRADES {
        let (price, maker) = if id % 2 == 0 { ("50000.00", "true") } else { ("50000.10", "false") };
        let _ = writeln!(text, "{id},{price},1.500,{id},{id},{},{maker}", 1_700_000_000_000 + id * INTERVAL);
    }
    let tape = tempfile::Builder::new().suffix(".csv").tempfile().expect("room for a tape");
    std::fs::write(tape.path(), text).expect("room for a tape");
    tape
}

fn version(package: &str) -> String {
    let code = format!("from importlib.metadata import version; print(version('{package}'))");
    let output = Command::new(program("python")).args(["-c", &code]).output().expect("python runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn clients_of_the_exchange_trade_with_the_broker() {
    let mut rows = Vec::new();
    for (client, package, script) in SESSIONS {
        let tape = calm_tape();
        let broker = Server::ours("broker", &["--tape", tape.path().to_str().expect("a path in text")]);
        let path = clients::script(script);
        let arguments = [path.to_str().expect("a path in text"), &broker.port.to_string()];
        let steps = clients::transcript(&program("python"), &arguments);
        let text: String = steps.iter().map(|(name, said)| format!("@@ {name}\n{said}")).collect();
        insta::with_settings!({
            prepend_module_to_snapshot => false,
            snapshot_path => "clients",
            description => format!("What {client} says in its session with the broker.")
        }, {
            insta::assert_snapshot!(script.trim_end_matches(".py"), text);
        });
        rows.push([format!("{client} {}", version(package)), steps.len().to_string(), format!("`{script}`")]);
    }
    let table = report::table(["client", "steps", "session"], rows);
    report::check("broker clients", &table);
}
