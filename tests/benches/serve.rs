//! How fast the served peers are beside the real servers: `cargo bench -p tests`.
//!
//! Redis and PostgreSQL are driven with their own tools, redis-benchmark and pgbench, against ours and against the real
//! server in turns; there is no real exchange to compare with, so its orders stand alone. Needs what the conformance tests
//! need. Everything shares this machine, the load generator, too: read the ratios.
#![expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark talks to real servers, reads the machine's clock and prints"
)]

#[path = "../conformance/servers.rs"]
mod servers;

use std::{collections::BTreeMap, fs, process::Command, time::Instant};

use broker::{Account, Exchange};
use env::os;
use runtime::{
    clients::broker::{Broker, Credentials},
    core::{ClientOrderId, Intent, IntentId, Side},
};
use servers::{Server, program, version};
use tempfile::TempDir;

/// The allocator of the `tradewind` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    println!("beside Redis {} and PostgreSQL {}", version("redis-server"), version("postgres"));
    println!("{:<44} {:>12} {:>12}", "operation", "per second", "× real");
    bus();
    ledger();
    orders();
}

fn row(name: &str, rate: f64, real: Option<f64>) {
    let ratio = real.map_or_else(String::new, |real| format!("{:.2}", rate / real));
    println!("{name:<44} {rate:>12.0} {ratio:>12}");
}

fn bus() {
    let (real, ours) = (Server::redis(&[]), Server::ours("bus", &[]));
    for (depth, requests) in [("1", "100000"), ("16", "1000000")] {
        for (command, words) in [
            ("SET", vec!["SET", "key:__rand_int__", "value"]),
            ("GET", vec!["GET", "key:__rand_int__"]),
            ("XADD", vec!["XADD", "stream", "MAXLEN", "~", "1000", "*", "field", "value"]),
        ] {
            let rate = |port: u16| {
                let mut bench = Command::new(program("redis-benchmark"));
                bench.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-c", "50", "-r", "10000", "--csv"]);
                bench.args(["-n", requests, "-P", depth]).args(&words);
                // The last line: the command, requests per second, latencies.
                let output = finished(bench);
                let line = output.lines().last().expect("a result");
                line.rsplit("\",\"")
                    .nth(6)
                    .and_then(|rate| rate.parse().ok())
                    .unwrap_or_else(|| panic!("{line}"))
            };
            let redis: f64 = rate(real.port);
            row(&format!("{command}, 50 clients, pipeline {depth}: redis"), redis, None);
            row(&format!("{command}, 50 clients, pipeline {depth}: ours"), rate(ours.port), Some(redis));
        }
    }
}

const INSERT: &str = "\\set id random(1, 1000000000)\n\
    INSERT INTO bench (id, symbol, qty) VALUES (:id, 'BTCUSDT', 1.5) ON CONFLICT (id) DO NOTHING;\n";

fn ledger() {
    let files = tempfile::tempdir().expect("a temporary directory");
    let script = files.path().join("insert.sql");
    fs::write(&script, INSERT).expect("a writable directory");
    let rate = |server: &Server| {
        let mut psql = Command::new(program("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &server.port.to_string(), "-U", "postgres", "-qc"]);
        psql.arg("CREATE TABLE bench (id BIGINT PRIMARY KEY, symbol TEXT, qty NUMERIC(20, 8))");
        finished(psql);
        let mut bench = Command::new(program("pgbench"));
        bench.args(["-h", "127.0.0.1", "-p", &server.port.to_string(), "-U", "postgres", "-n"]);
        bench.args(["-c", "8", "-j", "2", "-T", "8", "-M", "extended", "-f"]).arg(&script).arg("postgres");
        let output = finished(bench);
        let rate = output.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
        rate.and_then(|rate| rate.parse::<f64>().ok()).unwrap_or_else(|| panic!("{output}"))
    };
    let synced = rate(&Server::postgres(&["fsync=on"]));
    row("INSERT, 8 clients: postgresql, fsync on", synced, None);
    row("INSERT, 8 clients: postgresql, fsync off", rate(&Server::postgres(&["fsync=off"])), None);
    row("INSERT, 8 clients: ours, fsync on", rate(&Server::ours("ledger", &[])), Some(synced));
}

fn finished(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Customers of the exchange, each with a client of its own; the venue lets each place 300 orders in ten seconds.
const CUSTOMERS: u64 = 64;
const ORDERS_EACH: u64 = 250;

fn orders() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let files = tempfile::tempdir().expect("a temporary directory");
    let rate = runtime.block_on(async {
        let accounts = (0..CUSTOMERS).map(|number| Account {
            api_key: format!("key-{number}"),
            secret: "secret".into(),
            balance: 10_000_000.into(),
        });
        let config = broker::Config { port: 0, accounts: accounts.collect(), ..broker::Config::default() };
        let server =
            broker::Server::bind(env_at(&files, 0), Exchange::new(config)).await.expect("a free port");
        let port = server.local_addr().expect("a bound port").port();
        let server = tokio::spawn(server.run());
        let started = Instant::now();
        let traders = (0..CUSTOMERS).map(|number| {
            let credentials = Credentials { api_key: format!("key-{number}"), secret: "secret".into() };
            tokio::spawn(trade(Broker::new(env_at(&files, port), credentials)))
        });
        for trader in traders.collect::<Vec<_>>() {
            trader.await.expect("a trader does not panic");
        }
        let rate = (CUSTOMERS * ORDERS_EACH) as f64 / started.elapsed().as_secs_f64();
        server.abort();
        rate
    });
    row(&format!("market order, {CUSTOMERS} clients: ours"), rate, None);
}

fn env_at(files: &TempDir, broker: u16) -> env::Env {
    let config = os::Config {
        data_dir: files.path().to_owned(),
        listen_ip: "127.0.0.1".into(),
        hosts: BTreeMap::from([("broker".into(), ("127.0.0.1".into(), broker))]),
        ..os::Config::default()
    };
    os::env(config).expect("an environment")
}

async fn trade(broker: Broker) {
    let symbol: runtime::core::Symbol = "BTCUSDT".parse().expect("a symbol");
    for number in 0..ORDERS_EACH {
        let intent_id: IntentId = format!("bench-{number}").parse().expect("a name");
        let intent = Intent {
            client_order_id: ClientOrderId::of(&intent_id),
            intent_id,
            symbol: symbol.clone(),
            side: if number.is_multiple_of(2) { Side::Buy } else { Side::Sell },
            qty: "0.010".parse().expect("a quantity"),
            price: "60000.0".parse().expect("a price"),
            reduce_only: false,
        };
        broker.place(&intent).await.expect("an order without fault");
    }
}
