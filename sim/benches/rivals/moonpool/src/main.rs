//! The echo workload on moonpool-sim's `SimWorld` and deterministic executor, all its chaos off.
//!
//! Its `SimulationBuilder` takes no network configuration: without chaos it runs the default one, with faults and latencies
//! of its own. So the world is driven one level below, with the loop of its orchestrator, and without the layer that records
//! every event for the invariants.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use harness::workload::{LATENCY, PORT, ask, serve};
use harness::{Tally, World};
use moonpool_sim::executor::{Executor, spawn, until_stalled};
use moonpool_sim::{
    ChaosConfiguration, LatencyDistribution, NetworkConfiguration, NetworkProvider, SimNetworkProvider,
    SimTimeProvider, SimWorld, TcpListenerTrait, TimeProvider,
};
use tokio_util::compat::FuturesAsyncReadCompatExt;

fn main() -> ExitCode {
    harness::run("moonpool-sim", simulate)
}

fn simulate(world: &World, seed: u64) -> Tally {
    let mut sim = SimWorld::new_with_network_config_and_seed(network(), seed);
    let tally = Tally::default();
    Executor::new(seed).block_on(async {
        spawn("server", server(sim.network_provider()));
        for _ in 1..world.hosts {
            // A listener holds one connection that awaits acceptance, and forgets it when the next arrives; so each client
            // waits its turn. No simulated time passes.
            until_stalled().await;
            spawn(
                "client",
                client(
                    sim.network_provider(),
                    sim.time_provider(),
                    world.rate,
                    tally.clone(),
                ),
            );
        }
        // Keeps an event in the queue of a world that is silent.
        let _end = sim.sleep(world.length);
        while sim.current_time() < world.length {
            until_stalled().await;
            sim.step();
        }
    });
    tally
}

/// A write's latency is that of its delivery.
fn network() -> NetworkConfiguration {
    let one_way = LatencyDistribution::Uniform {
        start: LATENCY.start,
        end: LATENCY.end,
    };
    NetworkConfiguration {
        connect_latency: one_way.clone(),
        write_latency: one_way,
        chaos: ChaosConfiguration::disabled(),
        ..NetworkConfiguration::default()
    }
}

fn address() -> String {
    format!("10.0.1.1:{PORT}")
}

async fn server(net: SimNetworkProvider) -> io::Result<()> {
    let listener = net.bind(&address()).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        spawn("connection", serve(stream.compat()));
    }
}

async fn client(net: SimNetworkProvider, time: SimTimeProvider, rate: u64, tally: Tally) -> io::Result<()> {
    let stream = net.connect(&address()).await?;
    let start = time.now();
    let until = |offset: Duration| {
        let time = time.clone();
        async move {
            let wait = (start + offset).saturating_sub(time.now());
            // Fails only when the world is gone, and then nobody polls this.
            let _ = time.sleep(wait).await;
        }
    };
    ask(stream.compat(), rate, tally, until).await
}
