//! Market data, subscriptions, listen keys, and requests that nobody should send.
#![allow(missing_docs, reason = "tests are named by sentences")]

mod support;

use broker::Config;
use support::{Broker, next, next_order, prices, say, say_all};

const FAST: &[&str] = &["42000.00", "42000.10", "42000.20", "42000.30", "42000.40", "42000.50"];

#[tokio::test(flavor = "multi_thread")]
async fn market_trades_are_contiguous_and_can_be_asked_for_again() {
    let broker = Broker::start(prices(20, FAST)).await;
    let mut raw = broker.open("/ws/btcusdt@aggTrade").await;
    let first = next(&mut raw).await.unwrap();
    assert_eq!((&first["e"], &first["s"]), (&"aggTrade".into(), &"BTCUSDT".into()));
    let start = first["a"].as_u64().unwrap();
    let mut heard = vec![first];
    for id in start + 1..start + 10 {
        let trade = next(&mut raw).await.unwrap();
        assert_eq!(trade["a"], id);
        heard.push(trade);
    }
    let again = broker.get(&format!("/fapi/v1/aggTrades?symbol=BTCUSDT&fromId={start}&limit=10")).await;
    assert_eq!(again.headers["x-mbx-used-weight-1m"], "20");
    for (trade, heard) in again.json.as_array().unwrap().iter().zip(heard) {
        for field in ["a", "p", "q", "f", "l", "T", "m"] {
            assert_eq!(trade[field], heard[field]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_can_be_combined_and_changed_while_they_run() {
    let broker = Broker::start(prices(20, FAST)).await;
    let mut socket = broker.open("/stream?streams=btcusdt@bookTicker").await;
    assert_eq!(next(&mut socket).await.unwrap()["stream"], "btcusdt@bookTicker");
    say(&mut socket, r#"{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":1}"#).await;
    while next(&mut socket).await.unwrap()["stream"] != "btcusdt@aggTrade" {}
    say(&mut socket, r#"{"method":"UNSUBSCRIBE","params":["btcusdt@bookTicker"],"id":2}"#).await;
    while next(&mut socket).await.unwrap()["id"] != 2 {}
    assert_eq!(next(&mut socket).await.unwrap()["data"]["e"], "aggTrade");
    say(&mut socket, r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#).await;
    let list = loop {
        let event = next(&mut socket).await.unwrap();
        if event["id"] == 3 {
            break event;
        }
    };
    assert_eq!(list["result"], serde_json::json!(["btcusdt@aggTrade"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_talks_too_much_is_cut_off() {
    let broker = Broker::start(prices(0, &FAST[..1])).await;
    let mut socket = broker.open("/ws").await;
    say_all(&mut socket, &[r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#; 11]).await;
    let mut answers = 0;
    while next(&mut socket).await.is_some() {
        answers += 1;
    }
    assert_eq!(answers, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_listen_key_silences_its_listener_without_disconnecting_it() {
    let broker = Broker::start(prices(0, &FAST[..1])).await;
    let key = broker.listen_key().await;
    assert_eq!(broker.listen_key().await, key);
    let mut first = broker.open(&format!("/ws/{key}")).await;
    let keyed = async |method| broker.send(method, "/fapi/v1/listenKey", Some("key"), String::new()).await;
    assert_eq!(keyed("PUT").await.json["listenKey"], key.as_str());
    assert_eq!(keyed("DELETE").await.status, 200);
    assert_eq!(keyed("PUT").await.code(), -1125);
    let mut second = broker.open(&format!("/ws/{}", broker.listen_key().await)).await;
    broker.order("side=BUY&type=MARKET&quantity=0.01&newClientOrderId=unheard").await;
    assert_eq!(next_order(&mut second).await["c"], "unheard");
    say(&mut first, r#"{"method":"LIST_SUBSCRIPTIONS","id":9}"#).await;
    assert_eq!(next(&mut first).await.unwrap()["id"], 9, "the answer comes, and no event before it");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_are_answered_in_kind() {
    let broker = Broker::start(prices(0, &FAST[..1])).await;
    let unknown = broker.get("/fapi/v1/nothing").await;
    assert_eq!((unknown.status, unknown.code()), (404, -5000));
    let long = broker.send("POST", "/fapi/v1/order", Some("key"), "a".repeat(100_000)).await;
    assert_eq!(long.status, 413);
    assert_eq!(long.headers["connection"], "close", "the rest of the request was not read");
    let garbage = broker.send("POST", "/fapi/v1/order", Some("key"), "%%%=&&=\u{0}".into()).await;
    assert_eq!((garbage.status, garbage.code()), (400, -1102));
    assert_eq!(broker.get("/ws/btcusdt@aggTrade").await.status, 400, "not a WebSocket handshake");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_too_much_is_told_when_to_come_back() {
    let broker = Broker::start(prices(0, &FAST[..1])).await;
    let mut answers = 0;
    let refused = loop {
        let answer = broker.get("/fapi/v1/aggTrades?symbol=BTCUSDT").await;
        if answer.status != 200 {
            break answer;
        }
        answers += 1;
    };
    assert!(answers >= 2_400 / 20);
    assert_eq!((refused.status, refused.code()), (429, -1003));
    let seconds: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listing_names_the_filters_that_orders_must_pass() {
    let broker = Broker::start(Config { port: 0, ..Config::default() }).await;
    let info = broker.get("/fapi/v1/exchangeInfo").await.json;
    let symbol = &info["symbols"][0];
    assert_eq!((&symbol["symbol"], &symbol["baseAsset"]), (&"BTCUSDT".into(), &"BTC".into()));
    assert_eq!(symbol["filters"][0]["tickSize"], "0.10");
    assert_eq!(symbol["filters"][1]["stepSize"], "0.001");
    assert_eq!(symbol["filters"][5]["notional"], "100");
    assert_eq!(symbol["filters"][6]["multiplierUp"], "1.05");
    let ticker = broker.get("/fapi/v1/ticker/bookTicker?symbol=BTCUSDT").await.json;
    assert!(support::number(&ticker["bidPrice"]) < support::number(&ticker["askPrice"]));
    assert!(
        (broker.get("/fapi/v1/time").await.json["serverTime"].as_i64().unwrap() - broker.now()).abs() < 5_000
    );
}
