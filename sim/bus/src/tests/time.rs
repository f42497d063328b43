//! What clocks do: expiry, ids, blocking reads. tokio's clock is paused, so waiting takes no time and is exact.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::world::{START_MS, World};

/// The lines of an answer to HELLO, in either version.
const HELLO_LINES: usize = 26;

#[tokio::test(start_paused = true)]
async fn a_key_expires_when_its_time_has_passed() {
    let world = World::start().await;
    assert_eq!(
        world.answers(&["SET lock me NX PX 30000", "PTTL lock", "TTL lock"]).await,
        ["+OK", ":30000", ":30"]
    );
    world.jump(30_000);
    assert_eq!(world.answers(&["GET lock", "PTTL lock", "SET lock you NX"]).await, ["$2", "me", ":0", "$-1"]);
    world.jump(1);
    assert_eq!(world.answers(&["GET lock", "SET lock you NX", "TTL lock"]).await, ["$-1", "+OK", ":-1"]);
}

#[tokio::test(start_paused = true)]
async fn expired_keys_go_at_their_time_even_when_nobody_asks() {
    let world = World::start().await;
    world.answers(&["SET a 1 PX 5000", "SET b 1 PX 2000", "SET c 1"]).await;
    let keys = || world.shared.state().db.len();
    sleep(Duration::from_millis(1_990)).await;
    assert_eq!(keys(), 3);
    sleep(Duration::from_millis(20)).await;
    assert_eq!(keys(), 2);
    sleep(Duration::from_millis(3_000)).await;
    assert_eq!(keys(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_keeps_a_key_alive_and_ids_growing() {
    let world = World::start().await;
    let first = format!("{START_MS}-0");
    assert_eq!(world.answers(&["SET a 1 PX 1000", "XADD s * k v"]).await[2], first);
    world.jump(-60_000);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(world.answers(&["GET a", "PTTL a"]).await, ["$1", "1", ":31000"]);
    assert_eq!(world.answers(&["XADD s * k v"]).await[1], format!("{START_MS}-1"));
    sleep(Duration::from_secs(32)).await;
    assert_eq!(world.shared.state().db.expiring(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_blocking_read_gives_up_at_its_timeout() {
    let world = World::start().await;
    let mut client = world.client();
    for (hello, nothing) in [("HELLO 2", "*-1"), ("HELLO 3", "_")] {
        client.send(&[hello]).await;
        client.lines(HELLO_LINES).await;
        let began = Instant::now();
        client.send(&["XREAD BLOCK 5000 STREAMS s $"]).await;
        assert_eq!(client.lines(1).await, [nothing]);
        assert_eq!(began.elapsed(), Duration::from_millis(5_000));
    }
    assert_eq!(world.shared.state().waiters.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_blocking_read_returns_the_moment_an_entry_arrives() {
    let world = World::start().await;
    let (mut first, mut second) = (world.client(), world.client());
    first.send(&["XREAD BLOCK 0 STREAMS other s 0 $", "PING"]).await;
    second.send(&["XREAD BLOCK 60000 COUNT 1 STREAMS s 0-0"]).await;
    sleep(Duration::from_secs(7)).await;
    assert_eq!(world.shared.state().waiters.len(), 2);
    let began = Instant::now();
    assert_eq!(world.answers(&["SET other x", "XADD s 5-1 k v", "XADD s 5-2 k v"]).await.len(), 5);
    let entry = ["*1", "*2", "$1", "s", "*1", "*2", "$3", "5-1", "*2", "$1", "k", "$1", "v"];
    assert_eq!(second.lines(13).await, entry);
    assert_eq!(
        first.lines(14).await,
        [&entry[..], &["+PONG"]].concat(),
        "only what had arrived when it was fed"
    );
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(world.shared.state().waiters.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_client_that_disconnects_leaves_its_queue() {
    let world = World::start().await;
    let mut client = world.client();
    client.send(&["XREAD BLOCK 0 STREAMS s $"]).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.shared.state().waiters.len(), 1);
    drop(client);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.shared.state().waiters.len(), 0);
    assert_eq!(world.shared.state().clients.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_waiting_client_sends_ahead_is_answered_afterwards() {
    let world = World::start().await;
    let mut client = world.client();
    client.send(&["XREAD BLOCK 1000 STREAMS s $"]).await;
    sleep(Duration::from_millis(500)).await;
    client.send(&["ECHO later"]).await;
    assert_eq!(client.lines(3).await, ["*-1", "$5", "later"]);
}

#[tokio::test(start_paused = true)]
async fn time_is_the_wall_clock() {
    let world = World::start().await;
    world.jump(1_234);
    assert_eq!(world.answers(&["TIME"]).await, ["*2", "$10", "1700000001", "$6", "234000"]);
}
