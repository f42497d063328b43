//! Queries that are answered by a replica which is behind, whether or not anything is wrong.
#![allow(missing_docs, reason = "tests are named by sentences")]

mod support;

use std::time::Duration;

use broker::Config;
use support::{Broker, dec, number, prices};
use tokio::time::Instant;

const LAG: Duration = Duration::from_millis(700);
/// Between two questions: few enough of them for the rate limit.
const PAUSE: Duration = Duration::from_millis(20);

async fn lagging() -> Broker {
    Broker::start(Config { query_lag: LAG, ..prices(0, &["42000.00"]) }).await
}

/// Asks again and again until the answer changes; returns how long that took.
async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> (T, Duration) {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return (answer, begun.elapsed());
        }
        tokio::time::sleep(PAUSE).await;
        assert!(begun.elapsed() < Duration::from_secs(20), "the replica never caught up");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_exists_for_queries_when_the_replica_has_heard_of_it() {
    let broker = lagging().await;
    let placed = broker
        .order("side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=41000&newClientOrderId=a")
        .await;
    assert_eq!(placed.status, 200, "{}", placed.json);
    let named = "symbol=BTCUSDT&origClientOrderId=a";
    let first = broker.signed("GET", "/fapi/v1/order", named).await;
    assert_eq!((first.status, first.code()), (400, -2013));
    let open = async || broker.signed("GET", "/fapi/v1/openOrders", "symbol=BTCUSDT").await.json;
    assert_eq!(open().await, serde_json::json!([]));
    let (order, waited) = until(async || {
        let answer = broker.signed("GET", "/fapi/v1/order", named).await;
        (answer.status == 200).then_some(answer.json)
    })
    .await;
    assert!(waited > LAG / 2, "{waited:?}");
    assert_eq!(order["status"], "NEW");
    assert_eq!(open().await[0]["clientOrderId"], "a");

    let canceled = broker.signed("DELETE", "/fapi/v1/order", named).await;
    assert_eq!(canceled.json["status"], "CANCELED", "the book itself is not behind");
    assert_eq!(open().await[0]["status"], "NEW");
    let (_, waited) = until(async || (open().await == serde_json::json!([])).then_some(())).await;
    assert!(waited > LAG / 2, "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trades_positions_and_balances_are_those_of_a_while_ago() {
    let broker = lagging().await;
    let bought = broker.order("side=BUY&type=MARKET&quantity=0.01").await;
    assert_eq!(bought.status, 200, "{}", bought.json);
    let trades = async || broker.signed("GET", "/fapi/v1/userTrades", "symbol=BTCUSDT").await.json;
    let position = async || {
        let positions = broker.signed("GET", "/fapi/v2/positionRisk", "symbol=BTCUSDT").await.json;
        positions.as_array().unwrap().first().map_or(dec("0"), |position| number(&position["positionAmt"]))
    };
    let balance = async || number(&broker.signed("GET", "/fapi/v2/balance", "").await.json[0]["balance"]);
    assert_eq!((trades().await, position().await), (serde_json::json!([]), dec("0")));
    assert_eq!(balance().await, dec("100000"));
    until(async || (position().await == dec("0.01")).then_some(())).await;
    assert_ne!(trades().await, serde_json::json!([]));
    assert_eq!(balance().await, broker.exchange.journal().wallet_balance());
}
