//! Takes over what earlier leaders left behind: this trader's own earlier terms, or the other trader's.
//!
//! First the ledger learns what only this trader's outbox knows, then what only the exchange knows. Every order that is not
//! done with after that may have been sent: whether it was is for the exchange to say.

use std::collections::BTreeMap;

use env::{Env, fact};
use tokio_postgres::Row;

use super::{
    books::{self, parsed},
    durability,
    holdings::Holdings,
    outbox::Outbox,
    reconciliation::{self, Unreconciled},
};
use crate::{
    clients::{
        backoff::Backoff,
        broker::Broker,
        ledger::{Ledger, LedgerError, Statement, column},
    },
    core::{ClientOrderId, Epoch, Fill, Intent, Order, Price, Qty, Status},
    status::Status as Shown,
};

const UNRESOLVED: &str = "SELECT client_order_id, intent_id, symbol, side, qty, price, reduce_only, status \
    FROM order_intents WHERE status IN ('INTENT', 'SENT', 'ACKED', 'UNKNOWN', 'PARTIAL') ORDER BY client_order_id";

/// What a new term begins with.
pub(super) struct Recovered {
    /// Orders to be resolved.
    pub(super) orders: Vec<Order>,
    /// The booked positions.
    pub(super) holdings: Holdings,
    /// Fills that nobody had booked.
    pub(super) imported: Vec<Fill>,
}

/// Those whom a takeover asks.
pub(super) struct Sources<'a> {
    pub(super) env: &'a Env,
    pub(super) ledger: &'a Ledger,
    pub(super) broker: &'a Broker,
    pub(super) status: &'a Shown,
}

/// Tries until ledger and exchange have answered everything.
pub(super) async fn insist(
    sources: &Sources<'_>,
    epoch: Epoch,
    outbox: Option<&Outbox>,
    held: &[Intent],
) -> Recovered {
    let mut backoff = Backoff::reconnect("trader.recovery");
    loop {
        match take_over(sources, epoch, outbox, held).await {
            Ok(recovered) => return recovered,
            Err(error) => fact!("trader.recovery_failed", reason = %error),
        }
        backoff.wait(sources.env).await;
    }
}

async fn take_over(
    sources: &Sources<'_>,
    epoch: Epoch,
    outbox: Option<&Outbox>,
    held: &[Intent],
) -> Result<Recovered, Unreconciled> {
    let Sources { env, ledger, broker, status } = *sources;
    drain(env, ledger, epoch, outbox, held).await?;
    let imported = reconciliation::run(env, ledger, broker, epoch, status).await?;
    let booked = reconciliation::booked(ledger).await?;
    // Written under this epoch, the rows are safe from a write of an earlier leader that is still on its way.
    ledger.transaction(&booked.holdings.rows(epoch).collect::<Vec<_>>()).await?;
    imported.iter().for_each(books::report);
    Ok(Recovered { orders: unresolved(ledger, &booked.fills).await?, holdings: booked.holdings, imported })
}

/// Hands the outbox's intents to the ledger, which may have them already.
async fn drain(
    env: &Env,
    ledger: &Ledger,
    epoch: Epoch,
    outbox: Option<&Outbox>,
    held: &[Intent],
) -> Result<(), LedgerError> {
    let Some(outbox) = outbox.filter(|_| !held.is_empty()) else {
        return Ok(());
    };
    let now = env.clock.now();
    let rows = held.iter().map(|intent| durability::insert(intent, Status::Intent, None, epoch, now));
    ledger.transaction(&rows.collect::<Vec<_>>()).await?;
    for intent in held {
        outbox.release(&intent.client_order_id).await;
    }
    fact!("outbox.drained", count = held.len() as u64);
    Ok(())
}

async fn unresolved(ledger: &Ledger, booked: &[Fill]) -> Result<Vec<Order>, LedgerError> {
    let mut fills: BTreeMap<&ClientOrderId, BTreeMap<u64, (Qty, Price)>> = BTreeMap::new();
    for fill in booked {
        fills.entry(&fill.client_order_id).or_default().insert(fill.trade_id, (fill.qty, fill.price));
    }
    let rows = ledger.query(&Statement::new(UNRESOLVED)).await?;
    rows.iter()
        .map(|row| {
            let (intent, status) = (intent(row)?, parsed(row, "status")?);
            let known = fills.remove(&intent.client_order_id).unwrap_or_default();
            Ok(Order::restored(intent, status, known))
        })
        .collect()
}

fn intent(row: &Row) -> Result<Intent, LedgerError> {
    Ok(Intent {
        client_order_id: parsed(row, "client_order_id")?,
        intent_id: parsed(row, "intent_id")?,
        symbol: parsed(row, "symbol")?,
        side: parsed(row, "side")?,
        qty: books::qty(row)?,
        price: books::price(row)?,
        reduce_only: column(row, "reduce_only")?,
    })
}
