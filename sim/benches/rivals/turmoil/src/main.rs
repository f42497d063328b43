//! The echo workload on turmoil's `Sim`, a tick a millisecond.
//!
//! Its delays are whole milliseconds drawn from an exponential distribution and cut at the maximum; the curve below makes
//! their mean that of the workload.

use std::process::ExitCode;
use std::time::Duration;

use harness::workload::{LATENCY, PORT, ask, serve};
use harness::{Tally, World};
use tokio::time::{Instant, sleep_until};
use turmoil::net::{TcpListener, TcpStream};

/// Makes the mean delay 3.0 ms: it is 1 + Σ exp(−k·curve/4), k = 1..4, in milliseconds.
const LATENCY_CURVE: f64 = 1.2;

fn main() -> ExitCode {
    harness::run("turmoil", simulate)
}

fn simulate(world: &World, seed: u64) -> Tally {
    let mut sim = turmoil::Builder::new()
        .tick_duration(Duration::from_millis(1))
        // `step` refuses to go beyond this.
        .simulation_duration(world.length + Duration::from_secs(1))
        .min_message_latency(LATENCY.start)
        .max_message_latency(LATENCY.end)
        .rng_seed(seed)
        .build();
    sim.set_message_latency_curve(LATENCY_CURVE);
    sim.host("server", server);
    let tally = Tally::default();
    for client in 1..world.hosts {
        let (rate, tally) = (world.rate, tally.clone());
        sim.host(format!("client-{client}"), move || {
            let tally = tally.clone();
            async move {
                let stream = TcpStream::connect(("server", PORT)).await?;
                let start = Instant::now();
                Ok(ask(stream, rate, tally, |offset| sleep_until(start + offset)).await?)
            }
        });
    }
    while sim.elapsed() < world.length {
        sim.step().expect("no host of this workload fails");
    }
    tally
}

async fn server() -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::task::spawn_local(serve(stream));
    }
}
