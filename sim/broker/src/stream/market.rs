//! Plays a symbol's market and tells it on the streams `<symbol>@aggTrade` and `<symbol>@bookTicker`.
//!
//! The hottest path of a simulation: one task per symbol that sleeps until the next trade, and no rendering unless
//! somebody listens.

use std::{fmt::Write, sync::Arc};

use tokio::time::{Instant, sleep_until};

use crate::{market::Ticker, server::Venue, tape::AggTrade};

/// Room for an event of either kind.
const EVENT_BYTES: usize = 192;

/// Plays until the process ends or the tape is empty. Trades happen whether or not somebody listens.
pub(crate) async fn play(venue: Arc<Venue>, market: usize) {
    let (symbol, mut delay) = {
        let state = venue.exchange.lock();
        (state.markets[market].symbol.clone(), state.markets[market].cursor.delay())
    };
    let trades = format!("{}@aggTrade", symbol.to_lowercase());
    let tickers = format!("{}@bookTicker", symbol.to_lowercase());
    let mut due = Instant::now();
    while let Some(pause) = delay {
        due += pause;
        sleep_until(due).await;
        let now = venue.env.clock.now();
        let (trade, ticker) = {
            let mut state = venue.exchange.lock();
            let Some((trade, updates)) = state.trade(now, market) else {
                return;
            };
            venue.tell(&state, &updates);
            delay = state.markets[market].cursor.delay();
            (trade, state.markets[market].ticker.clone())
        };
        env::detail!(
            "broker.trade",
            symbol = %symbol,
            trade_id = trade.id,
            price = %trade.price,
            qty = %trade.quantity
        );
        venue.hub.publish(&trades, || agg_trade(&symbol, &trade));
        venue.hub.publish(&tickers, || book_ticker(&symbol, &ticker));
    }
}

fn agg_trade(symbol: &str, trade: &AggTrade) -> String {
    let AggTrade { id, price, quantity, first_trade_id, last_trade_id, time, is_buyer_maker } = trade;
    render(format_args!(
        r#"{{"e":"aggTrade","E":{time},"s":"{symbol}","a":{id},"p":"{price}","q":"{quantity}","f":{first_trade_id},"l":{last_trade_id},"T":{time},"m":{is_buyer_maker}}}"#
    ))
}

fn book_ticker(symbol: &str, ticker: &Ticker) -> String {
    let Ticker { update_id, bid, ask, quantity, time } = ticker;
    render(format_args!(
        r#"{{"e":"bookTicker","u":{update_id},"E":{time},"T":{time},"s":"{symbol}","b":"{bid}","B":"{quantity}","a":"{ask}","A":"{quantity}"}}"#
    ))
}

fn render(event: std::fmt::Arguments<'_>) -> String {
    let mut text = String::with_capacity(EVENT_BYTES);
    text.write_fmt(event).expect("a string takes any text");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn market_events_have_the_documented_fields() {
        let trade = AggTrade {
            id: 5,
            price: "42000.10".parse().expect("a decimal"),
            quantity: "0.003".parse().expect("a decimal"),
            first_trade_id: 8,
            last_trade_id: 9,
            time: 1_700_000_000_000,
            is_buyer_maker: true,
        };
        assert_eq!(
            agg_trade("BTCUSDT", &trade),
            r#"{"e":"aggTrade","E":1700000000000,"s":"BTCUSDT","a":5,"p":"42000.10","q":"0.003","f":8,"l":9,"T":1700000000000,"m":true}"#
        );
        let ticker =
            Ticker { update_id: 9, bid: trade.price, ask: trade.price, quantity: trade.quantity, time: 7 };
        assert_eq!(
            book_ticker("BTCUSDT", &ticker),
            r#"{"e":"bookTicker","u":9,"E":7,"T":7,"s":"BTCUSDT","b":"42000.10","B":"0.003","a":"42000.10","A":"0.003"}"#
        );
    }
}
