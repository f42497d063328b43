//! Conditional orders: trailing stops, and the algo service, which keeps them until they are triggered.
#![allow(missing_docs, reason = "tests are named by sentences")]

mod support;

use broker::Event;
use serde_json::Value;
use support::{Broker, Socket, dec, next, number, prices};

/// The next event of a user stream that tells of an order: its type and fields.
async fn next_change(socket: &mut Socket) -> (String, Value) {
    loop {
        let event = next(socket).await.unwrap();
        if event["e"] != "ACCOUNT_UPDATE" {
            return (event["e"].as_str().unwrap().to_owned(), event["o"].clone());
        }
    }
}

async fn algo(broker: &Broker, method: &str, query: &str) -> support::Answer {
    broker.signed(method, "/fapi/v1/algoOrder", query).await
}

const STOP: &str = "symbol=BTCUSDT&algoType=CONDITIONAL&side=SELL&type=STOP_MARKET&quantity=0.01";

#[tokio::test(flavor = "multi_thread")]
async fn a_trailing_stop_sells_when_the_price_has_come_back_from_its_highest() {
    let broker = Broker::start(prices(150, &["42000.00", "42400.00", "42200.00", "41900.00"])).await;
    let key = broker.listen_key().await;
    broker.order("side=BUY&type=MARKET&quantity=0.01").await;
    let mut user = broker.open(&format!("/ws/{key}")).await;
    let stop = "side=SELL&type=TRAILING_STOP_MARKET&quantity=0.01&callbackRate=1&newClientOrderId=trail";
    let placed = broker.order(stop).await;
    assert_eq!(placed.status, 200, "{}", placed.json);
    assert_eq!(number(&placed.json["priceRate"]), dec("1"));
    assert!(number(&placed.json["activatePrice"]) >= dec("41900"));
    let (_, accepted) = next_change(&mut user).await;
    assert_eq!((&accepted["x"], &accepted["o"]), (&"NEW".into(), &"TRAILING_STOP_MARKET".into()));
    assert_eq!(accepted["AP"], placed.json["activatePrice"]);
    assert_eq!(number(&accepted["cr"]), dec("1"));
    assert_eq!(next_change(&mut user).await.1["x"], "EXPIRED");
    assert_eq!(next_change(&mut user).await.1["o"], "MARKET");
    let (_, sold) = next_change(&mut user).await;
    assert_eq!((&sold["x"], &sold["ot"]), (&"TRADE".into(), &"TRAILING_STOP_MARKET".into()));
    assert_eq!(number(&sold["L"]), dec("41900"), "1 % below 42,400 is 41,976");
    let early = "side=SELL&type=TRAILING_STOP_MARKET&quantity=0.01&callbackRate=1&activationPrice=41000";
    assert_eq!(broker.order(early).await.code(), -2021);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_the_algo_service_is_no_order_until_it_is_triggered() {
    let broker = Broker::start(prices(0, &["42000.00"])).await;
    let placed = algo(&broker, "POST", &format!("{STOP}&triggerPrice=41000&clientAlgoId=stop")).await.json;
    assert_eq!((&placed["algoStatus"], &placed["orderType"]), (&"NEW".into(), &"STOP_MARKET".into()));
    assert_eq!((number(&placed["triggerPrice"]), &placed["actualOrderId"]), (dec("41000"), &"".into()));
    let id = placed["algoId"].as_u64().unwrap();
    for query in [format!("orderId={id}"), "orderId=1".into(), "origClientOrderId=stop".into()] {
        let query = format!("symbol=BTCUSDT&{query}");
        assert_eq!(broker.signed("GET", "/fapi/v1/order", &query).await.code(), -2013);
        assert_eq!(broker.signed("DELETE", "/fapi/v1/order", &query).await.code(), -2011);
    }
    broker.signed("DELETE", "/fapi/v1/allOpenOrders", "symbol=BTCUSDT").await;
    let list = async |path: &str| broker.signed("GET", path, "symbol=BTCUSDT").await.json;
    assert_eq!(list("/fapi/v1/openOrders").await, Value::Array(vec![]));
    assert_eq!(list("/fapi/v1/allOrders").await, Value::Array(vec![]));
    assert_eq!(list("/fapi/v1/openAlgoOrders").await[0]["clientAlgoId"], "stop");
    let again = algo(&broker, "POST", &format!("{STOP}&triggerPrice=41000&clientAlgoId=stop")).await;
    assert_eq!(again.code(), -4116);

    let gone = algo(&broker, "DELETE", &format!("algoId={id}")).await.json;
    assert_eq!((&gone["code"], &gone["clientAlgoId"]), (&"200".into(), &"stop".into()));
    assert_eq!(algo(&broker, "GET", "clientAlgoId=stop").await.json["algoStatus"], "CANCELED");
    assert_eq!(algo(&broker, "DELETE", "clientAlgoId=stop").await.code(), -2011);
    assert_eq!(algo(&broker, "GET", "algoId=1").await.code(), -2013);
    assert_eq!(algo(&broker, "GET", "").await.code(), -1102);
    algo(&broker, "POST", &format!("{STOP}&triggerPrice=41000&clientAlgoId=other")).await;
    let all = broker.signed("DELETE", "/fapi/v1/algoOpenOrders", "symbol=BTCUSDT").await;
    assert_eq!((all.status, &all.json["code"]), (200, &200.into()));
    assert_eq!(algo(&broker, "GET", "clientAlgoId=other").await.json["algoStatus"], "CANCELED");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_algo_service_tells_each_step_of_an_order_until_it_is_filled() {
    let broker = Broker::start(prices(200, &["42000.00", "41000.00"])).await;
    let key = broker.listen_key().await;
    let mut user = broker.open(&format!("/ws/{key}")).await;
    while broker.get("/fapi/v1/ticker/price?symbol=BTCUSDT").await.json["price"] != "42000.00" {}
    let placed = algo(&broker, "POST", &format!("{STOP}&triggerPrice=41500&clientAlgoId=stop")).await;
    assert_eq!(placed.status, 200, "{}", placed.json);
    let mut told = Vec::new();
    let finished = loop {
        let (event, fields) = next_change(&mut user).await;
        told.push(format!("{event} {}", fields["X"].as_str().unwrap()));
        if fields["X"] == "FINISHED" {
            break fields;
        }
    };
    let steps = [
        "ALGO_UPDATE NEW",
        "ALGO_UPDATE TRIGGERING",
        "ALGO_UPDATE TRIGGERED",
        "ORDER_TRADE_UPDATE NEW",
        "ORDER_TRADE_UPDATE FILLED",
        "ALGO_UPDATE FINISHED",
    ];
    assert_eq!(told, steps);
    assert_eq!((number(&finished["aq"]), number(&finished["ap"])), (dec("0.01"), dec("41000")));
    assert_eq!((&finished["act"], &finished["caid"]), (&"MARKET".into(), &"stop".into()));
    let order = format!("symbol=BTCUSDT&orderId={}", finished["ai"].as_str().unwrap());
    let order = broker.signed("GET", "/fapi/v1/order", &order).await.json;
    assert_eq!((&order["status"], &order["clientOrderId"]), (&"FILLED".into(), &"stop".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_the_matching_engine_does_not_take_is_rejected_with_the_reason() {
    let broker = Broker::start(prices(200, &["42000.00", "41000.00"])).await;
    let key = broker.listen_key().await;
    let mut user = broker.open(&format!("/ws/{key}")).await;
    while broker.get("/fapi/v1/ticker/price?symbol=BTCUSDT").await.json["price"] != "42000.00" {}
    algo(&broker, "POST", &format!("{STOP}&triggerPrice=41500&reduceOnly=true")).await;
    let fields = loop {
        let (event, fields) = next_change(&mut user).await;
        assert_eq!(event, "ALGO_UPDATE", "there is never an order");
        if fields["X"] == "REJECTED" {
            break fields;
        }
    };
    assert_eq!(fields["rm"], "ReduceOnly Order is rejected.");
    assert_eq!(fields["ai"], "");
    let ended = |record: &broker::Record| matches!(record.event, Event::OrderExpired { .. });
    assert!(broker.exchange.journal().records().iter().any(ended));
}
