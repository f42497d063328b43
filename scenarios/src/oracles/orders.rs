//! Orders as the exchange sees them: one per intent, never more than intended, exits that only exit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use broker::{Event as Truth, Journal, Received};
use rust_decimal::Decimal;
use sim::{Invariant, View, invariant};

use super::{Platter, intents::intent_of};

/// Reads what the journal has gained since the last time.
pub(super) fn news(view: &View<'_>, seen: &mut usize) -> Vec<Truth> {
    let journal = view.exhibit::<Journal>();
    let records = journal.since(*seen);
    *seen += records.len();
    records.iter().map(|record| record.event.clone()).collect()
}

/// S13 and "no blind retry": the exchange receives each client order id at most once.
pub fn no_order_is_sent_twice() -> Invariant {
    let mut seen = 0;
    let mut received: BTreeMap<Arc<str>, u32> = BTreeMap::new();
    invariant("no order is sent twice", move |_, view| {
        for truth in news(view, &mut seen) {
            if let Truth::OrderReceived(order) = truth {
                let times = received.entry(order.client_order_id.clone()).or_default();
                *times += 1;
                if *times > 1 {
                    return Err(format!(
                        "the exchange received order {} {times} times",
                        order.client_order_id
                    ));
                }
            }
        }
        Ok(())
    })
}

/// S1: whatever orders serve an intent, together they never execute more than it says. An order without an intent, which
/// only the emergency exit places, executes no more than it asked for.
pub fn no_order_executes_more_than_intended() -> Invariant {
    let platter = Platter::default();
    let mut seen = 0;
    let mut served: BTreeMap<Arc<str>, (String, Decimal)> = BTreeMap::new();
    let mut executed: BTreeMap<String, Decimal> = BTreeMap::new();
    invariant("no order executes more than was intended", move |_, view| {
        for truth in news(view, &mut seen) {
            match truth {
                Truth::OrderReceived(Received { client_order_id, qty, .. }) => {
                    let intent = match intent_of(view, &platter, &client_order_id) {
                        Some(intended) => (intended.intent_id, intended.qty),
                        None => (client_order_id.to_string(), qty),
                    };
                    served.insert(client_order_id, intent);
                }
                Truth::Fill(fill) => {
                    let Some((intent, intended)) = served.get(&fill.client_order_id) else { continue };
                    let executed = executed.entry(intent.clone()).or_default();
                    *executed += fill.qty;
                    if *executed > *intended {
                        return Err(format!("{} executed {executed} of {intended}", fill.client_order_id));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    })
}

/// S8: an order that is meant to reduce, or that the exchange was told may only reduce, never grows or flips a position.
pub fn no_reduce_only_order_grows_a_position() -> Invariant {
    let platter = Platter::default();
    let mut seen = 0;
    let mut positions: BTreeMap<Arc<str>, Decimal> = BTreeMap::new();
    let mut reduce_only: BTreeSet<Arc<str>> = BTreeSet::new();
    invariant("a reduce-only order only reduces", move |_, view| {
        for truth in news(view, &mut seen) {
            match truth {
                Truth::OrderReceived(order) => {
                    let meant = intent_of(view, &platter, &order.client_order_id);
                    if order.reduce_only || meant.is_some_and(|intended| intended.reduce_only) {
                        reduce_only.insert(order.client_order_id);
                    }
                }
                Truth::Fill(fill) => {
                    let position = positions.entry(fill.symbol.clone()).or_default();
                    let before = *position;
                    *position += fill.side.signed(fill.qty);
                    let flipped =
                        before.is_sign_negative() != position.is_sign_negative() && !position.is_zero();
                    let grown = position.abs() >= before.abs();
                    if reduce_only.contains(&fill.client_order_id) && (grown || flipped) {
                        return Err(format!(
                            "{} moved {} from {before} to {position}",
                            fill.client_order_id, fill.symbol
                        ));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    })
}

/// What the trader has rejected of its own accord, the exchange never hears of; what it tells as the exchange's rejection,
/// the exchange has rejected.
pub fn no_rejected_order_reaches_the_exchange() -> Invariant {
    let mut seen = 0;
    let mut sent: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut refused: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut rejected: BTreeMap<String, String> = BTreeMap::new();
    invariant("an order that the trader rejects never reaches the exchange", move |event, view| {
        for truth in news(view, &mut seen) {
            match truth {
                Truth::OrderReceived(order) => {
                    if let Some(reason) = rejected.get(&*order.client_order_id) {
                        return Err(format!(
                            "{} was sent after it had been rejected: {reason}",
                            order.client_order_id
                        ));
                    }
                    sent.insert(order.client_order_id);
                }
                Truth::OrderRefused { client_order_id, .. } => {
                    refused.insert(client_order_id);
                }
                _ => {}
            }
        }
        if event.name != "order.rejected" {
            return Ok(());
        }
        let id = event.text("client_order_id").unwrap_or_default();
        let reason = event.text("reason").unwrap_or_default();
        if sent.contains(id) && !refused.contains(id) {
            return Err(format!("{id} was rejected after it had been sent: {reason}"));
        }
        if !sent.contains(id) {
            rejected.insert(id.into(), reason.into());
        }
        Ok(())
    })
}
