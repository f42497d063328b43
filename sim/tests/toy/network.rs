//! Every network fault, seen through sockets.

use env::fact;
use sim::{Case, Options, Plan, mins, ms, run, secs};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::world::{PORT, losses, named, serve, silence, story, uint, under};

#[test]
fn without_faults_every_echo_takes_one_round_trip() {
    let outcome = under("");
    let echoes = named(&outcome, "client.echo");
    assert!(echoes.len() > 500, "{} echoes", echoes.len());
    assert!(echoes.iter().all(|echo| (2..=10).contains(&uint(echo, "took_ms"))), "1 to 5 ms each way");
    assert_eq!(losses(&outcome), [""; 0]);
}

#[test]
fn a_short_partition_delays_and_loses_nothing() {
    let outcome = under("10s net partition client|server for 1s");
    assert_eq!(losses(&outcome), [""; 0], "TCP sends again until it gets through");
    let quiet = silence(&outcome, secs(9), secs(15));
    assert!((1_000..1_700).contains(&quiet), "{quiet} ms: retransmissions after 200, 600, 1400 ms");
}

#[test]
fn a_long_partition_is_noticed_by_the_client_and_survived() {
    let outcome = under("10s net partition client|server for 20s");
    assert!(losses(&outcome).iter().all(|kind| kind == "TimedOut"), "{:?}", losses(&outcome));
    assert!(silence(&outcome, secs(10), secs(30)) > 19_000);
    assert!(silence(&outcome, secs(37), secs(60)) < 1_000, "{}", story(&outcome));
}

#[test]
fn a_one_way_partition_stops_the_answers_only() {
    let outcome = under("10s net partition server>client for 2s");
    assert!(silence(&outcome, secs(10), secs(15)) >= 2_000);
    assert_eq!(losses(&outcome), [""; 0]);
}

#[test]
fn a_latency_spike_adds_to_every_packet() {
    let outcome = under("10s net latency client|server 300ms..400ms for 10s");
    let slow = named(&outcome, "client.echo").iter().filter(|echo| uint(echo, "took_ms") >= 600).count();
    assert!((12..=17).contains(&slow), "{slow} echoes of 600 to 810 ms and a pause of 100 ms in 10 s");
}

#[test]
fn a_lost_packet_costs_a_retransmission_timeout() {
    let outcome = under("10s net loss client|server 20% for 20s");
    let slow = named(&outcome, "client.echo").iter().filter(|echo| uint(echo, "took_ms") >= 200).count();
    assert!(slow > 10, "{slow} slow echoes");
    assert_eq!(losses(&outcome), [""; 0]);
}

#[test]
fn bandwidth_makes_packets_queue() {
    // An echo is 8 bytes and 40 of headers each way: 48 ms at 1,000 B/s.
    let outcome = under("10s net bandwidth client|server 1000B/s for 10s");
    let slow = named(&outcome, "client.echo").iter().filter(|echo| uint(echo, "took_ms") >= 96).count();
    assert!(slow > 40, "{slow} echoes took at least twice 48 ms");
}

#[test]
fn held_packets_come_in_a_burst_at_the_end() {
    let outcome = under("10s net hold client>server for 3s");
    let late = named(&outcome, "client.echo").iter().map(|echo| uint(echo, "took_ms")).max();
    assert!(
        late.is_some_and(|took| (2_800..=3_015).contains(&took)),
        "{late:?}: no retransmission timer adds to it"
    );
}

#[test]
fn a_reset_is_seen_at_both_ends() {
    let outcome = under("10s net reset client|server");
    assert_eq!(losses(&outcome), ["ConnectionReset"]);
    assert!(silence(&outcome, secs(10), secs(20)) < 1_000);
}

#[test]
fn a_half_open_connection_resets_whoever_sends_next() {
    let outcome = under("10s net half-open server|client");
    assert_eq!(
        losses(&outcome),
        ["ConnectionReset"],
        "the server has forgotten; the client learns it on its next send"
    );
}

#[test]
fn refused_connections_fail_at_once_and_existing_ones_live_on() {
    let outcome = under("10s net refuse server for 10s\n15s net reset client|server");
    let kinds = losses(&outcome);
    assert_eq!(kinds[0], "ConnectionReset");
    assert!(kinds.len() > 5 && kinds[1..].iter().all(|kind| kind == "ConnectionRefused"), "{kinds:?}");
    assert!(silence(&outcome, secs(10), secs(15)) < 1_000);
}

#[test]
fn behind_a_black_hole_everything_is_silent() {
    let outcome = under("10s net black-hole server for 15s");
    assert!(losses(&outcome).iter().all(|kind| kind == "TimedOut"));
    assert!(silence(&outcome, secs(10), secs(25)) > 14_000);
}

#[test]
fn a_connect_timeout_leaves_existing_connections_alone() {
    let outcome = under("10s net connect-timeout client|server for 20s\n20s net reset client|server");
    assert!(silence(&outcome, secs(10), secs(20)) < 1_000);
    assert_eq!(losses(&outcome)[1], "TimedOut");
}

#[test]
fn a_name_that_does_not_resolve_is_an_error_of_connect() {
    let outcome = under("10s net dns server for 5s\n11s net reset client|server");
    let kinds = losses(&outcome);
    assert_eq!(kinds[0], "ConnectionReset");
    assert!(kinds.len() > 3 && kinds[1..].iter().all(|kind| kind == "Other"), "{kinds:?}");
}

#[test]
fn a_reader_that_falls_behind_gets_every_byte_in_order() {
    const BYTES: usize = 1 << 20;
    let pattern = |index: usize| (index % 251) as u8;
    let case = Case::new("flood", move |world| {
        world.host("server", move |env| async move {
            let listener = env.net.listen(PORT).await.expect("a free port");
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut read = 0;
            let mut buffer = [0; 1_000];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                for (offset, byte) in buffer[..count].iter().enumerate() {
                    assert_eq!(*byte, pattern(read + offset), "byte {}", read + offset);
                }
                read += count;
                sleep(ms(1)).await;
            }
            fact!("server.read", bytes = read as u64);
        });
        world.host("client", move |env| async move {
            sleep(ms(10)).await;
            let mut stream = env.net.connect("server", PORT).await.expect("the server listens");
            let data: Vec<u8> = (0..BYTES).map(pattern).collect();
            stream.write_all(&data).await.expect("the server reads");
            stream.shutdown().await.expect("the connection is open");
            sleep(mins(1)).await;
        });
    })
    .safety(mins(1));
    let plan = Plan::parse("100ms host pause server for 5s").expect("a well-formed plan");
    let outcome = run(&case, 3, &Options { plan: Some(plan), ..Options::default() }).expect("known hosts");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
    assert_eq!(uint(named(&outcome, "server.read")[0], "bytes"), BYTES as u64);
}

#[test]
fn a_server_can_listen_again_while_its_old_connections_linger() {
    let case = Case::new("relisten", |world| {
        world.host("server", |env| async move {
            for _ in 0..3 {
                let task = env.spawn("serve", serve(env.clone()));
                sleep(secs(3)).await;
                task.abort();
                task.ended().await;
            }
        });
        world.host("client", |env| crate::world::ping(env, ms(100)));
    });
    let outcome = run(&case, 1, &Options::default()).expect("known hosts");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
    assert_eq!(named(&outcome, "server.listens").len(), 3);
}
