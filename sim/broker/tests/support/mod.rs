//! A broker on a loopback port, and real clients for it.
#![allow(dead_code, reason = "each test file uses some of these helpers")]

use std::{sync::Arc, time::Duration};

use broker::{AggTrade, Config, Exchange, Liquidity, Server, SymbolConfig, Tape, sign};
use bytes::Bytes;
use env::{BoxStream, Env, Task};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rust_decimal::Decimal;
use serde_json::Value;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// Far longer than anything here takes: only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Broker {
    pub exchange: Arc<Exchange>,
    pub port: u16,
    env: Env,
    server: Task,
    http: Client<HttpConnector, Full<Bytes>>,
    _data: Arc<tempfile::TempDir>,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub json: Value,
}

impl Answer {
    /// The code of a refusal.
    pub fn code(&self) -> i64 {
        self.json["code"].as_i64().unwrap_or_else(|| panic!("{} is no refusal", self.json))
    }
}

pub type Socket = WebSocketStream<BoxStream>;

/// What the market maker has at each price of [`prices`].
pub const LEVEL: Decimal = Decimal::from_parts(10, 0, 0, false, 0);

/// A market that trades at these prices, `interval_ms` apart, again and again. Each is the best bid; the best ask is a tick
/// above, and there are 20 levels of 10 units on either side.
pub fn prices(interval_ms: i64, prices: &[&str]) -> Config {
    let trade = |(index, price): (usize, &&str)| AggTrade {
        id: index as u64 + 1,
        price: price.parse().unwrap(),
        quantity: Decimal::ONE,
        first_trade_id: index as u64 + 1,
        last_trade_id: index as u64 + 1,
        time: index as i64 * interval_ms,
        is_buyer_maker: true,
    };
    let tape = Tape::Trades(Arc::new(prices.iter().enumerate().map(trade).collect()));
    let liquidity = Liquidity { least: LEVEL, most: LEVEL, levels: 20 };
    let symbol = SymbolConfig { tape, liquidity, ..SymbolConfig::default() };
    Config { port: 0, symbols: vec![symbol], ..Config::default() }
}

impl Broker {
    pub async fn start(config: Config) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        Self::serve(Exchange::new(config), data).await
    }

    /// A new process with the same exchange behind it.
    pub async fn restart(self) -> Self {
        self.server.abort();
        self.server.ended().await;
        Self::serve(self.exchange, self._data).await
    }

    async fn serve(exchange: Arc<Exchange>, data: Arc<tempfile::TempDir>) -> Self {
        let config = env::os::Config {
            listen_ip: "127.0.0.1".into(),
            data_dir: data.path().into(),
            ..Default::default()
        };
        let env = env::os::env(config).unwrap();
        let server = Server::bind(env.clone(), exchange.clone()).await.unwrap();
        let port = server.local_addr().unwrap().port();
        let server = env.spawn("broker", async move { match server.run().await {} });
        let http = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self { exchange, port, env, server, http, _data: data }
    }

    pub fn now(&self) -> i64 {
        self.env.clock.now().as_millis()
    }

    pub async fn send(&self, method: &str, target: &str, key: Option<&str>, body: String) -> Answer {
        let uri = format!("http://127.0.0.1:{}{target}", self.port);
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(key) = key {
            request = request.header("X-MBX-APIKEY", key);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let response = tokio::time::timeout(PATIENCE, self.http.request(request)).await.unwrap().unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Answer { status: head.status.as_u16(), headers: head.headers, json }
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, None, String::new()).await
    }

    /// A signed request, stamped now.
    pub async fn signed(&self, method: &str, path: &str, query: &str) -> Answer {
        let payload = format!("{query}&timestamp={}", self.now());
        let signature = sign("secret", &payload);
        self.send(method, &format!("{path}?{payload}&signature={signature}"), Some("key"), String::new())
            .await
    }

    /// Places an order in BTCUSDT.
    pub async fn order(&self, query: &str) -> Answer {
        self.signed("POST", "/fapi/v1/order", &format!("symbol=BTCUSDT&{query}")).await
    }

    pub async fn listen_key(&self) -> String {
        let answer = self.send("POST", "/fapi/v1/listenKey", Some("key"), String::new()).await;
        answer.json["listenKey"].as_str().unwrap().to_owned()
    }

    pub async fn connect(&self) -> BoxStream {
        self.env.net.connect("127.0.0.1", self.port).await.unwrap()
    }

    pub async fn open(&self, target: &str) -> Socket {
        let stream = self.connect().await;
        client_async(format!("ws://broker{target}"), stream).await.unwrap().0
    }
}

/// The next event on a stream; none when it is closed.
pub async fn next(socket: &mut Socket) -> Option<Value> {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.unwrap()?.ok()? {
            Message::Text(text) => return Some(serde_json::from_str(&text).unwrap()),
            Message::Close(_) => return None,
            _ => {}
        }
    }
}

/// The next `ORDER_TRADE_UPDATE`'s fields.
pub async fn next_order(socket: &mut Socket) -> Value {
    loop {
        let event = next(socket).await.unwrap();
        if event["e"] == "ORDER_TRADE_UPDATE" {
            return event["o"].clone();
        }
    }
}

pub async fn say(socket: &mut Socket, text: &str) {
    say_all(socket, &[text]).await;
}

/// Sends several messages in one go.
pub async fn say_all(socket: &mut Socket, texts: &[&str]) {
    for text in texts {
        socket.feed(Message::text(*text)).await.unwrap();
    }
    socket.flush().await.unwrap();
}

pub fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The decimal in a JSON string.
pub fn number(value: &Value) -> Decimal {
    dec(value.as_str().unwrap_or_else(|| panic!("{value} is no text")))
}
