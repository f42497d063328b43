//! The trading interface over a real socket: order types, margin, lists, market data and the dead man's switch.
#![allow(missing_docs, reason = "tests are named by sentences")]

mod support;

use broker::{Account, Config, Event};
use serde_json::{Value, json};
use support::{Answer, Broker, dec, next, next_order, number, prices};

const STILL: &[&str] = &["42000.00"];

fn poor(balance: &str) -> Config {
    let account = Account { api_key: "key".into(), secret: "secret".into(), balance: dec(balance) };
    Config { accounts: vec![account], ..prices(0, STILL) }
}

async fn get(broker: &Broker, path: &str, query: &str) -> Value {
    let answer = broker.signed("GET", path, query).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.json);
    answer.json
}

async fn post(broker: &Broker, path: &str, query: &str) -> Answer {
    broker.signed("POST", path, query).await
}

fn field(value: &Value, name: &str) -> rust_decimal::Decimal {
    number(&value[name])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_beyond_the_margin_is_refused_until_leverage_or_a_reduction_makes_room() {
    let broker = Broker::start(poor("1000")).await;
    let buy = async |quantity: &str| broker.order(&format!("side=BUY&type=MARKET&quantity={quantity}")).await;
    // At 20 times 0.4 costs 840.002 of margin, 0.02 in open loss of a half spread at most, and 6.72 in fees.
    assert_eq!(buy("0.5").await.code(), -2019);
    assert_eq!(buy("0.4").await.status, 200);
    assert_eq!(buy("0.1").await.code(), -2019);
    let close = "side=SELL&type=MARKET&quantity=0.4";
    assert_eq!(broker.order(close).await.status, 200, "what only reduces needs no margin");
    assert_eq!(post(&broker, "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=126").await.code(), -4028);
    let raised = post(&broker, "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=50").await.json;
    assert_eq!((&raised["leverage"], &raised["symbol"]), (&50.into(), &"BTCUSDT".into()));
    assert_eq!(buy("0.5").await.status, 200);
    assert_eq!(post(&broker, "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=10").await.code(), -2028);
}

#[tokio::test(flavor = "multi_thread")]
async fn account_balance_and_position_tell_one_story_in_all_versions() {
    let broker = Broker::start(poor("10000")).await;
    broker.order("side=BUY&type=MARKET&quantity=0.1").await;
    broker.order("side=BUY&type=LIMIT&timeInForce=GTC&price=41000&quantity=0.2").await;
    let old = get(&broker, "/fapi/v2/account", "").await;
    let new = get(&broker, "/fapi/v3/account", "").await;
    let fee = dec("42000.1") * dec("0.1") * dec("0.0004");
    assert_eq!(field(&new, "totalWalletBalance"), dec("10000") - fee);
    assert_eq!(field(&new, "totalOpenOrderInitialMargin"), dec("410"));
    let unrealized = field(&new, "totalUnrealizedProfit");
    assert!(unrealized <= dec("0") && unrealized > dec("-0.1"));
    assert_eq!(field(&new, "totalPositionInitialMargin"), (dec("4200.01") + unrealized) / dec("20"));
    let free = field(&new, "totalMarginBalance") - field(&new, "totalInitialMargin");
    assert_eq!(field(&new, "availableBalance"), free);
    for name in ["totalWalletBalance", "totalOpenOrderInitialMargin", "totalMaintMargin"] {
        assert_eq!(old[name], new[name]);
    }
    assert_eq!(old["positions"][0]["leverage"], "20");
    assert_eq!(old["positions"][0]["positionAmt"], new["positions"][0]["positionAmt"]);
    assert_eq!((&old["canTrade"], &old["multiAssetsMargin"]), (&true.into(), &false.into()));

    let risk = &get(&broker, "/fapi/v3/positionRisk", "symbol=BTCUSDT").await[0];
    assert_eq!((field(risk, "positionAmt"), field(risk, "bidNotional")), (dec("0.1"), dec("8200")));
    assert_eq!(field(risk, "breakEvenPrice"), dec("42000.1") * dec("1.0004"));
    assert_eq!(field(risk, "maintMargin"), field(risk, "notional") * dec("0.004"));
    let old = &get(&broker, "/fapi/v2/positionRisk", "").await[0];
    assert_eq!((&old["marginType"], &old["leverage"]), (&"cross".into(), &"20".into()));
    let balance = &get(&broker, "/fapi/v3/balance", "").await[0];
    assert_eq!(balance["availableBalance"], new["availableBalance"]);

    broker.order("side=SELL&type=MARKET&quantity=0.1").await;
    broker.signed("DELETE", "/fapi/v1/allOpenOrders", "symbol=BTCUSDT").await;
    assert_eq!(get(&broker, "/fapi/v3/positionRisk", "").await, json!([]));
    let income = get(&broker, "/fapi/v1/income", "").await;
    let sum: rust_decimal::Decimal = income.as_array().unwrap().iter().map(|row| field(row, "income")).sum();
    assert_eq!(dec("10000") + sum, broker.exchange.journal().wallet_balance());
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_already_so_or_not_to_be_had_are_refused_by_name() {
    let broker = Broker::start(prices(0, STILL)).await;
    let code = async |path: &str, query: &str| post(&broker, path, query).await.code();
    assert_eq!(code("/fapi/v1/marginType", "symbol=BTCUSDT&marginType=CROSSED").await, -4046);
    assert_eq!(code("/fapi/v1/marginType", "symbol=BTCUSDT&marginType=ISOLATED").await, -4084);
    assert_eq!(code("/fapi/v1/positionSide/dual", "dualSidePosition=false").await, -4059);
    assert_eq!(code("/fapi/v1/positionSide/dual", "dualSidePosition=true").await, -4084);
    assert_eq!(code("/fapi/v1/multiAssetsMargin", "multiAssetsMargin=false").await, -4171);
    assert_eq!(get(&broker, "/fapi/v1/positionSide/dual", "").await, json!({ "dualSidePosition": false }));
    let rate = get(&broker, "/fapi/v1/commissionRate", "symbol=BTCUSDT").await;
    assert_eq!(
        (&rate["makerCommissionRate"], &rate["takerCommissionRate"]),
        (&"0.0002".into(), &"0.0004".into())
    );
    let bracket = &get(&broker, "/fapi/v1/leverageBracket", "symbol=BTCUSDT").await[0]["brackets"][0];
    assert_eq!((&bracket["initialLeverage"], &bracket["maintMarginRatio"]), (&125.into(), &0.004.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_market_order_walks_the_book_that_everybody_can_see() {
    let broker = Broker::start(poor("1000000")).await;
    let depth = async || broker.get("/fapi/v1/depth?symbol=BTCUSDT&limit=5").await.json;
    let before = depth().await;
    let asks: Vec<_> = before["asks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|level| (number(&level[0]), number(&level[1])))
        .collect();
    assert_eq!(asks[0], (dec("42000.1"), support::LEVEL));
    let ticker = broker.get("/fapi/v1/ticker/bookTicker?symbol=BTCUSDT").await.json;
    assert_eq!((&ticker["askPrice"], &ticker["bidQty"]), (&before["asks"][0][0], &before["bids"][0][1]));
    let order = "side=BUY&type=MARKET&quantity=25&newOrderRespType=RESULT";
    let filled = broker.order(order).await.json;
    assert_eq!(filled["status"], "FILLED");
    let fills = broker.exchange.journal().fills();
    let walked: Vec<_> = fills.iter().map(|fill| (fill.price, fill.qty)).collect();
    let expected = [("42000.1", "10"), ("42000.2", "10"), ("42000.3", "5")].map(|(p, q)| (dec(p), dec(q)));
    assert_eq!(walked, expected);
    assert_eq!(field(&filled, "avgPrice"), dec("42000.18"));
    assert_eq!(broker.get("/fapi/v1/depth?symbol=BTCUSDT&limit=7").await.code(), -4021);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resting_order_is_part_of_the_book_and_post_only_ones_never_take() {
    let broker = Broker::start(prices(0, STILL)).await;
    let post_only = async |side: &str, price: &str| {
        broker.order(&format!("side={side}&type=LIMIT&timeInForce=GTX&quantity=0.5&price={price}")).await
    };
    assert_eq!(post_only("BUY", "42000.1").await.code(), -2010);
    assert_eq!(post_only("BUY", "41999").await.json["timeInForce"], "GTX");
    let depth = broker.get("/fapi/v1/depth?symbol=BTCUSDT&limit=20").await.json;
    let level = depth["bids"].as_array().unwrap().iter().find(|level| number(&level[0]) == dec("41999"));
    assert_eq!(level.map(|level| number(&level[1])), Some(support::LEVEL + dec("0.5")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_is_triggered_and_keeps_its_name_and_id() {
    let broker = Broker::start(prices(300, &["42000.00", "41900.00"])).await;
    let mut user = broker.open(&format!("/ws/{}", broker.listen_key().await)).await;
    broker.order("side=BUY&type=MARKET&quantity=0.01").await;
    let stop = "side=SELL&type=STOP_MARKET&closePosition=true&newClientOrderId=stop&stopPrice=";
    assert_eq!(broker.order(&format!("{stop}43000")).await.code(), -2021);
    let placed = broker.order(&format!("{stop}41950")).await.json;
    assert_eq!((&placed["type"], &placed["closePosition"]), (&"STOP_MARKET".into(), &true.into()));
    let mut story = Vec::new();
    let last = loop {
        let event = next_order(&mut user).await;
        if event["c"] == "stop" {
            let words = ["x", "o", "ot"].map(|name| event[name].as_str().unwrap().to_owned());
            assert_eq!(event["i"], placed["orderId"]);
            story.push(words.join(" "));
            if event["x"] == "TRADE" {
                break event;
            }
        }
    };
    assert_eq!(
        story,
        [
            "NEW STOP_MARKET STOP_MARKET",
            "EXPIRED STOP_MARKET STOP_MARKET",
            "NEW MARKET STOP_MARKET",
            "TRADE MARKET STOP_MARKET"
        ]
    );
    assert_eq!((number(&last["l"]), &last["cp"]), (dec("0.01"), &true.into()));
    assert_eq!(broker.exchange.journal().position("BTCUSDT"), dec("0"));
    let order = get(&broker, "/fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=stop").await;
    assert_eq!(
        (&order["type"], &order["origType"], &order["status"]),
        (&"MARKET".into(), &"STOP_MARKET".into(), &"FILLED".into())
    );
    let triggered = |record: &&broker::Record| matches!(record.event, Event::OrderTriggered { .. });
    assert_eq!(broker.exchange.journal().records().iter().filter(triggered).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_can_be_changed_and_only_a_change_is_a_change() {
    let broker = Broker::start(prices(0, STILL)).await;
    broker.order("side=BUY&type=LIMIT&timeInForce=GTC&price=41000&quantity=0.02&newClientOrderId=a").await;
    let amend = async |query: &str| {
        broker.signed("PUT", "/fapi/v1/order", &format!("symbol=BTCUSDT&origClientOrderId=a&{query}")).await
    };
    assert_eq!(amend("side=BUY&price=41000&quantity=0.02").await.code(), -5027);
    let amended = amend("side=BUY&price=41500&quantity=0.03").await.json;
    assert_eq!((field(&amended, "price"), field(&amended, "origQty")), (dec("41500"), dec("0.03")));
    let traded = amend("side=BUY&price=42100&quantity=0.03").await.json;
    assert_eq!((&traded["status"], field(&traded, "avgPrice")), (&"FILLED".into(), dec("42000.1")));
    assert_eq!(amend("side=BUY&price=41000&quantity=0.02").await.code(), -2013);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_can_be_placed_and_cancelled_several_at_a_time_each_with_its_own_fate() {
    let broker = Broker::start(prices(0, STILL)).await;
    let limit = |price: &str, id: &str| {
        json!({ "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": price,
            "quantity": "0.01", "newClientOrderId": id })
    };
    let batch = |orders: Value| {
        let text = orders.to_string();
        format!("batchOrders={}", text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>())
    };
    let placed = post(
        &broker,
        "/fapi/v1/batchOrders",
        &batch(json!([limit("41000", "a"), limit("0", "b"), limit("41001", "c")])),
    )
    .await;
    assert_eq!(placed.status, 200, "{}", placed.json);
    assert_eq!(
        [&placed.json[0]["clientOrderId"], &placed.json[1]["code"], &placed.json[2]["clientOrderId"]],
        [&json!("a"), &json!(-1013), &json!("c")]
    );
    let six = json!((0..6).map(|n| limit("41000", &n.to_string())).collect::<Vec<_>>());
    assert_eq!(post(&broker, "/fapi/v1/batchOrders", &batch(six)).await.code(), -4082);
    let cancel = "symbol=BTCUSDT&origClientOrderIdList=%5B%22a%22,%22x%22%5D";
    let canceled = broker.signed("DELETE", "/fapi/v1/batchOrders", cancel).await.json;
    assert_eq!((&canceled[0]["status"], &canceled[1]["code"]), (&"CANCELED".into(), &json!(-2011)));
    let open = get(&broker, "/fapi/v1/openOrder", "symbol=BTCUSDT&origClientOrderId=c").await;
    assert_eq!(open["status"], "NEW");
    let all = broker.signed("DELETE", "/fapi/v1/allOpenOrders", "symbol=BTCUSDT").await.json;
    assert_eq!(all["code"], 200);
    let gone = broker.signed("GET", "/fapi/v1/openOrder", "symbol=BTCUSDT&origClientOrderId=c").await;
    assert_eq!(gone.code(), -2013);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_order_is_checked_and_changes_nothing() {
    let broker = Broker::start(poor("100")).await;
    let test =
        async |query: &str| post(&broker, "/fapi/v1/order/test", &format!("symbol=BTCUSDT&{query}")).await;
    assert_eq!(test("side=BUY&type=MARKET&quantity=0.01").await.json, json!({}));
    assert_eq!(test("side=BUY&type=MARKET&quantity=1").await.code(), -2019);
    assert!(broker.exchange.journal().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_orders_are_listed_by_id_by_time_and_latest() {
    let broker = Broker::start(prices(0, STILL)).await;
    for n in 1..=5 {
        broker.order(&format!("side=BUY&type=MARKET&quantity=0.01&newClientOrderId=n{n}")).await;
    }
    let ids = async |query: &str| {
        let orders = get(&broker, "/fapi/v1/allOrders", &format!("symbol=BTCUSDT&{query}")).await;
        orders.as_array().unwrap().iter().map(|order| order["orderId"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids("limit=2").await, [4, 5]);
    assert_eq!(ids("orderId=2&limit=2").await, [2, 3]);
    assert_eq!(ids("startTime=1&limit=3").await, [1, 2, 3]);
    assert_eq!(ids("endTime=1").await, [] as [u64; 0]);
    let code = async |path: &str, query: &str| {
        broker.signed("GET", path, &format!("symbol=BTCUSDT&{query}")).await.code()
    };
    assert_eq!(code("/fapi/v1/allOrders", "startTime=2&endTime=1").await, -1023);
    assert_eq!(code("/fapi/v1/allOrders", "startTime=0&endTime=604800001").await, -1127);
    assert_eq!(code("/fapi/v1/userTrades", "fromId=1&startTime=1").await, -1128);
    let trades = get(&broker, "/fapi/v1/userTrades", "symbol=BTCUSDT&orderId=3").await;
    assert_eq!((trades.as_array().unwrap().len(), &trades[0]["orderId"]), (1, &3.into()));
    assert_eq!(get(&broker, "/fapi/v1/userTrades", "symbol=BTCUSDT&orderId=99").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_sign_of_life_all_orders_of_the_symbol_are_cancelled() {
    let broker = Broker::start(prices(0, STILL)).await;
    let mut user = broker.open(&format!("/ws/{}", broker.listen_key().await)).await;
    let rest = "side=BUY&type=LIMIT&timeInForce=GTC&price=41000&quantity=0.01&newClientOrderId=";
    let countdown = async |millis: &str| {
        let query = format!("symbol=BTCUSDT&countdownTime={millis}");
        post(&broker, "/fapi/v1/countdownCancelAll", &query).await.json
    };
    broker.order(&format!("{rest}kept")).await;
    assert_eq!(countdown("60000").await, json!({ "symbol": "BTCUSDT", "countdownTime": "60000" }));
    countdown("0").await;
    countdown("50").await;
    let canceled = loop {
        let event = next_order(&mut user).await;
        if event["x"] != "NEW" {
            break event;
        }
    };
    assert_eq!((&canceled["c"], &canceled["X"]), (&"kept".into(), &"CANCELED".into()));
    assert_eq!(broker.order(&format!("{rest}later")).await.status, 200, "a countdown runs out once");
    assert_eq!(get(&broker, "/fapi/v1/openOrders", "").await.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn candlesticks_prices_and_statistics_come_from_the_same_trades() {
    let broker = Broker::start(prices(20, &["42000.00", "42010.00", "41990.00", "42005.00"])).await;
    let mut klines = broker.open("/ws/btcusdt@kline_1m").await;
    let mut seen = 0;
    while seen < 5 {
        let event = next(&mut klines).await.unwrap();
        assert_eq!((&event["e"], &event["k"]["i"]), (&"kline".into(), &"1m".into()));
        seen += 1;
    }
    let rows = broker.get("/fapi/v1/klines?symbol=BTCUSDT&interval=1d").await.json;
    let row = rows.as_array().unwrap().last().unwrap();
    assert_eq!(
        (row.as_array().unwrap().len(), number(&row[2]), number(&row[3])),
        (12, dec("42010"), dec("41990"))
    );
    let day = broker.get("/fapi/v1/ticker/24hr?symbol=BTCUSDT").await.json;
    assert_eq!((field(&day, "highPrice"), field(&day, "lowPrice")), (dec("42010"), dec("41990")));
    assert_eq!(broker.get("/fapi/v1/klines?symbol=BTCUSDT&interval=7m").await.code(), -1120);
    let price = broker.get("/fapi/v1/ticker/price").await.json;
    assert_eq!(price[0]["symbol"], "BTCUSDT");
    let premium = broker.get("/fapi/v1/premiumIndex?symbol=BTCUSDT").await.json;
    assert!((dec("41990")..=dec("42010")).contains(&field(&premium, "markPrice")));
    let recent = broker.get("/fapi/v1/aggTrades?symbol=BTCUSDT&startTime=1").await.json;
    assert!(recent.as_array().unwrap().len() >= 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_can_no_longer_pay_is_liquidated_by_an_order_of_the_exchange() {
    let market: Vec<String> = (0..60).map(|n| format!("{}.00", 42_000 - 50 * n)).collect();
    let market: Vec<&str> = market.iter().map(String::as_str).collect();
    let account = Account { api_key: "key".into(), secret: "secret".into(), balance: dec("300") };
    let broker = Broker::start(Config { accounts: vec![account], ..prices(15, &market) }).await;
    let mut user = broker.open(&format!("/ws/{}", broker.listen_key().await)).await;
    post(&broker, "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=100").await;
    // The tape falls at once, then starts over: whenever it is bought, it falls by more than the margin.
    let bought = broker.order("side=BUY&type=MARKET&quantity=0.3&newClientOrderId=mine").await;
    assert_eq!(bought.status, 200, "{}", bought.json);
    let mut warned = false;
    let closing = loop {
        let event = next(&mut user).await.unwrap();
        warned |= event["e"] == "MARGIN_CALL";
        if event["o"]["c"].as_str().is_some_and(|name| name.starts_with("autoclose-"))
            && event["o"]["x"] == "TRADE"
        {
            break event["o"].clone();
        }
    };
    assert!(warned, "the warning comes first");
    assert_eq!((&closing["o"], &closing["S"]), (&"LIQUIDATION".into(), &"SELL".into()));
    assert_eq!(broker.exchange.journal().position("BTCUSDT"), dec("0"));
    let liquidations = |record: &&broker::Record| matches!(record.event, Event::Liquidation { .. });
    assert!(broker.exchange.journal().records().iter().any(|record| liquidations(&record)));
}
