//! What the exchange lists, as far as closing positions depends on it.
//!
//! Source: Binance USD-M futures API, "Exchange Information" (`filters`).

use std::collections::BTreeMap;

use hyper::Method;
use serde::Deserialize;

use super::{Broker, BrokerError, Query, Security, answer};
use crate::core::{Qty, Symbol};

#[derive(Deserialize)]
struct Listing {
    symbols: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    symbol: String,
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(tag = "filterType")]
enum Filter {
    #[serde(rename = "MARKET_LOT_SIZE", rename_all = "camelCase")]
    MarketLot { max_qty: Qty },
    #[serde(other)]
    Other,
}

impl Broker {
    /// The greatest quantity of a market order in each listed symbol.
    ///
    /// # Errors
    /// The question is unanswered.
    pub async fn market_lots(&self) -> Result<BTreeMap<Symbol, Qty>, BrokerError> {
        let request = self.request(Method::GET, "/fapi/v1/exchangeInfo", Query::default(), Security::None);
        read(&request.await?)
    }
}

fn read(body: &[u8]) -> Result<BTreeMap<Symbol, Qty>, BrokerError> {
    let Listing { symbols } = answer::json(body)?;
    let lot = |listed: Listed| {
        let max_qty = listed.filters.into_iter().find_map(|filter| match filter {
            Filter::MarketLot { max_qty } => Some(max_qty),
            Filter::Other => None,
        });
        // A symbol that we could not name we cannot trade either.
        Some((listed.symbol.parse().ok()?, max_qty?))
    };
    Ok(symbols.into_iter().filter_map(lot).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_market_order_is_found_among_the_filters() {
        let body = br#"{"timezone":"UTC","symbols":[
            {"symbol":"BTCUSDT","filters":[{"filterType":"LOT_SIZE","maxQty":"1000","minQty":"0.001","stepSize":"0.001"},
                {"filterType":"MARKET_LOT_SIZE","maxQty":"120","minQty":"0.001","stepSize":"0.001"}]},
            {"symbol":"ETHUSDT","filters":[]},{"symbol":"odd one","filters":[]}]}"#;
        let lots = read(body).unwrap();
        assert_eq!(lots, [("BTCUSDT".parse().unwrap(), "120".parse().unwrap())].into());
        assert!(matches!(read(b"{}"), Err(BrokerError::Unknown(_))));
    }
}
