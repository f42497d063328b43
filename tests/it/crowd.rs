//! More clients than anybody has: each peer serves thousands at once, turns away the one too many in the words of its
//! protocol, and has forgotten them all when they are gone.

use std::time::Duration;

use env::{BoxStream, Env, Task};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Handle},
    time::{Instant, sleep, timeout},
};

/// Clients at a time.
const CLIENTS: usize = 3_000;
/// Peers that are tested at the same time.
const PEERS: u64 = 3;
/// Descriptors for everything but the clients' connections.
const OTHERS: u64 = 500;
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether a peer has noticed that its clients are gone.
const GLANCE: Duration = Duration::from_millis(5);

/// What clients say to a peer and hear from it.
struct Talk {
    request: Vec<u8>,
    /// The end of what a client is answered that is served.
    served: &'static [u8],
    /// The end of what a client is answered that is one too many.
    refused: &'static [u8],
}

/// How many clients the system lets this process serve: both ends of their connections are here.
fn clients() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = 2 * PEERS * CLIENTS as u64 + OTHERS;
    let granted = limit.maximum.map_or(wanted, |most| most.min(wanted));
    if limit.current.is_some_and(|now| now < granted) {
        limit.current = Some(granted);
        setrlimit(Resource::Nofile, limit).expect("a limit may be raised to its maximum");
    }
    let clients = (granted.saturating_sub(OTHERS) / (2 * PEERS)) as usize;
    assert!(clients >= 100, "the system allows {granted} open files, which is too few for a crowd");
    clients
}

/// Whether `wanted` comes before the end of the connection.
async fn hears(stream: &mut BoxStream, wanted: &[u8]) -> bool {
    let mut heard = Vec::new();
    loop {
        if heard.windows(wanted.len()).any(|window| window == wanted) {
            return true;
        }
        if !matches!(stream.read_buf(&mut heard).await, Ok(1..)) {
            return false;
        }
    }
}

async fn crowd(env: &Env, port: u16, clients: usize, talk: &Talk) {
    let enter = async || {
        let mut stream = env.net.connect("127.0.0.1", port).await.expect("the peer listens");
        stream.write_all(&talk.request).await.expect("the peer reads");
        stream
    };
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let mut first = enter().await;
    // A peer that is still starting says so.
    while !hears(&mut first, talk.served).await {
        first = enter().await;
    }
    let with_one = tasks();
    drop(first);
    let emptied = async || {
        let deadline = Instant::now() + PATIENCE;
        while tasks() >= with_one {
            assert!(Instant::now() < deadline, "tasks outlive their clients");
            sleep(GLANCE).await;
        }
    };
    emptied().await;
    for round in 1..=2 {
        let mut inside = Vec::with_capacity(clients);
        for n in 0..clients {
            let mut stream = enter().await;
            assert!(hears(&mut stream, talk.served).await, "client {n} of round {round} is not served");
            inside.push(stream);
        }
        assert!(hears(&mut enter().await, talk.refused).await, "there was room for one too many");
        drop(inside);
        emptied().await;
    }
}

/// Serves on a loopback port what `start` starts with room for so many clients, and lets them come.
fn meet(talk: &Talk, start: impl AsyncFnOnce(&Env, usize) -> (u16, Task)) {
    let clients = clients();
    let data = tempfile::tempdir().expect("room for files");
    let config = env::os::Config {
        listen_ip: "127.0.0.1".into(),
        data_dir: data.path().into(),
        ..env::os::Config::default()
    };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let env = env::os::env(config).expect("an environment");
        let (port, server) = start(&env, clients).await;
        timeout(2 * PATIENCE, crowd(&env, port, clients, talk)).await.expect("an end");
        server.abort();
    });
}

#[test]
fn the_bus_serves_thousands_and_turns_away_the_next() {
    let talk = Talk {
        request: b"*1\r\n$4\r\nPING\r\n".into(),
        served: b"+PONG\r\n",
        refused: b"-ERR max number of clients reached\r\n",
    };
    meet(&talk, async |env, clients| {
        let config = bus::Config { port: 0, max_clients: clients, ..bus::Config::default() };
        let server = bus::Server::bind(env.clone(), config).await.expect("a free port");
        let port = server.port();
        (port, env.spawn("bus", async move { server.run().await.expect("it serves") }))
    });
}

#[test]
fn the_ledger_serves_thousands_and_turns_away_the_next() {
    // StartupMessage and ReadyForQuery (PostgreSQL, "Message Formats").
    let parameters = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    let length = (parameters.len() as u32 + 4).to_be_bytes();
    let talk =
        Talk { request: [&length[..], parameters].concat(), served: b"Z\0\0\0\x05I", refused: b"C53300\0" };
    meet(&talk, async |env, clients| {
        let config = ledger::Config { port: 0, max_connections: clients, ..ledger::Config::default() };
        let server = ledger::Server::bind(env.clone(), config).await.expect("a free port");
        let port = server.port().expect("it is bound");
        (port, env.spawn("ledger", async move { server.run().await.expect("it serves") }))
    });
}

#[test]
fn the_broker_serves_thousands_of_streams_and_turns_away_the_next() {
    // A handshake has no request weight, of which one address has 2,400 a minute.
    let talk = Talk {
        request: b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            .into(),
        served: b"\r\n\r\n",
        refused: b"{\"code\":0,\"msg\":\"Service Unavailable.\"}",
    };
    meet(&talk, async |env, clients| {
        let config = broker::Config { port: 0, max_connections: clients, ..broker::Config::default() };
        let exchange = broker::Exchange::new(config);
        let server = broker::Server::bind(env.clone(), exchange).await.expect("a free port");
        let port = server.local_addr().expect("it is bound").port();
        (port, env.spawn("broker", async move { match server.run().await {} }))
    });
}
