//! The real client library over real sockets: consumer groups, optimistic locking, scripts.

use redis::{
    AsyncCommands, ProtocolVersion, RedisError, Script,
    aio::MultiplexedConnection,
    streams::{
        StreamAutoClaimReply, StreamPendingCountReply, StreamPendingReply, StreamReadOptions, StreamReadReply,
    },
};

use super::client::Loopback;

const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::RESP2, ProtocolVersion::RESP3];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_share_a_stream_and_take_over_from_each_other() -> Result<(), RedisError> {
    let server = Loopback::start().await;
    for protocol in VERSIONS {
        let mut bus = server.client(protocol).await;
        let () = redis::cmd("FLUSHALL").query_async(&mut bus).await?;
        let () = bus.xgroup_create_mkstream("s", "g", "$").await?;
        let mut ids: Vec<String> = Vec::new();
        for order in ["a", "b", "c"] {
            ids.push(bus.xadd("s", "*", &[("order", order)]).await?);
        }
        let options = |consumer: &str| StreamReadOptions::default().group("g", consumer).count(2);
        let one: StreamReadReply = bus.xread_options(&["s"], &[">"], &options("one")).await?;
        let two: StreamReadReply = bus.xread_options(&["s"], &[">"], &options("two")).await?;
        assert_eq!(one.keys[0].ids.iter().map(|entry| &entry.id).collect::<Vec<_>>(), [&ids[0], &ids[1]]);
        assert_eq!(two.keys[0].ids[0].get::<String>("order").as_deref(), Some("c"));
        assert_eq!(bus.xack::<_, _, _, i64>("s", "g", &[&ids[0]]).await?, 1);
        let StreamPendingReply::Data(pending) = bus.xpending("s", "g").await? else {
            panic!("two entries are pending");
        };
        assert_eq!((pending.count, pending.consumers.len()), (2, 2));
        let claimed: StreamAutoClaimReply = bus
            .xautoclaim_options("s", "g", "two", 0, "0", redis::streams::StreamAutoClaimOptions::default())
            .await?;
        assert_eq!(claimed.claimed.len(), 2);
        let detail: StreamPendingCountReply = bus.xpending_count("s", "g", "-", "+", 10).await?;
        assert!(detail.ids.iter().all(|entry| entry.consumer == "two" && entry.times_delivered == 2));
    }
    Ok(())
}

/// Adds one to a counter as a careful client does: read, and write only if nobody wrote meanwhile.
async fn increment(bus: &mut MultiplexedConnection) -> Result<(), RedisError> {
    loop {
        let () = redis::cmd("WATCH").arg("counter").query_async(bus).await?;
        let old: Option<i64> = bus.get("counter").await?;
        let mut transaction = redis::pipe();
        transaction.atomic().set("counter", old.unwrap_or(0) + 1).ignore();
        if transaction.query_async::<Option<()>>(bus).await?.is_some() {
            return Ok(());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn optimistic_locking_loses_no_update() -> Result<(), RedisError> {
    let server = Loopback::start().await;
    let workers = (0..4).map(|_| async {
        let mut bus = server.client(ProtocolVersion::RESP3).await;
        for _ in 0..50 {
            increment(&mut bus).await?;
        }
        Ok::<(), RedisError>(())
    });
    let [a, b, c, d]: [_; 4] =
        workers.collect::<Vec<_>>().try_into().unwrap_or_else(|_| unreachable!("there are four"));
    tokio::try_join!(a, b, c, d)?;
    let mut bus = server.client(ProtocolVersion::RESP2).await;
    assert_eq!(bus.get::<_, i64>("counter").await?, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_is_loaded_when_the_server_does_not_know_it() -> Result<(), RedisError> {
    let server = Loopback::start().await;
    let release = Script::new(
        "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end",
    );
    for protocol in VERSIONS {
        let mut bus = server.client(protocol).await;
        let () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut bus).await?;
        let () = bus.set("lock", "me").await?;
        assert_eq!(release.key("lock").arg("you").invoke_async::<i64>(&mut bus).await?, 0);
        assert_eq!(release.key("lock").arg("me").invoke_async::<i64>(&mut bus).await?, 1);
        assert!(!bus.exists::<_, bool>("lock").await?);
    }
    Ok(())
}
