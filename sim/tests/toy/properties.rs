//! What holds for every seed and plan.

use std::time::Duration;

use env::fact;
use proptest::prelude::*;
use sim::{Case, Options, Outcome, Plan, mins, ms, run, secs};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

use crate::world::{PORT, echo_case, echo_world, named, ping, serve};

fn play(case: &Case, seed: u64, plan: &str) -> Outcome {
    let plan = Some(Plan::parse(plan).expect("a well-formed plan"));
    run(case, seed, &Options { plan, ..Options::default() }).expect("known hosts")
}

/// A network fault somewhere in the first half minute.
fn net_fault() -> impl Strategy<Value = String> {
    let kinds = [
        "partition a|b",
        "partition a>b",
        "hold a>b",
        "hold a|b",
        "latency a|b 1ms..900ms",
        "loss a|b 30%",
        "bandwidth a|b 20000B/s",
        "connect-timeout a|b",
        "black-hole b",
    ];
    (proptest::sample::select(kinds.to_vec()), 0_u64..20_000, 1_u64..8_000)
        .prop_map(|(kind, at, span)| format!("{}.{:03}s net {kind} for {span}ms\n", at / 1_000, at % 1_000))
}

/// `a` streams numbered bytes to `b` in chunks of drawn sizes; `b` checks that they come in order and complete.
fn stream_case() -> Case {
    const BYTES: usize = 40_000;
    Case::new("stream", |world| {
        world.host("b", |env| async move {
            let listener = env.net.listen(PORT).await.expect("a free port");
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut next = 0;
            let mut buffer = [0; 700];
            while next < BYTES {
                let count = stream.read(&mut buffer).await.expect("no fault here ends a connection");
                assert!(count > 0, "the stream ended after {next} bytes");
                for byte in &buffer[..count] {
                    assert_eq!(usize::from(*byte), next % 256, "byte {next}");
                    next += 1;
                }
            }
            fact!("stream.complete");
            std::future::pending::<()>().await;
        });
        world.host("a", |env| async move {
            sleep(ms(5)).await;
            // A first SYN that is lost is sent again by TCP; whoever waits long enough gets through.
            let mut stream =
                timeout(mins(2), env.net.connect("b", PORT)).await.expect("in time").expect("it listens");
            let data: Vec<u8> = (0..BYTES).map(|index| index as u8).collect();
            let mut rest = &data[..];
            while !rest.is_empty() {
                let count = (1 + env.entropy.below("stream.chunk", 3_000) as usize).min(rest.len());
                stream.write_all(&rest[..count]).await.expect("no fault here ends a connection");
                rest = &rest[count..];
                sleep(Duration::from_millis(env.entropy.below("stream.pause", 1_500))).await;
            }
            std::future::pending::<()>().await;
        });
    })
    .safety(secs(30))
    .verify(|check| {
        check.eventually("all bytes arrive", mins(2), |view| {
            view.named("stream.complete").next().map(|_| ()).ok_or_else(|| "not yet".to_string())
        })
    })
}

/// The echo world and a host that only sleeps, or one that talks to a second server.
fn with_neighbours(talking: bool) -> Case {
    Case::new("echo", move |world| {
        world.host("other", serve);
        echo_world(world);
        world.host("neighbour", move |env| async move {
            if talking {
                let mut stream = env.net.connect("other", PORT).await.expect("it listens");
                loop {
                    stream.write_all(b"psst").await.expect("it echoes");
                    stream.read_exact(&mut [0; 4]).await.expect("it echoes");
                    let pause = env.entropy.below("neighbour.pause", 50);
                    sleep(ms(pause)).await;
                }
            }
            sleep(mins(9)).await;
        });
    })
    .safety(mins(1))
}

/// What the client has seen, and when.
fn client_story(outcome: &Outcome) -> Vec<String> {
    outcome.events.iter().filter(|event| *event.host == *"client").map(ToString::to_string).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn bytes_arrive_in_order_and_complete_whatever_the_network_does(
        seed in any::<u64>(),
        faults in proptest::collection::vec(net_fault(), 0..5),
    ) {
        let outcome = play(&stream_case(), seed, &faults.concat());
        let fine = outcome.verdict.held() || outcome.verdict.word() == "vacuous";
        prop_assert!(fine, "{}", outcome.verdict);
        prop_assert_eq!(named(&outcome, "stream.complete").len(), 1);
    }

    #[test]
    fn an_unrelated_host_or_message_changes_no_decision_elsewhere(seed in any::<u64>()) {
        let plan = "9s net loss client|server 30% for 9s\n30s host slow server 1ms..90ms for 9s";
        let alone = play(&echo_case(), seed, plan);
        prop_assert!(alone.verdict.held(), "{}", alone.verdict);
        for talking in [false, true] {
            let among_others = play(&with_neighbours(talking), seed, plan);
            prop_assert_eq!(client_story(&alone), client_story(&among_others), "neighbours talk: {}", talking);
        }
    }

    #[test]
    fn the_same_seed_and_plan_give_the_same_hash(seed in any::<u64>(), faults in proptest::collection::vec(net_fault(), 0..4)) {
        let case = stream_case();
        let hashes: Vec<u64> = (0..2).map(|_| play(&case, seed, &faults.concat()).hash).collect();
        prop_assert_eq!(hashes[0], hashes[1]);
    }
}

#[test]
fn different_seeds_give_different_runs() {
    let case = Case::new("echo", |world| {
        world.host("server", serve).host("client", |env| ping(env, ms(100)));
    });
    assert_ne!(play(&case, 1, "").hash, play(&case, 2, "").hash);
}
