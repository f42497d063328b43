//! Finds what an earlier life of this process left unresolved.
//!
//! Everything that is not done with may have been sent: whether it was is for the broker to say.

use std::collections::{BTreeMap, BTreeSet};

use env::{Env, fact};
use rust_decimal::Decimal;
use tokio_postgres::Row;

use crate::{
    clients::{
        backoff::Backoff,
        ledger::{Ledger, LedgerError, Statement, column},
    },
    core::{ClientOrderId, Intent, Order, Position, Price, Qty, Symbol},
};

const UNRESOLVED: &str = "SELECT client_order_id, intent_id, symbol, side, qty, price, reduce_only, status \
    FROM order_intents WHERE status IN ('INTENT', 'SENT', 'ACKED', 'UNKNOWN', 'PARTIAL') ORDER BY client_order_id";

const FILLS: &str = "SELECT trade_id, qty, price FROM fills WHERE client_order_id = $1 ORDER BY trade_id";

const POSITIONS: &str = "SELECT symbol, qty, avg_price FROM positions ORDER BY symbol";

const KNOWN: &str = "SELECT status FROM order_intents WHERE client_order_id = $1";

/// What the ledger and the outbox know.
pub(super) struct Recovered {
    /// Orders to be resolved.
    pub(super) orders: Vec<Order>,
    /// Intents that the ledger has yet to learn of.
    pub(super) only_in_outbox: Vec<Intent>,
    /// Intents whose place in the outbox is free to be used again.
    pub(super) in_ledger_too: Vec<ClientOrderId>,
    /// The booked positions.
    pub(super) positions: BTreeMap<Symbol, Position>,
}

/// Reads until the ledger has answered everything.
pub(super) async fn insist(env: &Env, ledger: &Ledger, held: Vec<Intent>) -> Recovered {
    let mut backoff = Backoff::reconnect("trader.recovery");
    loop {
        match recover(ledger, &held).await {
            Ok(recovered) => return recovered,
            Err(error) => fact!("trader.recovery_failed", reason = %error),
        }
        backoff.wait(env).await;
    }
}

async fn recover(ledger: &Ledger, held: &[Intent]) -> Result<Recovered, LedgerError> {
    let mut orders = Vec::new();
    for row in ledger.query(&Statement::new(UNRESOLVED)).await? {
        let (intent, status) = (intent(&row)?, parsed(&row, "status")?);
        let fills = fills(ledger, &intent.client_order_id).await?;
        orders.push(Order::restored(intent, status, fills));
    }
    let (mut only_in_outbox, mut in_ledger_too) = (Vec::new(), Vec::new());
    let unresolved: BTreeSet<&ClientOrderId> =
        orders.iter().map(|order| &order.intent().client_order_id).collect();
    for intent in held {
        let id = &intent.client_order_id;
        if unresolved.contains(id) || !ledger.query(&Statement::new(KNOWN).text(id)).await?.is_empty() {
            in_ledger_too.push(id.clone());
        } else {
            only_in_outbox.push(intent.clone());
        }
    }
    orders.extend(only_in_outbox.iter().cloned().map(Order::new));
    let positions = ledger.query(&Statement::new(POSITIONS)).await?;
    Ok(Recovered {
        orders,
        only_in_outbox,
        in_ledger_too,
        positions: positions.iter().map(position).collect::<Result<_, _>>()?,
    })
}

async fn fills(ledger: &Ledger, id: &ClientOrderId) -> Result<BTreeMap<u64, (Qty, Price)>, LedgerError> {
    let rows = ledger.query(&Statement::new(FILLS).text(id)).await?;
    rows.iter().map(|row| Ok((trade_id(row)?, (qty(row)?, price(row)?)))).collect()
}

fn intent(row: &Row) -> Result<Intent, LedgerError> {
    Ok(Intent {
        client_order_id: parsed(row, "client_order_id")?,
        intent_id: parsed(row, "intent_id")?,
        symbol: parsed(row, "symbol")?,
        side: parsed(row, "side")?,
        qty: qty(row)?,
        price: price(row)?,
        reduce_only: column(row, "reduce_only")?,
    })
}

fn position(row: &Row) -> Result<(Symbol, Position), LedgerError> {
    let position = Position { qty: column(row, "qty")?, avg_price: column(row, "avg_price")? };
    Ok((parsed(row, "symbol")?, position))
}

fn qty(row: &Row) -> Result<Qty, LedgerError> {
    Qty::new(column::<Decimal>(row, "qty")?).map_err(malformed)
}

fn price(row: &Row) -> Result<Price, LedgerError> {
    Price::new(column::<Decimal>(row, "price")?).map_err(malformed)
}

fn trade_id(row: &Row) -> Result<u64, LedgerError> {
    u64::try_from(column::<i64>(row, "trade_id")?).map_err(malformed)
}

fn parsed<T>(row: &Row, name: &str) -> Result<T, LedgerError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    column::<&str>(row, name)?.parse().map_err(malformed)
}

fn malformed(error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Malformed(error.to_string())
}
