//! The market data streams of the broker.
//!
//! Source of the message formats: Binance USD-M futures API, "Aggregate Trade Streams" and "Connect" (combined streams).

use env::{Env, WallTime};
use serde::Deserialize;

use super::websocket::{Socket, SocketError};
use crate::core::{MarketTrade, Price, Qty, Symbol};

/// A subscription to the aggregated trades of some symbols.
pub struct MarketStream {
    socket: Socket,
}

impl MarketStream {
    /// Subscribes to the trades of `symbols` over one connection.
    ///
    /// # Errors
    /// The caller waits and subscribes again.
    pub async fn subscribe(env: &Env, symbols: &[Symbol]) -> Result<Self, SocketError> {
        let streams: Vec<String> = symbols
            .iter()
            .map(|symbol| format!("{}@aggTrade", symbol.as_str().to_ascii_lowercase()))
            .collect();
        let socket = Socket::open(env, &format!("/stream?streams={}", streams.join("/"))).await?;
        Ok(Self { socket })
    }

    /// Waits for at least one trade and hands over all that have arrived, at most `limit`, in order.
    ///
    /// # Errors
    /// The subscription is lost; a malformed message counts as such, because what it said is lost.
    pub async fn next(
        &mut self,
        limit: usize,
        mut take: impl FnMut(&str, MarketTrade),
    ) -> Result<(), SocketError> {
        let first = self.socket.next().await?;
        deliver(&first, &mut take)?;
        for _ in 1..limit {
            match self.socket.next_arrived()? {
                Some(text) => deliver(&text, &mut take)?,
                None => break,
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: AggTrade<'a>,
}

#[derive(Deserialize)]
struct AggTrade<'a> {
    #[serde(rename = "s")]
    symbol: &'a str,
    #[serde(rename = "a")]
    id: u64,
    #[serde(rename = "p")]
    price: Price,
    #[serde(rename = "q")]
    qty: Qty,
    #[serde(rename = "T")]
    time: i64,
    #[serde(rename = "m")]
    buyer_is_maker: bool,
}

fn deliver(text: &str, take: &mut impl FnMut(&str, MarketTrade)) -> Result<(), SocketError> {
    let Envelope { data } = serde_json::from_str(text)
        .map_err(|error| SocketError::Malformed(format!("{error} in {text:.200}")))?;
    let AggTrade { symbol, id, price, qty, time, buyer_is_maker } = data;
    take(symbol, MarketTrade { id, price, qty, time: WallTime::from_millis(time), buyer_is_maker });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, MarketTrade)>, SocketError> {
        let mut seen = Vec::new();
        deliver(text, &mut |symbol, trade| seen.push((symbol.to_owned(), trade)))?;
        Ok(seen)
    }

    #[test]
    fn an_aggregated_trade_is_read_from_its_envelope() {
        let text = r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1700000000124,"s":"BTCUSDT","a":5933014,
            "p":"65000.10","q":"0.002","f":100,"l":105,"T":1700000000123,"m":true}}"#;
        let expected = MarketTrade {
            id: 5_933_014,
            price: "65000.1".parse().unwrap(),
            qty: "0.002".parse().unwrap(),
            time: WallTime::from_millis(1_700_000_000_123),
            buyer_is_maker: true,
        };
        assert_eq!(read(text).unwrap(), [("BTCUSDT".to_owned(), expected)]);
    }

    #[test]
    fn a_trade_without_a_sound_price_is_malformed() {
        for price in ["-1", "0", "NaN", ""] {
            let text = format!(
                r#"{{"stream":"s","data":{{"s":"BTCUSDT","a":1,"p":"{price}","q":"1","T":1,"m":true}}}}"#
            );
            assert!(matches!(read(&text), Err(SocketError::Malformed(_))), "{price} was taken for a price");
        }
    }
}
