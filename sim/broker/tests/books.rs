//! Single trades, and order books that clients keep for themselves.
#![allow(missing_docs, reason = "tests are named by sentences")]

mod support;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value;
use support::{Broker, dec, next, number, prices};

const FAST: &[&str] = &["42000.00", "42000.50", "42001.00", "41999.00"];

/// A side of a book by price.
type Levels = BTreeMap<Decimal, Decimal>;

/// An order book kept as the venue's documentation says ("How to manage a local order book correctly").
struct LocalBook {
    version: u64,
    bids: Levels,
    asks: Levels,
}

impl LocalBook {
    fn of(snapshot: &Value) -> Self {
        let mut book = Self { version: 0, bids: Levels::new(), asks: Levels::new() };
        book.apply(snapshot["lastUpdateId"].as_u64().unwrap(), &snapshot["bids"], &snapshot["asks"]);
        book
    }

    fn apply(&mut self, version: u64, bids: &Value, asks: &Value) {
        self.version = version;
        for (side, levels) in [(&mut self.bids, bids), (&mut self.asks, asks)] {
            for level in levels.as_array().unwrap() {
                let (price, quantity) = (number(&level[0]), number(&level[1]));
                if quantity.is_zero() {
                    side.remove(&price);
                } else {
                    side.insert(price, quantity);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_kept_from_a_snapshot_and_the_differences_after_it_is_the_exchanges() {
    let broker = Broker::start(prices(60, FAST)).await;
    let mut stream = broker.open("/ws/btcusdt@depth@100ms").await;
    let mut book: Option<LocalBook> = None;
    let mut previous = None;
    let (mut joined, mut compared) = (0, 0);
    let snapshot = async || broker.get("/fapi/v1/depth?symbol=BTCUSDT&limit=1000").await.json;
    for n in 0..30 {
        // Somebody trades with the exchange between the events.
        let side = if n % 2 == 0 { "BUY" } else { "SELL" };
        broker.order(&format!("side={side}&type=MARKET&quantity=0.3")).await;
        broker
            .order(&format!("side=BUY&type=LIMIT&timeInForce=GTC&price=4199{}&quantity=0.01", n % 10))
            .await;
        if n % 7 == 3 {
            broker.signed("DELETE", "/fapi/v1/allOpenOrders", "symbol=BTCUSDT").await;
        }
        if n % 5 == 2 {
            book = Some(LocalBook::of(&snapshot().await));
            joined = 0;
        }
        let event = next(&mut stream).await.unwrap();
        let id = |name: &str| event[name].as_u64().unwrap();
        assert!(previous.is_none_or(|previous| previous == id("pu")), "{event}");
        assert!(id("pu") < id("U") && id("U") <= id("u"));
        previous = Some(id("u"));
        let Some(book) = &mut book else { continue };
        // What is older than the snapshot is not applied to it.
        if id("u") < book.version {
            continue;
        }
        assert!(joined > 0 || id("U") <= book.version + 1, "there is a gap behind the snapshot: {event}");
        joined += 1;
        book.apply(id("u"), &event["b"], &event["a"]);
        let truth = snapshot().await;
        if truth["lastUpdateId"].as_u64() == Some(book.version) {
            let truth = LocalBook::of(&truth);
            assert_eq!((&book.bids, &book.asks), (&truth.bids, &truth.asks));
            compared += 1;
        }
    }
    assert!(compared > 0, "the exchange was never caught between two changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn single_trades_are_contiguous_and_old_ones_need_a_key() {
    let broker = Broker::start(prices(20, FAST)).await;
    let path = "/fapi/v1/historicalTrades?symbol=BTCUSDT&fromId=1&limit=3";
    let mut old = broker.send("GET", path, Some("key"), String::new()).await;
    while old.json.as_array().is_none_or(|trades| trades.len() < 3) {
        old = broker.send("GET", path, Some("key"), String::new()).await;
    }
    assert!(old.headers["x-mbx-used-weight-1m"].to_str().unwrap().parse::<u32>().unwrap() >= 20);
    let trades = old.json.as_array().unwrap();
    assert_eq!(trades.iter().map(|trade| trade["id"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((number(&trades[1]["price"]), number(&trades[1]["qty"])), (dec("42000.5"), dec("1")));
    assert_eq!((number(&trades[1]["quoteQty"]), &trades[1]["isBuyerMaker"]), (dec("42000.5"), &true.into()));
    assert_eq!(broker.get(path).await.code(), -2014);
    let recent = broker.get("/fapi/v1/trades?symbol=BTCUSDT&limit=2").await.json;
    assert_eq!(recent.as_array().unwrap().len(), 2);
    assert_eq!(recent[0]["id"].as_u64().unwrap() + 1, recent[1]["id"].as_u64().unwrap());
}
