//! What the exchange does after minutes and hours: pings, goodbyes, and patience with clients that have none.

use std::{sync::Arc, time::Duration};

use broker::{Config, Exchange};
use env::{BoxStream, Env, fact};
use futures_util::StreamExt;
use sim::{Case, Event, Options, Outcome, Plan, mins, run, secs};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};
use tokio_tungstenite::{client_async, tungstenite::Message};

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nhost: broker\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// An exchange and one client that does this, for this long.
fn with<F>(span: Duration, client: impl Fn(Env, BoxStream) -> F + Send + Sync + 'static) -> Outcome
where
    F: Future<Output = ()> + Send + 'static,
{
    let client = Arc::new(client);
    let case = Case::new("patience", move |world| {
        // Nothing is traded: hours pass in no time.
        let symbols = vec![broker::SymbolConfig {
            tape: broker::Tape::Trades(Arc::default()),
            ..broker::SymbolConfig::default()
        }];
        let exchange = Exchange::new(Config { symbols, ..Config::default() });
        world.host("broker", move |env| {
            let exchange = exchange.clone();
            async move { broker::serve(env, exchange).await.expect("the port is free") }
        });
        let client = client.clone();
        world.host("client", move |env| {
            let client = client.clone();
            async move {
                sleep(secs(1)).await;
                let stream = env.net.connect("broker", 80).await.expect("the exchange listens");
                client(env, stream).await;
                fact!("client.done");
            }
        });
    })
    .safety(span);
    let outcome = run(&case, 1, &Options { plan: Some(Plan::default()), ..Options::default() });
    let outcome = outcome.expect("a plan that fits");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
    outcome
}

/// Seconds from the client's connection to each event of a name.
fn times(outcome: &Outcome, name: &str) -> Vec<u64> {
    let named = |event: &&Event| event.name == name;
    outcome.events.iter().filter(named).map(|event| event.at.as_millis() / 1_000 - 1).collect()
}

#[test]
fn a_stream_whose_client_never_answers_is_pinged_every_3_minutes_and_cut_after_10() {
    let outcome = with(mins(15), |_, mut stream| async move {
        stream.write_all(UPGRADE.as_bytes()).await.expect("the exchange reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("an answer"));
        }
        let mut frame = [0; 2];
        while stream.read_exact(&mut frame).await.is_ok() {
            // Final fragment, opcode "ping", no content; RFC 6455, §5.2.
            assert_eq!(frame, [0x89, 0]);
            fact!("client.pinged");
        }
    });
    assert_eq!(times(&outcome, "client.pinged"), [180, 360, 540]);
    assert_eq!(times(&outcome, "client.done"), [600]);
}

#[test]
fn a_stream_whose_client_answers_is_closed_after_24_hours() {
    let outcome = with(mins(25 * 60), |_, stream| async move {
        let (mut socket, _) = client_async("ws://broker/ws", stream).await.expect("a handshake");
        let reason = loop {
            match socket.next().await {
                Some(Ok(Message::Ping(_))) => fact!("client.pinged"),
                Some(Ok(Message::Close(Some(frame)))) => break frame.reason.to_string(),
                other => panic!("{other:?} was not expected"),
            }
        };
        assert_eq!(reason, "24 hours are over");
    });
    assert_eq!(times(&outcome, "client.pinged").len(), 24 * 20 - 1);
    assert_eq!(times(&outcome, "client.done"), [24 * 60 * 60]);
}

#[test]
fn a_head_that_comes_drop_by_drop_is_cut_off_after_a_minute() {
    let outcome = with(mins(3), |_, mut stream| async move {
        stream.write_all(b"GET /fapi/v1/ping HTTP/1.1\r\n").await.expect("the exchange reads");
        while stream.write_all(b"a: b\r\n").await.is_ok() {
            if let Ok(read) = timeout(secs(5), stream.read(&mut [0; 512])).await {
                return assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
            }
        }
    });
    let done = times(&outcome, "client.done");
    assert!((60..=66).contains(&done[0]), "{done:?}");
}

#[test]
fn a_body_that_does_not_come_is_given_up_after_ten_seconds() {
    let outcome = with(mins(3), |_, mut stream| async move {
        let head = "POST /fapi/v1/order HTTP/1.1\r\nhost: broker\r\ncontent-length: 10\r\n\r\nsymbol=";
        stream.write_all(head.as_bytes()).await.expect("the exchange reads");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 400");
    });
    assert_eq!(times(&outcome, "client.done"), [10]);
}

#[test]
fn a_client_that_says_nothing_at_all_is_cut_off_after_a_minute() {
    let outcome = with(mins(3), |_, mut stream| async move {
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    });
    assert_eq!(times(&outcome, "client.done"), [60]);
}
