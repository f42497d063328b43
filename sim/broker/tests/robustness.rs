//! Bytes that nobody should send, and more connections than there is room for.
#![allow(missing_docs, reason = "tests are named by sentences")]

mod support;

use std::time::Duration;

use broker::{Config, sign};
use env::BoxStream;
use futures_util::SinkExt;
use proptest::{prelude::*, test_runner::TestRunner};
use support::{Broker, next, prices, say};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// How long an answer to nonsense may take.
const PATIENCE: Duration = Duration::from_secs(10);

async fn start() -> Broker {
    Broker::start(prices(0, &["42000.00"])).await
}

/// Sends `bytes`, says that nothing more comes, and reads what comes back.
async fn shout(broker: &Broker, bytes: &[u8]) -> String {
    let mut stream = broker.connect().await;
    // The server may have hung up before it has read everything.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    read_to_end(&mut stream).await
}

async fn read_to_end(stream: &mut BoxStream) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 4_096];
    while let Ok(read @ 1..) = timeout(PATIENCE, stream.read(&mut piece)).await.expect("an end") {
        answer.extend(&piece[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_refused_and_ended() {
    let broker = start().await;
    assert_eq!(status(&shout(&broker, b"HELO mail\r\n\r\n").await), "400");
    assert_eq!(status(&shout(&broker, b"GET /fapi/v1/ping HTTP/9.9\r\n\r\n").await), "400");
    assert_eq!(status(&shout(&broker, b"GET / HTTP/1.1\r\na b: c\r\n\r\n").await), "400");
    let long = format!("GET /fapi/v1/ping?{} HTTP/1.1\r\n\r\n", "a".repeat(300_000));
    assert!(["414", "431"].contains(&status(&shout(&broker, long.as_bytes()).await)));
    let fat = format!("GET /fapi/v1/ping HTTP/1.1\r\na: {}\r\n\r\n", "a".repeat(300_000));
    assert_eq!(status(&shout(&broker, fat.as_bytes()).await), "431");
    let many = format!("GET /fapi/v1/ping HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1_000));
    assert_eq!(status(&shout(&broker, many.as_bytes()).await), "431");
    assert_eq!(broker.get("/fapi/v1/ping").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_off_or_not_text_is_refused() {
    let broker = start().await;
    let head = "POST /fapi/v1/order HTTP/1.1\r\nx-mbx-apikey: key\r\ncontent-length:";
    let answer = shout(&broker, format!("{head} 100\r\n\r\nsymbol=").as_bytes()).await;
    assert_eq!(status(&answer), "400");
    assert!(answer.contains("the body ended early"));
    let mut bytes = format!("{head} 2\r\n\r\n").into_bytes();
    bytes.extend([0xFF, 0xFE]);
    let answer = shout(&broker, &bytes).await;
    assert_eq!(status(&answer), "400");
    assert!(answer.contains("the body is not UTF-8"));
    let long = format!("{head} 99999999\r\n\r\n{}", "a".repeat(40_000));
    assert_eq!(status(&shout(&broker, long.as_bytes()).await), "413");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_wrong_request_has_its_code() {
    let broker = start().await;
    let signed = async |payload: &str, secret: &str| {
        let query = format!("{payload}&timestamp={}", broker.now());
        let target = format!("/fapi/v1/order?{query}&signature={}", sign(secret, &query));
        let answer = broker.send("POST", &target, Some("key"), String::new()).await;
        (answer.status, answer.code())
    };
    let order = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=";
    assert_eq!(signed(&format!("{order}0.01"), "guess").await, (400, -1022));
    assert_eq!(signed(&format!("{order}-1"), "secret").await, (400, -1100));
    assert_eq!(signed(&format!("{order}1e5"), "secret").await, (400, -1100));
    assert_eq!(signed(order, "secret").await, (400, -1102));
    assert_eq!(signed("side=BUY", "secret").await, (400, -1102));
    let unsigned = broker.send("POST", "/fapi/v1/order?timestamp=1", Some("key"), String::new()).await;
    assert_eq!((unsigned.status, unsigned.code()), (400, -1102));
    let untimely =
        broker.send("POST", "/fapi/v1/order?timestamp=now&signature=0", Some("key"), String::new()).await;
    assert_eq!((untimely.status, untimely.code()), (400, -1100));
    let keyless = broker.send("POST", "/fapi/v1/order?timestamp=1", None, String::new()).await;
    assert_eq!((keyless.status, keyless.code()), (401, -2014));
    let wrong = broker.send("PATCH", "/fapi/v1/time", None, String::new()).await;
    assert_eq!((wrong.status, wrong.code()), (404, -5000));
    assert_eq!(wrong.json["msg"], "Path /fapi/v1/time, Method PATCH is invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_at_what_no_client_may_send_and_survives_nonsense() {
    let broker = start().await;
    let mut nonsense = broker.open("/ws").await;
    for (text, code) in [("", 3), ("{", 3), ("[]", 2), ("{}", 2), (&"[".repeat(5_000), 3)] {
        say(&mut nonsense, text).await;
        assert_eq!(next(&mut nonsense).await.unwrap()["error"]["code"], code, "{text:.10}");
    }
    let mut binary = broker.open("/ws").await;
    binary.send(Message::Binary(Bytes::from_static(&[1, 2, 3]))).await.unwrap();
    assert_eq!(next(&mut binary).await, None);
    let mut long = broker.open("/ws").await;
    say(&mut long, &"a".repeat(40_000)).await;
    assert_eq!(next(&mut long).await, None);
    for target in ["/ws/btcusdt@ticker", "/stream?streams=btcusdt@aggTrade/!ticker@arr", "/ws/a%20b"] {
        let mut stream = broker.connect().await;
        let request = format!(
            "GET {target} HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 400", "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_told_so_and_there_is_room_again_later() {
    let mut config = prices(0, &["42000.00"]);
    config.max_connections = 3;
    let broker = Broker::start(config).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = broker.connect().await;
        stream.write_all(b"GET /fapi/v1/ping HTTP/1.1\r\n\r\n").await.unwrap();
        stream.read_exact(&mut [0; 15]).await.unwrap();
        held.push(stream);
    }
    let socket = broker.open("/ws").await;
    let mut surplus = broker.connect().await;
    let answer = read_to_end(&mut surplus).await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.ends_with(r#"{"code":0,"msg":"Service Unavailable."}"#)
    );
    drop(socket);
    loop {
        let answer = shout(&broker, b"GET /fapi/v1/ping HTTP/1.1\r\nconnection: close\r\n\r\n").await;
        match status(&answer) {
            "200" => break,
            other => assert_eq!(other, "503"),
        }
    }
}

/// Requests, whole and in pieces, with bytes that are anything.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let anything = prop::collection::vec(any::<u8>(), 0..400);
    let head = prop::sample::select(vec![
        "GET /fapi/v1/aggTrades?symbol=",
        "POST /fapi/v1/order HTTP/1.1\r\nx-mbx-apikey: key\r\ncontent-length: 50\r\n\r\nsymbol=",
        "GET /ws HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "",
    ]);
    (head, anything).prop_map(|(head, tail)| [head.as_bytes(), &tail].concat())
}

#[test]
fn any_bytes_are_answered_or_ended_and_the_next_client_is_served() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let broker = runtime.block_on(start());
    let config =
        proptest::test_runner::Config { cases: 200, failure_persistence: None, ..Default::default() };
    let outcome = TestRunner::new(config).run(&request(), |bytes| {
        let answer = runtime.block_on(shout(&broker, &bytes));
        prop_assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 "), "{answer}");
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(runtime.block_on(broker.get("/fapi/v1/ping")).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn weight_is_told_on_every_answer_of_an_endpoint() {
    let broker = Broker::start(Config { port: 0, ..Config::default() }).await;
    let refused = broker.get("/fapi/v1/aggTrades").await;
    assert_eq!((refused.status, refused.code()), (400, -1102));
    assert_eq!(refused.headers["x-mbx-used-weight-1m"], "20");
}
