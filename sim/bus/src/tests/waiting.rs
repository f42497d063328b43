//! Consumers that wait for a group's entries, and what befalls them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::world::{Client, World};

const WAIT: &str = "XREADGROUP GROUP g me BLOCK 0 STREAMS s >";

/// A client that waits for new entries of the group `g` of the stream `s`.
async fn waiting(world: &World) -> Client {
    world.answers(&["XGROUP CREATE s g $ MKSTREAM"]).await;
    let mut client = world.client();
    client.send(&[WAIT]).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(world.shared.state().waiters.len(), 1);
    client
}

#[tokio::test(start_paused = true)]
async fn entries_go_to_the_consumer_that_waited_longest_and_to_nobody_else() {
    let world = World::start().await;
    let mut first = waiting(&world).await;
    let mut second = world.client();
    second.send(&["XREADGROUP GROUP g you BLOCK 0 STREAMS s >"]).await;
    sleep(Duration::from_millis(1)).await;
    world.answers(&["MULTI", "XADD s 1-1 k a", "XADD s 1-2 k b", "EXEC"]).await;
    let both = "*1|*2|$1|s|*2|*2|$3|1-1|*2|$1|k|$1|a|*2|$3|1-2|*2|$1|k|$1|b";
    assert_eq!(first.lines(21).await.join("|"), both, "a transaction is seen as a whole");
    assert_eq!(world.shared.state().waiters.len(), 1);
    world.answers(&["XADD s 1-3 k c"]).await;
    assert_eq!(second.lines(13).await.join("|"), "*1|*2|$1|s|*1|*2|$3|1-3|*2|$1|k|$1|c");
    let pending = world.answers(&["XPENDING s g"]).await.join("|");
    assert_eq!(pending, "*4|:3|$3|1-1|$3|1-3|*2|*2|$2|me|$1|2|*2|$3|you|$1|1");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_group_is_told_when_it_or_its_stream_goes() {
    let gone = "-UNBLOCKED the stream key no longer exists";
    for (command, answer) in [
        ("XGROUP DESTROY s g", "-NOGROUP the consumer group this client was blocked on no longer exists"),
        ("DEL s", gone),
        ("FLUSHALL", gone),
        ("SET s text", gone),
        ("RENAME s t", gone),
        ("EXPIREAT s 1", gone),
    ] {
        let world = World::start().await;
        let mut client = waiting(&world).await;
        world.answers(&[command]).await;
        assert_eq!(client.lines(1).await, [answer], "{command}");
        assert_eq!(world.shared.state().waiters.len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_group_is_told_the_moment_its_stream_expires() {
    let world = World::start().await;
    let mut client = waiting(&world).await;
    world.answers(&["PEXPIRE s 5000"]).await;
    let began = Instant::now();
    assert_eq!(client.lines(1).await, ["-UNBLOCKED the stream key no longer exists"]);
    assert_eq!(began.elapsed(), Duration::from_millis(5_001));
}

#[tokio::test(start_paused = true)]
async fn who_waits_without_a_group_goes_on_waiting_when_the_stream_goes() {
    let world = World::start().await;
    let mut client = world.client();
    world.answers(&["XADD s 1-1 k v"]).await;
    client.send(&["XREAD BLOCK 0 STREAMS s $"]).await;
    sleep(Duration::from_millis(1)).await;
    world.answers(&["DEL s", "SET s text", "DEL s"]).await;
    assert_eq!(world.shared.state().waiters.len(), 1);
    world.answers(&["RENAME t s", "XADD t 0-1 k v", "XADD t 2-1 k v", "RENAME t s"]).await;
    assert_eq!(client.lines(13).await.join("|"), "*1|*2|$1|s|*1|*2|$3|2-1|*2|$1|k|$1|v");
}

#[tokio::test(start_paused = true)]
async fn a_transaction_fails_when_a_watched_key_expires() {
    let world = World::start().await;
    let mut client = world.client();
    client.send(&["SET lock me PX 1000", "WATCH lock", "MULTI", "SET order 1"]).await;
    assert_eq!(client.lines(4).await, ["+OK", "+OK", "+OK", "+QUEUED"]);
    sleep(Duration::from_millis(1_001)).await;
    client.send(&["EXEC", "GET order"]).await;
    assert_eq!(client.lines(2).await, ["*-1", "$-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_fails_when_somebody_else_changes_a_watched_key() {
    let world = World::start().await;
    for (change, fails) in [
        ("SET k 2", true),
        ("DEL k", true),
        ("PEXPIRE k 90000", true),
        ("RENAME other k", true),
        ("COPY other k REPLACE", true),
        ("PERSIST k", false),
        ("GET k", false),
        ("SET other 2", false),
        ("DEL none", false),
    ] {
        world.answers(&["FLUSHALL", "MSET k 1 other 1"]).await;
        let mut client = world.client();
        client.send(&["WATCH k", "MULTI", "PING"]).await;
        client.lines(3).await;
        world.answers(&[change]).await;
        client.send(&["EXEC"]).await;
        let expected = if fails { "*-1" } else { "*1" };
        assert_eq!(client.lines(1).await, [expected], "{change}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_disconnects_watches_nothing_and_queues_nothing() {
    let world = World::start().await;
    let mut client = world.client();
    client.send(&["WATCH k", "MULTI", "SET k 1"]).await;
    client.lines(3).await;
    drop(client);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(world.answers(&["SET k 2", "GET k"]).await, ["+OK", "$1", "2"]);
    assert!(!world.shared.state().db.watches.forget(1));
}

#[tokio::test(start_paused = true)]
async fn scan_meets_every_key_that_stays_while_others_come_and_go() {
    let world = World::start().await;
    for number in 0..200 {
        world.answers(&[&format!("SET stays:{number} v"), &format!("SET goes:{number} v")]).await;
    }
    let (mut cursor, mut met, mut round) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let answer = world.answers(&[&format!("SCAN {cursor} COUNT 7 MATCH stays:*")]).await;
        cursor.clone_from(&answer[2]);
        met.extend(answer[4..].iter().filter(|line| line.starts_with("stays")).cloned());
        world
            .answers(&[&format!("DEL goes:{round}"), &format!("SET comes:{round} v"), "SET stays:5 w"])
            .await;
        round += 1;
        if cursor == "0" {
            break;
        }
    }
    met.sort_unstable();
    let mut all: Vec<String> = (0..200).map(|number| format!("stays:{number}")).collect();
    all.sort_unstable();
    assert_eq!(met, all, "each exactly once");
}
