//! Messages: who gets them, in which form, and what becomes of those who do not read them.

use std::time::Duration;

use tokio::time::sleep;

use super::world::World;
use crate::{Config, OutputLimit};

#[tokio::test(start_paused = true)]
async fn a_message_reaches_the_channels_and_patterns_that_fit_in_each_protocol() {
    let world = World::start().await;
    let (mut two, mut three) = (world.client(), world.client());
    two.send(&["SUBSCRIBE a b", "PSUBSCRIBE a*"]).await;
    assert_eq!(two.lines(18).await[12..], ["*3", "$10", "psubscribe", "$2", "a*", ":3"]);
    three.send(&["HELLO 3"]).await;
    three.lines(26).await;
    three.send(&["SUBSCRIBE a"]).await;
    assert_eq!(three.lines(6).await, [">3", "$9", "subscribe", "$1", "a", ":1"]);
    assert_eq!(world.answers(&["PUBLISH a hi", "PUBLISH c no", "PUBSUB NUMPAT"]).await, [":3", ":0", ":1"]);
    let message = ["*3", "$7", "message", "$1", "a", "$2", "hi"];
    let by_pattern = ["*4", "$8", "pmessage", "$2", "a*", "$1", "a", "$2", "hi"];
    assert_eq!(two.lines(16).await, [&message[..], &by_pattern[..]].concat());
    assert_eq!(three.lines(7).await, [">3", "$7", "message", "$1", "a", "$2", "hi"]);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_in_resp2_may_do_little_else() {
    let world = World::start().await;
    let refused = |name: &str| {
        format!(
            "-ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        )
    };
    let answers = world
        .answers(&[
            "SUBSCRIBE a",
            "GET x",
            "CLIENT ID",
            "PING",
            "PING hi",
            "UNSUBSCRIBE",
            "UNSUBSCRIBE",
            "GET x",
            "SUBSCRIBE a",
            "RESET",
            "GET x",
        ])
        .await
        .join("|");
    let expected = format!(
        "*3|$9|subscribe|$1|a|:1|{}|{}|*2|$4|pong|$0||*2|$4|pong|$2|hi|*3|$11|unsubscribe|$1|a|:0|\
         *3|$11|unsubscribe|$-1|:0|$-1|*3|$9|subscribe|$1|a|:1|+RESET|$-1",
        refused("get"),
        refused("client|id")
    );
    assert_eq!(answers, expected);
    assert_eq!(world.answers(&["PUBSUB CHANNELS", "PUBLISH a x"]).await, ["*0", ":0"]);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_in_resp3_gets_its_own_message_before_the_answer() {
    let world = World::start().await;
    let mut client = world.client();
    client.send(&["HELLO 3"]).await;
    client.lines(26).await;
    client.send(&["SUBSCRIBE a", "PUBLISH a hi", "GET x"]).await;
    let lines = client.lines(15).await;
    assert_eq!(lines[6..], [">3", "$7", "message", "$1", "a", "$2", "hi", ":1", "_"]);
}

#[tokio::test(start_paused = true)]
async fn pubsub_tells_who_listens_until_they_go() {
    let world = World::start().await;
    let mut client = world.client();
    client.send(&["SUBSCRIBE md:a md:b x"]).await;
    client.lines(18).await;
    let answers =
        world.answers(&["PUBSUB CHANNELS", "PUBSUB CHANNELS md:*", "PUBSUB NUMSUB x y"]).await.join("|");
    assert_eq!(answers, "*3|$4|md:a|$4|md:b|$1|x|*2|$4|md:a|$4|md:b|*4|$1|x|:1|$1|y|:0");
    drop(client);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.answers(&["PUBSUB CHANNELS", "PUBLISH x 1"]).await, ["*0", ":0"]);
}

#[tokio::test(start_paused = true)]
async fn messages_reach_a_client_that_waits_for_a_key() {
    let world = World::start().await;
    let mut client = world.client();
    client.send(&["HELLO 3"]).await;
    client.lines(26).await;
    client.send(&["SUBSCRIBE a", "XREAD BLOCK 5000 STREAMS s $"]).await;
    client.lines(6).await;
    assert_eq!(world.answers(&["PUBLISH a hi"]).await, [":1"]);
    assert_eq!(client.lines(8).await, [">3", "$7", "message", "$1", "a", "$2", "hi", "_"]);
}

/// Publishes messages of a kilobyte.
async fn publish(world: &World, count: usize) {
    world.answers(&vec![format!("PUBLISH a {}", "x".repeat(1_000)).as_str(); count]).await;
}

async fn subscribers(world: &World) -> String {
    world.answers(&["PUBSUB NUMSUB a"]).await.remove(3)
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_does_not_read_is_sent_away_at_the_hard_limit() {
    let pubsub_limit = OutputLimit { hard: 1 << 20, ..OutputLimit::PUBSUB };
    let world = World::with(Config { pubsub_limit, ..Config::default() }).await;
    let (mut slow, mut quick) = (world.client(), world.client());
    slow.send(&["SUBSCRIBE a"]).await;
    quick.send(&["SUBSCRIBE a"]).await;
    slow.lines(6).await;
    quick.lines(6).await;
    for _ in 0..3 {
        publish(&world, 500).await;
        quick.lines(500 * 7).await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(subscribers(&world).await, ":1");
    let received = slow.rest().await.len() / 7;
    assert!((1..1_500).contains(&received), "what was under way, and no more: {received}");
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_above_the_soft_limit_has_its_time() {
    let pubsub_limit = OutputLimit { soft: 100_000, ..OutputLimit::PUBSUB };
    let world = World::with(Config { pubsub_limit, ..Config::default() }).await;
    let mut slow = world.client();
    slow.send(&["SUBSCRIBE a"]).await;
    slow.lines(6).await;
    publish(&world, 1_000).await;
    sleep(Duration::from_secs(59)).await;
    assert_eq!(subscribers(&world).await, ":1");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(subscribers(&world).await, ":0");
}
