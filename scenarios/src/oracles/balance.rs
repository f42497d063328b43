//! S3, as far as balances go: an entry rests on a balance that is newer than the last fill.

use std::time::Duration;

use broker::{Event as Truth, Journal};
use rust_decimal::Decimal;
use sim::{Event, Invariant, SimTime, View, invariant};

use super::Platter;

/// What a plan says of an exchange that tells no true balance.
const BLINDING: [&str; 2] = ["stale-balance", "balances"];

/// From the first fill on for which the exchange has told nobody the balance, it receives no entry until it tells it again.
/// `grace` is for what was on its way when the fill happened.
pub fn no_entry_on_a_balance_from_before_a_fill(grace: Duration) -> Invariant {
    let mut seen = 0;
    let mut blinded = 0_u32;
    let mut first_fill: Option<SimTime> = None;
    invariant("no entry rests on a balance from before a fill", move |event, view| {
        match event.name {
            "fault.begins" if blinds(event) => blinded += 1,
            "fault.ends" if blinds(event) => blinded = blinded.saturating_sub(1),
            _ => {}
        }
        if blinded == 0 {
            first_fill = None;
        }
        let journal = view.exhibit::<Journal>();
        let records = journal.since(seen);
        seen += records.len();
        for record in records.iter().filter(|_| blinded > 0) {
            match &record.event {
                Truth::Fill(_) => {
                    first_fill.get_or_insert(view.now());
                }
                Truth::OrderReceived(order) if !order.reduce_only => {
                    if let Some(at) = first_fill.filter(|at| view.now().since(*at) > grace) {
                        return Err(format!(
                            "entry {} was received although the account traded at {at} and its balance is not known since",
                            order.client_order_id
                        ));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    })
}

fn blinds(event: &Event) -> bool {
    let fault = event.text("fault").unwrap_or_default();
    BLINDING.iter().any(|word| fault.contains(word))
}

/// The balance on record is the exchange's.
pub fn ledger_holds_the_balance() -> impl FnMut(&View<'_>) -> Result<(), String> + Send + 'static {
    let platter = Platter::default();
    move |view| {
        let truth = view.exhibit::<Journal>().wallet_balance();
        let wallet = platter.read(view, |replica| {
            let row = replica.find("balances", "asset", "USDT");
            row.and_then(|row| row.text("wallet")?.parse::<Decimal>().ok())
        });
        if wallet == Some(truth) {
            Ok(())
        } else {
            Err(format!("the ledger has {wallet:?}, the exchange {truth} USDT"))
        }
    }
}
