//! An exchange and one customer: who places twelve orders, one each second, and asks for each at once; who listens to their
//! account and to the market; and who tells what they see.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use broker::{Config, Event as Truth, Exchange, Fill, Journal};
use env::{Env, fact};
use runtime::{
    clients::{
        broker::{Broker, BrokerError, Credentials},
        market::MarketStream,
        user_stream::UserStream,
    },
    core::{ClientOrderId, Intent, IntentId, Side, Symbol},
};
use sim::{Case, Event, Options, Outcome, Plan, World, mins, ms, run, secs};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

/// How many orders are placed.
pub const ORDERS: usize = 12;

/// A run that has held.
pub struct Run {
    pub outcome: Outcome,
    pub journal: Arc<Journal>,
}

/// The world under a plan, in which every line must have an effect.
pub fn under(plan: &str) -> Run {
    seeded(1, plan)
}

/// The same under another seed.
pub fn seeded(seed: u64, plan: &str) -> Run {
    let built = Arc::new(Mutex::new(None));
    let keep = built.clone();
    let text = plan.to_owned();
    let case = Case::new("customer", move |world| {
        *keep.lock().expect("nobody panics") = Some(furnish(world));
    })
    .safety(mins(2))
    .verify(move |check| {
        // `peer broker ack-lost` of `2s  peer broker ack-lost  for 1s`.
        for line in text.lines() {
            let words: Vec<&str> =
                line.split_whitespace().skip_while(|word| *word != "peer").take(3).collect();
            if !words.is_empty() {
                check.reached(words.join(" "));
            }
        }
    });
    let plan = Plan::parse(plan).expect("a well-formed plan");
    let outcome =
        run(&case, seed, &Options { plan: Some(plan), ..Options::default() }).expect("a plan that fits");
    assert!(outcome.verdict.held(), "{}\n{}", outcome.verdict, story(&outcome));
    let journal = built.lock().expect("nobody panics").take().expect("the world was built");
    Run { outcome, journal }
}

fn story(outcome: &Outcome) -> String {
    outcome.events.iter().map(|event| format!("{event}\n")).collect()
}

fn furnish(world: &mut World) -> Arc<Journal> {
    let exchange = Exchange::new(Config::default());
    let journal = exchange.journal().clone();
    world.peer("broker", exchange.faults().clone());
    world.host("broker", move |env| {
        let exchange = exchange.clone();
        async move { broker::serve(env, exchange).await.expect("the port is free") }
    });
    world.host("client", |env| async move {
        let broker = Broker::new(env.clone(), Credentials { api_key: "key".into(), secret: "secret".into() });
        env.spawn("account", listen(env.clone(), broker.clone()));
        env.spawn("market", watch(env.clone()));
        trade(env, broker).await;
        sleep(mins(5)).await;
    });
    journal
}

fn symbol() -> Symbol {
    "BTCUSDT".parse().expect("a symbol")
}

async fn trade(env: Env, broker: Broker) {
    for n in 1..=ORDERS {
        sleep(secs(1)).await;
        let client_order_id = id(n);
        let intent = Intent {
            client_order_id: client_order_id.clone(),
            intent_id: n.to_string().parse::<IntentId>().expect("an intent id"),
            symbol: symbol(),
            side: Side::Buy,
            qty: "0.01".parse().expect("a quantity"),
            price: "42000".parse().expect("a price"),
            reduce_only: false,
        };
        fact!("client.places", id = %client_order_id);
        let begun = Instant::now();
        let outcome = broker.place(&intent).await;
        let took_ms = begun.elapsed().as_millis() as u64;
        let (word, wait) = match &outcome {
            Ok(_) => ("done".into(), 0),
            Err(error) => (told(error), waits(error)),
        };
        let order_id = outcome.map_or(0, |report| report.order_id);
        fact!("client.placed", id = %client_order_id, outcome = %word, order_id, took_ms, wait_s = wait);
        let asked = match broker.order(&symbol(), &client_order_id).await {
            Ok(Some(report)) => format!("{:?} {}", report.status, report.executed),
            Ok(None) => "none".into(),
            Err(error) => told(&error),
        };
        fact!("client.asked", id = %client_order_id, answer = %asked);
        let held = look(&env, "/fapi/v2/positionRisk", "positionAmt").await;
        let balance = look(&env, "/fapi/v2/balance", "balance").await;
        fact!("client.holds", id = %client_order_id, position = %held, balance = %balance);
    }
}

/// The name of the n-th order.
fn id(n: usize) -> ClientOrderId {
    ClientOrderId::of(&n.to_string().parse().expect("an intent id"))
}

fn told(error: &BrokerError) -> String {
    match error {
        BrokerError::Rejected { code, .. } => format!("rejected {code}"),
        BrokerError::Busy { .. } => "busy".into(),
        BrokerError::NotSent(_) => "not sent".into(),
        BrokerError::Unknown(_) => "unknown".into(),
    }
}

fn waits(error: &BrokerError) -> u64 {
    match error {
        BrokerError::Busy { retry_after, .. } => retry_after.unwrap_or_default().as_secs(),
        _ => 0,
    }
}

/// Asks by hand for what the runtime's client does not ask for: a field of the first entry of the answer.
async fn look(env: &Env, path: &str, field: &str) -> String {
    let query = format!("timestamp={}", env.clock.now().as_millis());
    let signature = broker::sign("secret", &query);
    let request = format!(
        "GET {path}?{query}&signature={signature} HTTP/1.1\r\nhost: broker\r\nx-mbx-apikey: key\r\n\
         connection: close\r\n\r\n"
    );
    let exchange = async {
        let mut stream = env.net.connect("broker", 80).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    let Ok(Ok(answer)) = timeout(secs(5), exchange).await else { return "nothing".into() };
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    match json[0][field].as_str() {
        Some(text) => text.to_owned(),
        None => json["code"].to_string(),
    }
}

/// Tells what comes over the account's stream; opens it again half a second after it was lost.
async fn listen(env: Env, broker: Broker) {
    loop {
        match UserStream::open(&env, broker.clone()).await {
            Ok(mut stream) => {
                fact!("account.open");
                let end = loop {
                    match stream.next().await {
                        Ok(update) => {
                            let trade_id = update.fill.as_ref().map_or(0, |fill| fill.trade_id);
                            let at = update.fill.as_ref().map_or(0, |fill| fill.time.as_millis());
                            fact!(
                                "account.hears",
                                id = %update.client_order_id,
                                status = ?update.report.status,
                                trade_id,
                                at
                            );
                        }
                        Err(error) => break error,
                    }
                };
                fact!("account.lost", reason = %end);
            }
            Err(error) => fact!("account.closed", reason = %error),
        }
        sleep(ms(500)).await;
    }
}

/// Tells how many market trades arrive in each second.
async fn watch(env: Env) {
    loop {
        if let Ok(mut stream) = MarketStream::subscribe(&env, &[symbol()]).await {
            fact!("market.open");
            let end = loop {
                match stream.next(1, |_, trade| fact!("market.trade", id = trade.id)).await {
                    Ok(()) => {}
                    Err(error) => break error,
                }
            };
            fact!("market.lost", reason = %end);
        }
        sleep(ms(500)).await;
    }
}

impl Run {
    /// The events of a name, in order.
    pub fn named(&self, name: &str) -> Vec<&Event> {
        self.outcome.events.iter().filter(|event| event.name == name).collect()
    }

    /// A text field of the client's event about the n-th order.
    pub fn of(&self, name: &str, n: usize, field: &str) -> String {
        let id = id(n);
        let event = self.named(name).into_iter().find(|event| event.text("id") == Some(id.as_str()));
        let event =
            event.unwrap_or_else(|| panic!("no {name} about {}\n{}", id.as_str(), story(&self.outcome)));
        event.get(field).unwrap_or_else(|| panic!("{event} has no {field}")).to_string()
    }

    /// What came of placing each order.
    pub fn outcomes(&self) -> Vec<String> {
        (1..=ORDERS).map(|n| self.of("client.placed", n, "outcome")).collect()
    }

    /// The numbers of the orders of which this came.
    pub fn with_outcome(&self, outcome: &str) -> Vec<usize> {
        (1..=ORDERS).filter(|n| self.of("client.placed", *n, "outcome") == outcome).collect()
    }

    /// What the account's stream told of the n-th order, in order: `Acked`, `Filled` …
    pub fn heard(&self, n: usize) -> Vec<String> {
        let id = id(n);
        let about = |event: &&Event| event.text("id") == Some(id.as_str());
        let status = |event: &Event| event.text("status").expect("a status").to_owned();
        self.named("account.hears").into_iter().filter(about).map(status).collect()
    }

    /// When the account's stream first told this of the n-th order.
    pub fn heard_at(&self, n: usize, status: &str) -> Duration {
        let id = id(n);
        let told =
            |event: &&Event| event.text("id") == Some(id.as_str()) && event.text("status") == Some(status);
        let event = self.named("account.hears").into_iter().find(told);
        at(event.unwrap_or_else(|| panic!("nothing heard of {}\n{}", id.as_str(), story(&self.outcome))))
    }

    /// When the client told this of the n-th order.
    pub fn told_at(&self, name: &str, n: usize) -> Duration {
        let id = id(n);
        let event = self.named(name).into_iter().find(|event| event.text("id") == Some(id.as_str()));
        at(event.expect("it was told"))
    }

    /// The executions of the n-th order, in truth.
    pub fn fills(&self, n: usize) -> Vec<Fill> {
        let id = id(n);
        let mut fills = self.journal.fills();
        fills.retain(|fill| &*fill.client_order_id == id.as_str());
        fills
    }

    /// Whether the exchange took the n-th order, in truth.
    pub fn accepted(&self, n: usize) -> bool {
        let id = id(n);
        let took = |truth: &Truth| matches!(truth, Truth::OrderAccepted { client_order_id, .. } if **client_order_id == *id.as_str());
        self.journal.records().iter().any(|record| took(&record.event))
    }

    /// How many events of a name happened between two moments.
    pub fn between(&self, name: &str, from: Duration, to: Duration) -> usize {
        self.named(name).into_iter().filter(|event| (from..to).contains(&at(event))).count()
    }
}

pub fn at(event: &Event) -> Duration {
    ms(event.at.as_millis())
}
