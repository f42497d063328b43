//! S18: no hole in the market data that nobody knows of.

use std::collections::BTreeMap;

use sim::{Invariant, invariant};

/// The trades that the feeder publishes are numbered without holes, or a gap record names the hole.
pub fn market_trades_are_contiguous() -> Invariant {
    let mut newest: BTreeMap<String, u64> = BTreeMap::new();
    let mut excused: BTreeMap<String, u64> = BTreeMap::new();
    invariant("market trade ids are contiguous, or a gap is on record", move |event, _| {
        let symbol = || event.text("symbol").unwrap_or_default().to_string();
        match event.name {
            "feeder.gap" => {
                excused.insert(symbol(), event.number("to").unwrap_or(0));
                Ok(())
            }
            "feeder.trade" => {
                let Some(id) = event.number("trade_id") else { return Err("a trade without an id".into()) };
                let last = newest.insert(symbol(), id);
                let follows = last.is_none_or(|last| id == last + 1);
                let known = excused.get(&symbol()).is_some_and(|to| id <= to + 1);
                if follows || known {
                    Ok(())
                } else {
                    Err(format!("{} went from {last:?} to {id}", symbol()))
                }
            }
            _ => Ok(()),
        }
    })
}
