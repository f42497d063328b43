//! The echo workload on madsim's runtime and simulated network.
//!
//! Builds only with the flag `--cfg madsim`, which `run.sh` sets: without it madsim is a thin layer over the real network.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::workload::{LATENCY, PORT, ask, serve};
use harness::{Tally, World};
use madsim::net::{TcpListener, TcpStream};
use madsim::runtime::Runtime;
use madsim::time::{sleep, sleep_until};

fn main() -> ExitCode {
    harness::run("madsim", simulate)
}

fn simulate(world: &World, seed: u64) -> Tally {
    let mut config = madsim::Config::default();
    config.net.send_latency = LATENCY;
    let runtime = Runtime::with_seed_and_config(seed, config);
    let node = |name: &str, host| runtime.create_node().name(name).ip(ip(host)).build();
    let tally = Tally::default();
    let mut nodes = vec![node("server", 0)];
    nodes[0].spawn(server());
    for client in 1..world.hosts {
        let node = node(&format!("client-{client}"), client);
        node.spawn(run_client(world.rate, tally.clone()));
        nodes.push(node);
    }
    runtime.block_on(async {
        sleep(world.length).await;
        // A runtime that is dropped keeps the tasks that have not ended, some 80 KB a seed; those of a killed node end.
        nodes.iter().for_each(|node| runtime.handle().kill(node.id()));
        sleep(Duration::from_millis(1)).await;
    });
    tally
}

fn ip(host: u64) -> IpAddr {
    let last = u8::try_from(host + 1).expect("the arguments allow no more hosts than a subnet has addresses");
    Ipv4Addr::new(10, 0, 0, last).into()
}

async fn server() -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        madsim::task::spawn(serve(stream));
    }
}

async fn run_client(rate: u64, tally: Tally) -> io::Result<()> {
    let stream = TcpStream::connect((ip(0), PORT)).await?;
    let start = Instant::now();
    ask(stream, rate, tally, |offset| sleep_until(start + offset)).await
}
