//! The ledger's fills against the exchange's: nothing invented, nothing twice, nothing forgotten.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use broker::{Event as Truth, Journal};
use ledger::Replica;
use rust_decimal::Decimal;
use sim::{Invariant, SimTime, View, invariant};

use super::{Platter, orders::news};

/// A fill's name on both sides: symbol and trade id.
type Key = (String, u64);

/// What both sides know of a fill.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Terms {
    client_order_id: String,
    side: String,
    qty: Decimal,
    price: Decimal,
    fee: Decimal,
}

fn true_fill(fill: &broker::Fill) -> (Key, Terms) {
    let terms = Terms {
        client_order_id: fill.client_order_id.to_string(),
        side: fill.side.word().into(),
        qty: fill.qty,
        price: fill.price,
        fee: fill.fee,
    };
    ((fill.symbol.to_string(), fill.trade_id), terms)
}

fn true_fills(view: &View<'_>) -> BTreeMap<Key, Terms> {
    view.exhibit::<Journal>().fills().iter().map(true_fill).collect()
}

fn stored_fills(replica: &Replica) -> BTreeMap<Key, Terms> {
    let fill = |row: ledger::Row<'_>| {
        let number = |column: &str| row.text(column)?.parse::<Decimal>().ok();
        let key = (row.text("symbol")?, row.text("trade_id")?.parse().ok()?);
        let terms = Terms {
            client_order_id: row.text("client_order_id")?,
            side: row.text("side")?,
            qty: number("qty")?,
            price: number("price")?,
            fee: number("fee")?,
        };
        Some((key, terms))
    };
    replica.rows("fills").filter_map(fill).collect()
}

/// S6: what is booked was traded, with the same quantity and price, and is booked once.
pub fn booked_fills_are_true() -> Invariant {
    let mut truth: BTreeMap<Key, Terms> = BTreeMap::new();
    let mut seen = 0;
    let mut booked: BTreeSet<Key> = BTreeSet::new();
    invariant("a booked fill is one of the exchange's, and is booked once", move |event, view| {
        if event.name != "fill.booked" {
            return Ok(());
        }
        truth.extend(news(view, &mut seen).iter().filter_map(|truth| match truth {
            Truth::Fill(fill) => Some(true_fill(fill)),
            _ => None,
        }));
        let symbol = event.text("symbol").unwrap_or_default().to_string();
        let Some(trade_id) = event.number("trade_id") else {
            return Err("a fill was booked without a trade id".into());
        };
        let number = |field: &str| event.text(field).and_then(|text| text.parse::<Decimal>().ok());
        let key = (symbol, trade_id);
        let told = number("qty").zip(number("price"));
        let happened = truth.get(&key).map(|terms| (terms.qty, terms.price));
        if told != happened {
            return Err(format!("{key:?} was booked as {told:?}, the exchange says {happened:?}"));
        }
        if booked.insert(key.clone()) { Ok(()) } else { Err(format!("{key:?} was booked twice")) }
    })
}

/// L1 without faults: a fill is on the ledger's platter this long after it happened.
pub fn every_fill_booked_within(patience: Duration) -> Invariant {
    let platter = Platter::default();
    let mut seen = 0;
    let mut waiting: BTreeMap<Key, SimTime> = BTreeMap::new();
    invariant(format!("every fill is in the ledger within {patience:?}"), move |_, view| {
        {
            let journal = view.exhibit::<Journal>();
            let records = journal.since(seen);
            seen += records.len();
            for record in records.iter() {
                if let Truth::Fill(fill) = &record.event {
                    waiting.insert((fill.symbol.to_string(), fill.trade_id), view.now());
                }
            }
        }
        if waiting.values().all(|since| view.now().since(*since) <= patience) {
            return Ok(());
        }
        // Only now is it worth the reading.
        let stored = platter.read(view, stored_fills);
        waiting.retain(|key, _| !stored.contains_key(key));
        match waiting.iter().find(|(_, since)| view.now().since(**since) > patience) {
            Some(((symbol, id), since)) => {
                Err(format!("fill {id} of {symbol} happened at {since} and is not stored"))
            }
            None => Ok(()),
        }
    })
}

/// At rest the ledger holds exactly the exchange's fills.
pub fn ledger_holds_every_fill() -> impl FnMut(&View<'_>) -> Result<(), String> + Send + 'static {
    let platter = Platter::default();
    move |view| {
        let (truth, stored) = (true_fills(view), platter.read(view, stored_fills));
        if truth == stored {
            return Ok(());
        }
        let missing = truth.keys().filter(|key| !stored.contains_key(*key)).count();
        let invented = stored.keys().filter(|key| !truth.contains_key(*key)).count();
        let differ = truth.iter().find(|(key, terms)| stored.get(*key).is_some_and(|row| row != *terms));
        Err(format!(
            "{missing} of {} fills are missing in the ledger, {invented} are not the exchange's, and {differ:?} differs",
            truth.len()
        ))
    }
}
