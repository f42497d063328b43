//! Orders through a real HTTP client, and what a real WebSocket client hears of them.
#![allow(missing_docs, reason = "tests are named by sentences")]

mod support;

use broker::{ClientOrderIds, Config, Event, sign};
use serde_json::Value;
use support::{Broker, dec, next_order, number, prices};

const STILL: &[&str] = &["42000.00"];

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_market_order_is_acknowledged_and_its_fills_arrive_on_the_user_stream() {
    let broker = Broker::start(prices(0, STILL)).await;
    let key = broker.listen_key().await;
    let mut user = broker.open(&format!("/ws/{key}")).await;
    for n in 1..=4 {
        let id = format!("order-{n}");
        let answer =
            broker.order(&format!("side=BUY&type=MARKET&quantity=0.500&newClientOrderId={id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        assert_eq!(
            (&answer.json["status"], &answer.json["clientOrderId"]),
            (&"NEW".into(), &id.as_str().into())
        );
        let header = |name: &str| answer.headers[name].to_str().unwrap().parse::<u32>().unwrap();
        // Windows are aligned to the clock, so that one may end between two orders.
        assert!((1..=n).contains(&header("x-mbx-order-count-10s")));
        assert!((1..=n).contains(&header("x-mbx-order-count-1m")));
        assert!(header("x-mbx-used-weight-1m") <= 1);
        let accepted = next_order(&mut user).await;
        assert_eq!((&accepted["c"], &accepted["x"]), (&id.as_str().into(), &"NEW".into()));
        let mut executed = dec("0");
        while executed < dec("0.5") {
            let fill = next_order(&mut user).await;
            assert_eq!((&fill["x"], number(&fill["L"])), (&"TRADE".into(), dec("42000.10")));
            executed += number(&fill["l"]);
            assert_eq!(number(&fill["z"]), executed);
            assert_eq!(fill["X"], if executed < dec("0.5") { "PARTIALLY_FILLED" } else { "FILLED" });
        }
    }
    let fills = broker.exchange.journal().fills();
    assert!(fills.iter().zip(1..).all(|(fill, id)| fill.trade_id == id), "{fills:?}");
    let trades = broker.signed("GET", "/fapi/v1/userTrades", "symbol=BTCUSDT&fromId=1").await.json;
    let ids: Vec<u64> =
        trades.as_array().unwrap().iter().map(|trade| trade["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, fills.iter().map(|fill| fill.trade_id).collect::<Vec<_>>());
    assert_eq!(broker.exchange.journal().position("BTCUSDT"), dec("2"));
    let positions = broker.signed("GET", "/fapi/v2/positionRisk", "symbol=BTCUSDT").await.json;
    assert_eq!(number(&positions[0]["positionAmt"]), dec("2"));
    assert_eq!(number(&positions[0]["entryPrice"]), dec("42000.1"));
    let balance = number(&broker.signed("GET", "/fapi/v2/balance", "").await.json[0]["balance"]);
    assert_eq!(balance, broker.exchange.journal().wallet_balance());
    assert_eq!(balance, dec("100000") - dec("84000.2") * dec("0.0004"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_the_owner_or_not_on_time_is_refused() {
    let broker = Broker::start(prices(0, STILL)).await;
    let order = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01";
    let attempt = async |stamp: i64, secret: &str, key: Option<&str>| {
        let payload = format!("{order}&timestamp={stamp}");
        let body = format!("{payload}&signature={}", sign(secret, &payload));
        let answer = broker.send("POST", "/fapi/v1/order", key, body).await;
        (answer.status, answer.json["code"].as_i64())
    };
    let now = broker.now();
    assert_eq!(attempt(now, "wrong", Some("key")).await, (400, Some(-1022)));
    assert_eq!(attempt(now - 60_000, "secret", Some("key")).await, (400, Some(-1021)));
    assert_eq!(attempt(now + 60_000, "secret", Some("key")).await, (400, Some(-1021)));
    assert_eq!(attempt(now, "secret", Some("stranger")).await, (401, Some(-2015)));
    assert_eq!(attempt(now, "secret", None).await, (401, Some(-2014)));
    assert!(broker.exchange.journal().is_empty());
    assert_eq!(attempt(broker.now(), "secret", Some("key")).await, (200, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_order_is_answered_with_its_code_and_leaves_no_position() {
    let broker = Broker::start(prices(0, STILL)).await;
    let code = async |query: &str| broker.order(query).await.code();
    assert_eq!(code("side=BUY&type=MARKET").await, -1102);
    assert_eq!(code("side=BUY&type=MARKET&quantity=0.0101").await, -1111);
    assert_eq!(code("side=BUY&type=MARKET&quantity=121").await, -1013);
    assert_eq!(code("side=BUY&type=MARKET&quantity=0.001").await, -4164);
    assert_eq!(code("side=BUY&type=MARKET&quantity=0.01&newClientOrderId=a%20b").await, -4015);
    assert_eq!(code("side=SELL&type=MARKET&quantity=0.01&reduceOnly=true").await, -2022);
    let unlisted = broker.signed("POST", "/fapi/v1/order", "symbol=X&side=BUY&type=MARKET&quantity=1").await;
    assert_eq!(unlisted.code(), -1121);
    assert_eq!(unlisted.json["msg"], "Invalid symbol.");
    let query = async |method: &str, query: &str| broker.signed(method, "/fapi/v1/order", query).await.code();
    assert_eq!(query("GET", "symbol=BTCUSDT&orderId=7").await, -2013);
    assert_eq!(query("GET", "symbol=BTCUSDT&orderId=0").await, -2013);
    assert_eq!(query("GET", "symbol=BTCUSDT").await, -1102);
    assert_eq!(query("DELETE", "symbol=BTCUSDT&origClientOrderId=nobody").await, -2011);
    assert_eq!(broker.exchange.journal().position("BTCUSDT"), dec("0"));
    let refused = |record: &&broker::Record| matches!(record.event, Event::OrderRefused { .. });
    assert_eq!(broker.exchange.journal().records().iter().filter(refused).count(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reduce_only_order_closes_a_position_but_never_turns_it() {
    let broker = Broker::start(prices(0, STILL)).await;
    broker.order("side=BUY&type=MARKET&quantity=0.004").await;
    let close = "side=SELL&type=MARKET&quantity=0.010&reduceOnly=true&newOrderRespType=RESULT";
    let closed = broker.order(close).await.json;
    assert_eq!((number(&closed["executedQty"]), &closed["status"]), (dec("0.004"), &"EXPIRED".into()));
    assert_eq!(broker.exchange.journal().position("BTCUSDT"), dec("0"));
    assert_eq!(broker.order(close).await.code(), -2022);
}

#[tokio::test(flavor = "multi_thread")]
async fn resting_reduce_only_orders_reserve_the_position() {
    let broker = Broker::start(prices(0, STILL)).await;
    broker.order("side=BUY&type=MARKET&quantity=0.004").await;
    let rest = "side=SELL&type=LIMIT&timeInForce=GTC&price=43000&quantity=0.004&reduceOnly=true";
    assert_eq!(broker.order(rest).await.status, 200);
    assert_eq!(broker.order(rest).await.code(), -4118);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resting_order_is_listed_unique_and_can_be_cancelled_once() {
    let broker = Broker::start(prices(0, STILL)).await;
    let limit = "side=BUY&type=LIMIT&timeInForce=GTC&price=41000.5&quantity=0.01&newClientOrderId=rest";
    assert_eq!(broker.order(limit).await.json["status"], "NEW");
    assert_eq!(broker.order(limit).await.code(), -4116);
    let open = broker.signed("GET", "/fapi/v1/openOrders", "symbol=BTCUSDT").await.json;
    assert_eq!((open.as_array().unwrap().len(), number(&open[0]["price"])), (1, dec("41000.5")));
    let rest = "symbol=BTCUSDT&origClientOrderId=rest";
    assert_eq!(broker.signed("DELETE", "/fapi/v1/order", rest).await.json["status"], "CANCELED");
    assert_eq!(broker.signed("DELETE", "/fapi/v1/order", rest).await.code(), -2011);
    assert_eq!(broker.signed("GET", "/fapi/v1/order", rest).await.json["status"], "CANCELED");
    assert_eq!(broker.order(limit).await.status, 200, "the id is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_of_a_filled_order_is_free_unless_the_exchange_says_for_ever() {
    let order = "side=BUY&type=MARKET&quantity=0.01&newClientOrderId=once";
    let lax = Broker::start(prices(0, STILL)).await;
    let config = Config { client_order_ids: ClientOrderIds::UniqueForEver, ..prices(0, STILL) };
    let strict = Broker::start(config).await;
    assert_eq!(lax.order(order).await.status, 200);
    assert_eq!(lax.order(order).await.status, 200);
    assert_eq!(strict.order(order).await.status, 200);
    assert_eq!(strict.order(order).await.code(), -4116);
    assert_eq!(lax.exchange.journal().position("BTCUSDT"), dec("0.02"));
    assert_eq!(strict.exchange.journal().position("BTCUSDT"), dec("0.01"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_may_not_rest_trades_at_once_or_expires() {
    let broker = Broker::start(prices(0, STILL)).await;
    for life in ["IOC", "FOK"] {
        let place = async |price: &str| {
            let limit = format!("side=BUY&type=LIMIT&timeInForce={life}&quantity=0.01&price={price}");
            broker.order(&format!("{limit}&newOrderRespType=RESULT")).await.json["status"].clone()
        };
        assert_eq!(place("42000.1").await, "FILLED");
        let too_cheap = place("42000").await;
        assert_eq!(too_cheap, if life == "IOC" { "EXPIRED".into() } else { Value::Null });
    }
    let fok = "side=BUY&type=LIMIT&timeInForce=FOK&quantity=0.01&price=42000";
    assert_eq!(broker.order(fok).await.code(), -2010);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_market_fills_a_resting_order_at_its_own_price_for_the_makers_fee() {
    let broker = Broker::start(prices(400, &["42000.00", "41000.00"])).await;
    let key = broker.listen_key().await;
    let mut user = broker.open(&format!("/stream?streams={key}")).await;
    broker.order("side=BUY&type=LIMIT&timeInForce=GTC&price=41500&quantity=0.01").await;
    let fill = loop {
        let event = support::next(&mut user).await.unwrap();
        assert_eq!(event["stream"], key.as_str());
        let data = &event["data"];
        if data["e"] == "ORDER_TRADE_UPDATE" && data["o"]["x"] == "TRADE" {
            break data["o"].clone();
        }
    };
    assert_eq!((&fill["X"], &fill["m"]), (&"FILLED".into(), &true.into()));
    assert!(number(&fill["L"]) <= dec("41500") && number(&fill["n"]) == number(&fill["L"]) * dec("0.000002"));
    let open = broker.signed("GET", "/fapi/v1/openOrders", "").await.json;
    assert_eq!(open.as_array().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_broker_remembers_orders_positions_and_listen_keys() {
    let broker = Broker::start(prices(0, STILL)).await;
    broker.order("side=BUY&type=MARKET&quantity=0.01").await;
    broker.order("side=BUY&type=LIMIT&timeInForce=GTC&price=41000&quantity=0.01&newClientOrderId=rest").await;
    let key = broker.listen_key().await;
    let broker = broker.restart().await;
    let order = broker.signed("GET", "/fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=rest").await;
    assert_eq!(order.json["status"], "NEW");
    let positions = broker.signed("GET", "/fapi/v2/positionRisk", "").await.json;
    assert_eq!(number(&positions[0]["positionAmt"]), dec("0.01"));
    assert_eq!(broker.listen_key().await, key);
}
