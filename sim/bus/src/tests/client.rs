//! The real client library over real sockets.

use std::{collections::BTreeMap, time::Duration};

use env::Env;
use redis::{
    AsyncCommands, AsyncConnectionConfig, ExistenceCheck, ProtocolVersion, RedisConnectionInfo, RedisError,
    SetExpiry, SetOptions,
    aio::MultiplexedConnection,
    streams::{StreamInfoStreamReply, StreamMaxlen, StreamRangeReply, StreamReadOptions, StreamReadReply},
};

use crate::{Config, Server};

pub(super) struct Loopback {
    env: Env,
    port: u16,
    _files: tempfile::TempDir,
}

impl Loopback {
    pub(super) async fn start() -> Self {
        let files = tempfile::tempdir().expect("a temporary directory");
        let os = env::os::Config {
            listen_ip: "127.0.0.1".into(),
            data_dir: files.path().to_owned(),
            ..env::os::Config::default()
        };
        let env = env::os::env(os).expect("an environment");
        let server =
            Server::bind(env.clone(), Config { port: 0, ..Config::default() }).await.expect("a free port");
        let port = server.port();
        env.spawn("bus", async { server.run().await.expect("the server goes on") });
        Self { env, port, _files: files }
    }

    pub(super) async fn client(&self, protocol: ProtocolVersion) -> MultiplexedConnection {
        let stream = self.env.net.connect("127.0.0.1", self.port).await.expect("the server listens");
        let info = RedisConnectionInfo::default().set_protocol(protocol);
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(30)));
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&info, stream, config).await.expect("the server greets");
        self.env.spawn("client", driver);
        connection
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_library_reads_and_writes_strings_and_streams() -> Result<(), RedisError> {
    let server = Loopback::start().await;
    for protocol in [ProtocolVersion::RESP2, ProtocolVersion::RESP3] {
        let mut bus = server.client(protocol).await;
        let () = redis::cmd("FLUSHALL").query_async(&mut bus).await?;
        let leader =
            SetOptions::default().conditional_set(ExistenceCheck::NX).with_expiration(SetExpiry::PX(30_000));
        assert!(bus.set_options::<_, _, Option<String>>("lock", "a", leader.clone()).await?.is_some());
        assert!(bus.set_options::<_, _, Option<String>>("lock", "b", leader).await?.is_none());
        assert!((1..=30_000).contains(&bus.pttl::<_, i64>("lock").await?));
        assert_eq!(bus.get::<_, Option<String>>("lock").await?.as_deref(), Some("a"));
        assert_eq!(bus.incr::<_, _, i64>("epoch", 2).await?, 2);
        assert_eq!(bus.mget::<_, Vec<Option<i64>>>(&["epoch", "none"]).await?, [Some(2), None]);

        let mut ids: Vec<String> = Vec::new();
        for price in ["1.5", "2.5", "3.5"] {
            ids.push(bus.xadd_maxlen("md", StreamMaxlen::Equals(2), "*", &[("price", price)]).await?);
        }
        assert!(ids.is_sorted());
        let all: StreamRangeReply = bus.xrange_all("md").await?;
        assert_eq!(all.ids.iter().map(|entry| &entry.id).collect::<Vec<_>>(), [&ids[1], &ids[2]]);
        assert_eq!(all.ids[0].get::<String>("price").as_deref(), Some("2.5"));
        let after: StreamReadReply = bus.xread(&["none", "md"], &["0", &ids[1]]).await?;
        assert_eq!((after.keys.len(), &*after.keys[0].key, after.keys[0].ids.len()), (1, "md", 1));
        let about: StreamInfoStreamReply = bus.xinfo_stream("md").await?;
        assert_eq!(
            (about.length, about.last_generated_id, about.first_entry.id),
            (2, ids[2].clone(), ids[1].clone())
        );

        let wrong = bus.get::<_, String>("md").await.expect_err("a stream is no string");
        assert_eq!(wrong.code(), Some("WRONGTYPE"));
        let info: BTreeMap<String, String> = text_info(&mut bus).await?;
        assert_eq!(info["role"], "master");
    }
    Ok(())
}

async fn text_info(bus: &mut MultiplexedConnection) -> Result<BTreeMap<String, String>, RedisError> {
    let text: String = redis::cmd("INFO").query_async(bus).await?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.into(), value.into()))
        .collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocking_read_meets_its_writer() -> Result<(), RedisError> {
    let server = Loopback::start().await;
    for protocol in [ProtocolVersion::RESP2, ProtocolVersion::RESP3] {
        let (mut reader, mut writer) = (server.client(protocol).await, server.client(protocol).await);
        let options = StreamReadOptions::default().block(20_000).count(1);
        let reading = reader.xread_options::<_, _, Option<StreamReadReply>>(&["s"], &["$"], &options);
        let writing = async {
            // The reader waits when the server says so; then one entry must wake it.
            while text_info(&mut writer).await?["blocked_clients"] == "0" {}
            writer.xadd::<_, _, _, _, String>("s", "*", &[("k", "v")]).await
        };
        let (read, written) = tokio::join!(reading, writing);
        let read = read?.expect("an entry");
        assert_eq!(read.keys[0].ids[0].id, written?);
        let nothing: Option<StreamReadReply> =
            reader.xread_options(&["s"], &["$"], &StreamReadOptions::default().block(1)).await?;
        assert!(nothing.is_none());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_is_answered_in_order() -> Result<(), RedisError> {
    let server = Loopback::start().await;
    let mut bus = server.client(ProtocolVersion::RESP3).await;
    let mut pipeline = redis::pipe();
    for number in 0..10_000 {
        pipeline.cmd("ECHO").arg(number);
    }
    let echoed: Vec<i64> = pipeline.query_async(&mut bus).await?;
    assert!(echoed.into_iter().eq(0..10_000));
    Ok(())
}
