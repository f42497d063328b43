//! What one operation of each peer costs in a simulation: `cargo bench -p scenarios --bench peers`.
//!
//! A client – the runtime's own, over the real client crates – asks one thing after another; CPU time of the whole process,
//! so client, server and network together, less what the same world costs when the client asks nothing. The first row is
//! the baseline: a line echoed over the same network, without any protocol.
#![expect(clippy::disallowed_macros, reason = "a benchmark prints")]

use std::time::Duration;

use broker::Exchange;
use env::Env;
use redis::Cmd;
use runtime::{
    clients::{
        broker::{Broker, Credentials},
        bus::Bus,
        ledger::{Ledger, Statement},
    },
    core::{ClientOrderId, Intent, IntentId, Side},
};
use sim::{Case, Options, World, ms, run, secs};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

/// The allocator of the `tradewind` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Operations of one measurement.
const OPERATIONS: u64 = 5_000;
const REPEATS: usize = 5;
/// Between two requests to the exchange: 1,000 a minute, which it still answers (1,200 orders, 2,400 units of weight).
const PACE: Duration = ms(60);
/// The simulated time of a run, enough for the slowest.
const SPAN: Duration = secs(OPERATIONS * (PACE.as_millis() as u64 + 5) / 1_000 + 20);
const ECHO_PORT: u16 = 7;

struct Operation {
    name: &'static str,
    /// CPU time that it should not exceed, in microseconds.
    target: Option<f64>,
    /// Adds the server, and the client with so many operations to do.
    world: fn(&mut World, u64),
}

const fn operation(name: &'static str, target: Option<f64>, world: fn(&mut World, u64)) -> Operation {
    Operation { name, target, world }
}

const ALL: [Operation; 9] = [
    operation("echo", None, |world, operations| {
        world.host("echo", echo_server);
        client(world, "echo", move |env| echo(env, operations));
    }),
    operation("bus SET", Some(15.0), |world, operations| commands(world, operations, set)),
    operation("bus GET", Some(15.0), |world, operations| commands(world, operations, get)),
    operation("bus XADD", Some(15.0), |world, operations| commands(world, operations, xadd)),
    operation("ledger SELECT by key", Some(60.0), |world, operations| statements(world, operations, select)),
    operation("ledger INSERT", Some(60.0), |world, operations| statements(world, operations, insert)),
    operation("ledger UPDATE by key", Some(60.0), |world, operations| statements(world, operations, update)),
    operation("broker place order", Some(60.0), |world, operations| orders(world, operations, true)),
    operation("broker query order", Some(60.0), |world, operations| orders(world, operations, false)),
];

fn main() {
    println!("{:<22} {:>10} {:>10} {:>10}   target", "operation", "median µs", "least", "most");
    for operation in &ALL {
        let mut costs = [(); REPEATS].map(|()| measure(operation));
        costs.sort_by(f64::total_cmp);
        let target = operation.target.map_or_else(String::new, |target| format!("≤ {target:.0}"));
        println!(
            "{:<22} {:>10.1} {:>10.1} {:>10.1}   {target}",
            operation.name,
            costs[REPEATS / 2],
            costs[0],
            costs[REPEATS - 1]
        );
    }
}

/// CPU time of one operation, in microseconds.
fn measure(operation: &Operation) -> f64 {
    let busy = cpu_of(operation, OPERATIONS);
    let idle = cpu_of(operation, 0);
    busy.saturating_sub(idle).as_secs_f64() * 1e6 / OPERATIONS as f64
}

fn cpu_of(operation: &Operation, operations: u64) -> Duration {
    let world = operation.world;
    let case = Case::new("operation", move |it| world(it, operations));
    let case = case.safety(SPAN).verify(|check| check.reached("client.done"));
    let before = cpu();
    let outcome = run(&case, 1, &Options::default()).expect("an empty plan fits every world");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
    cpu() - before
}

fn cpu() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

/// Adds a client one millisecond away from its server.
fn client<F>(world: &mut World, server: &str, work: impl Fn(Env) -> F + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    world.link("client", server, ms(1), ms(1));
    world.host("client", move |env| {
        let work = work(env);
        async move {
            work.await;
            env::fact!("client.done");
        }
    });
}

async fn echo_server(env: Env) {
    let listener = env.net.listen(ECHO_PORT).await.expect("the port is free");
    let (mut stream, _) = listener.accept().await.expect("a client");
    let mut line = [0; 64];
    while stream.read_exact(&mut line).await.is_ok() {
        stream.write_all(&line).await.expect("the client waits");
    }
}

async fn echo(env: Env, operations: u64) {
    let mut stream = env.net.connect("echo", ECHO_PORT).await.expect("the server listens");
    let mut line = [b'.'; 64];
    for _ in 0..operations {
        stream.write_all(&line).await.expect("the server reads");
        stream.read_exact(&mut line).await.expect("the server answers");
    }
}

fn commands(world: &mut World, operations: u64, command: fn(u64) -> Cmd) {
    world.host("bus", |env| async { drop(bus::serve(env, bus::Config::default()).await) });
    client(world, "bus", move |env| async move {
        let mut bus = Bus::for_commands(env, "client");
        for number in 0..operations {
            bus.insist(&command(number)).await;
        }
    });
}

fn set(number: u64) -> Cmd {
    redis::cmd("SET").arg(key(number)).arg(number).arg("PX").arg(30_000).take()
}

fn get(number: u64) -> Cmd {
    redis::cmd("GET").arg(key(number)).take()
}

fn xadd(number: u64) -> Cmd {
    redis::cmd("XADD").arg("fills").arg("MAXLEN").arg("~").arg(1_000).arg("*").arg("n").arg(number).take()
}

fn key(number: u64) -> String {
    format!("key:{}", number % 100)
}

fn statements(world: &mut World, operations: u64, statement: fn(i64) -> Statement) {
    world.host("ledger", |env| async { drop(ledger::serve(env, ledger::Config::default()).await) });
    client(world, "ledger", move |env| async move {
        let ledger = Ledger::new(env, "client");
        ledger
            .insist_batch("CREATE TABLE fills (id BIGINT PRIMARY KEY, symbol TEXT, qty NUMERIC(20, 8))")
            .await;
        for number in 0..operations {
            ledger.execute(&statement(number as i64)).await.expect("a statement without fault");
        }
    });
}

fn insert(number: i64) -> Statement {
    Statement::new("INSERT INTO fills (id, symbol, qty) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING")
        .int(number)
        .text("BTCUSDT")
        .number(number.into())
}

fn update(number: i64) -> Statement {
    Statement::new("UPDATE fills SET qty = $2 WHERE id = $1").int(number).number(number.into())
}

fn select(number: i64) -> Statement {
    Statement::new("SELECT symbol, qty FROM fills WHERE id = $1").int(number)
}

fn orders(world: &mut World, operations: u64, place: bool) {
    let exchange = Exchange::new(broker::Config::default());
    world.host("broker", move |env| {
        let exchange = exchange.clone();
        async { drop(broker::serve(env, exchange).await) }
    });
    client(world, "broker", move |env| async move {
        let credentials = Credentials { api_key: "key".into(), secret: "secret".into() };
        let broker = Broker::new(env, credentials);
        let first = intent(0);
        broker.place(&first).await.expect("an order without fault");
        for number in 1..=operations {
            sleep(PACE).await;
            let answer = match place {
                true => broker.place(&intent(number)).await.map(Some),
                false => broker.order(&first.symbol, &first.client_order_id).await,
            };
            answer.expect("an answer without fault").expect("the order is known");
        }
    });
}

/// Buys and sells in turns.
fn intent(number: u64) -> Intent {
    let intent_id: IntentId = format!("bench-{number}").parse().expect("a name");
    Intent {
        client_order_id: ClientOrderId::of(&intent_id),
        intent_id,
        symbol: "BTCUSDT".parse().expect("a symbol"),
        side: if number.is_multiple_of(2) { Side::Buy } else { Side::Sell },
        qty: "0.010".parse().expect("a quantity"),
        price: "60000.0".parse().expect("a price"),
        reduce_only: false,
    }
}
