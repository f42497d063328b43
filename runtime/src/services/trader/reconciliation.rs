//! Asks the exchange what it knows of the account, and writes into the books what they lack.
//!
//! All questions are answered or nothing follows. What is imported is keyed by the exchange's numbers, so that it is written
//! once however often this runs. Deliberately absent: any trade to make the two sides match.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use env::{Env, WallTime, fact};
use futures_util::future::{try_join, try_join_all};
use serde_json::json;
use tokio_postgres::Row;

use super::{books, durability, holdings::Holdings};
use crate::{
    clients::{
        backoff::Backoff,
        broker::{Broker, BrokerError, NumberedTrade, OpenOrder},
        ledger::{Ledger, LedgerError, Statement, column, time_column},
    },
    core::{
        Booked, ClientOrderId, Epoch, Execution, Fill, Findings, Intent, IntentId, Status, Symbol, Unfit,
        Venue, reconcile,
    },
    status::Status as Shown,
};

const FILLS: &str = "SELECT symbol, trade_id, client_order_id, side, qty, price, fee, ts FROM fills ORDER BY symbol, trade_id";

const RECORD: &str = "INSERT INTO reconciliations (reconciliation_id, epoch, at, drift) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (reconciliation_id) DO NOTHING";

/// How long before the newest booked fill the exchange's trades are looked through: a fill is booked within seconds, so that
/// an older one cannot be missing.
const OVERLAP_MS: i64 = 10 * 60 * 1000;

/// How often a view that contradicts itself or the books is asked for again before its drift is reported: the replicas that
/// answer lag by seconds.
const ATTEMPTS: u32 = 6;

/// The exchange returns so many trades at once ("Account Trade List").
const TRADES_PER_PAGE: usize = 1000;

/// Marks the orders of this system at the exchange.
const OURS: &str = "tw-";

/// Why the two sides could not be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreconciled {
    #[error("the ledger: {0}")]
    Ledger(#[from] LedgerError),
    #[error("the exchange: {0}")]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// A replica lags, or the order's name is not one that the books can hold.
    #[error("the exchange does not know order {0} of its own trade")]
    NoSuchOrder(u64),
}

/// What the ledger has booked.
pub(super) struct BookedFills {
    pub(super) holdings: Holdings,
    pub(super) fills: Vec<Fill>,
}

/// Reads all fills: one statement, so that no later write is seen in part.
pub(super) async fn booked(ledger: &Ledger) -> Result<BookedFills, LedgerError> {
    let rows = ledger.query(&Statement::new(FILLS)).await?;
    let fills = rows.iter().map(fill).collect::<Result<Vec<Fill>, _>>()?;
    Ok(BookedFills { holdings: Holdings::of(&fills), fills })
}

fn fill(row: &Row) -> Result<Fill, LedgerError> {
    Ok(Fill {
        symbol: books::parsed(row, "symbol")?,
        trade_id: u64::try_from(column::<i64>(row, "trade_id")?).map_err(books::malformed)?,
        client_order_id: books::parsed(row, "client_order_id")?,
        side: books::parsed(row, "side")?,
        qty: books::qty(row)?,
        price: books::price(row)?,
        fee: column(row, "fee")?,
        time: time_column(row, "ts")?,
    })
}

/// Brings the books up to the exchange; returns the fills that were imported.
///
/// # Errors
/// One side has not answered; what was imported before stays.
pub(super) async fn run(
    env: &Env,
    ledger: &Ledger,
    broker: &Broker,
    epoch: Epoch,
    status: &Shown,
) -> Result<Vec<Fill>, Unreconciled> {
    let mut backoff = Backoff::reconnect("trader.reconcile");
    let mut imported = Vec::new();
    for attempt in 1..=ATTEMPTS {
        let fills = booked(ledger).await?.fills;
        let books = by_symbol(&fills);
        let outcome = match View::ask(broker, &fills).await {
            Ok(view) => {
                reconcile(&books, &view.venue).map(|findings| (view, findings)).map_err(Unreconciled::from)
            }
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok((view, findings)) => {
                imported.extend(view.import(env, ledger, broker, epoch, &findings, fills).await?);
                if findings.drift.is_empty() || attempt == ATTEMPTS {
                    report(env, ledger, epoch, &books, &findings, status).await?;
                    return Ok(imported);
                }
            }
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(error) => fact!("reconcile.failed", reason = %error),
        }
        backoff.wait(env).await;
    }
    Ok(imported)
}

async fn report(
    env: &Env,
    ledger: &Ledger,
    epoch: Epoch,
    books: &BTreeMap<Symbol, Booked>,
    findings: &Findings,
    status: &Shown,
) -> Result<(), LedgerError> {
    for symbol in books.keys().chain(findings.drift.keys()) {
        let drift = findings.drift.get(symbol).copied().unwrap_or_default();
        status.gauge_of("reconcile_drift", ("symbol", symbol.as_str()), drift);
    }
    for (symbol, drift) in &findings.drift {
        fact!("reconcile.drift", symbol = %symbol, drift = %drift);
    }
    fact!("reconcile.done", epoch = epoch.get(), imported = findings.import.len() as u64);
    let drift: BTreeMap<&str, String> =
        findings.drift.iter().map(|(symbol, drift)| (symbol.as_str(), drift.to_string())).collect();
    let number = i64::try_from(epoch.get()).unwrap_or(i64::MAX);
    let record = Statement::new(RECORD).text(epoch).int(number).time(env.clock.now()).text(json!(drift));
    ledger.execute(&record).await.map(drop)
}

fn by_symbol(fills: &[Fill]) -> BTreeMap<Symbol, Booked> {
    let mut books: BTreeMap<Symbol, Booked> = BTreeMap::new();
    for fill in fills {
        let booked = books.entry(fill.symbol.clone()).or_default();
        booked.qty += fill.side.signed(fill.qty);
        booked.trades.insert(fill.trade_id);
        booked.newest = booked.newest.max(Some(fill.time));
    }
    books
}

/// The exchange's answers.
struct View {
    venue: Venue,
    trades: BTreeMap<(Symbol, u64), NumberedTrade>,
    resting: Vec<OpenOrder>,
}

impl View {
    /// Asks for positions, trades and resting orders of every symbol that either side knows.
    async fn ask(broker: &Broker, fills: &[Fill]) -> Result<Self, BrokerError> {
        let positions = broker.positions().await?;
        let symbols: BTreeSet<&Symbol> =
            positions.iter().map(|held| &held.symbol).chain(fills.iter().map(|fill| &fill.symbol)).collect();
        let answers = symbols.into_iter().map(|symbol| async move {
            let from = first_unsure(symbol, fills);
            try_join(all_trades(broker, symbol, from), broker.open_orders(Some(symbol))).await
        });
        let (mut trades, mut resting) = (BTreeMap::new(), Vec::new());
        for (traded, open) in try_join_all(answers).await? {
            trades.extend(traded.into_iter().map(|trade| ((trade.symbol.clone(), trade.trade_id), trade)));
            resting.extend(open);
        }
        let venue = Venue {
            positions: positions
                .into_iter()
                .map(|held| (held.symbol, (held.qty, WallTime::from_millis(held.updated_ms))))
                .collect(),
            trades: trades.values().map(execution).collect(),
            resting: resting.iter().map(|order| (order.symbol.clone(), order.order_id)).collect(),
        };
        Ok(Self { venue, trades, resting })
    }

    /// Books the trades that are to be imported, with a row for each order that the books may not have.
    async fn import(
        &self,
        env: &Env,
        ledger: &Ledger,
        broker: &Broker,
        epoch: Epoch,
        findings: &Findings,
        mut booked: Vec<Fill>,
    ) -> Result<Vec<Fill>, Unreconciled> {
        let mut orders: BTreeMap<u64, (Intent, Status)> = BTreeMap::new();
        let mut imported = Vec::with_capacity(findings.import.len());
        for trade in findings.import.iter().filter_map(|key| self.trades.get(key)) {
            let number = trade.order_id;
            let (intent, _) = match orders.entry(number) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let order = broker.order_by_number(&trade.symbol, number).await?;
                    let known = order.and_then(|order| known_by(&order, trade));
                    unknown.insert(known.ok_or(Unreconciled::NoSuchOrder(number))?)
                }
            };
            imported.push(trade.clone().into_fill(intent.client_order_id.clone()));
        }
        for order in self.resting.iter().filter(|order| order.client_order_id.starts_with(OURS)) {
            fact!("reconcile.rests", client_order_id = order.client_order_id, symbol = %order.symbol);
        }
        if imported.is_empty() {
            return Ok(imported);
        }
        let now = env.clock.now();
        let rows =
            orders.values().map(|(intent, status)| durability::insert(intent, *status, None, epoch, now));
        booked.extend(imported.iter().cloned());
        booked.sort_by(|a, b| (&a.symbol, a.trade_id).cmp(&(&b.symbol, b.trade_id)));
        let holdings = Holdings::of(&booked);
        let statements = rows.chain(imported.iter().map(books::add_fill)).chain(holdings.rows(epoch));
        ledger.transaction(&statements.collect::<Vec<_>>()).await?;
        Ok(imported)
    }
}

/// The first trade of a symbol that may be missing in the books.
fn first_unsure(symbol: &Symbol, fills: &[Fill]) -> u64 {
    let booked = || fills.iter().filter(|fill| fill.symbol == *symbol);
    let newest = booked().map(|fill| fill.time.as_millis()).max().unwrap_or_default();
    let sure = booked().filter(|fill| fill.time.as_millis() < newest - OVERLAP_MS);
    sure.map(|fill| fill.trade_id + 1).max().unwrap_or_default()
}

async fn all_trades(broker: &Broker, symbol: &Symbol, from: u64) -> Result<Vec<NumberedTrade>, BrokerError> {
    let mut trades: Vec<NumberedTrade> = Vec::new();
    loop {
        let next = trades.last().map_or(from, |last| last.trade_id + 1);
        let page = broker.trades_from(symbol, next).await?;
        let is_last = page.len() < TRADES_PER_PAGE;
        trades.extend(page.into_iter().filter(|trade| trade.trade_id >= next));
        if is_last {
            return Ok(trades);
        }
    }
}

fn execution(trade: &NumberedTrade) -> Execution {
    let NumberedTrade { order_id, ref symbol, trade_id, side, qty, time, .. } = *trade;
    Execution { symbol: symbol.clone(), trade_id, order_id, side, qty, time }
}

/// The intent that an order of the exchange must have had, at the price of one of its trades. Its id follows from the
/// order's, so that it is the same whoever imports it.
fn known_by(order: &OpenOrder, trade: &NumberedTrade) -> Option<(Intent, Status)> {
    let client_order_id: ClientOrderId = order.client_order_id.parse().ok()?;
    let named = order.client_order_id.strip_prefix(OURS).unwrap_or(&order.client_order_id);
    let intent_id: IntentId = named.parse().or_else(|_| format!("import-{}", order.order_id).parse()).ok()?;
    let intent = Intent {
        client_order_id,
        intent_id,
        symbol: order.symbol.clone(),
        side: order.side,
        qty: order.orig_qty,
        price: trade.price,
        reduce_only: order.reduce_only,
    };
    Some((intent, order.status.status()))
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;
    use crate::core::Side;

    fn trade(symbol: &str, trade_id: u64, at: i64) -> NumberedTrade {
        NumberedTrade {
            order_id: 4,
            symbol: symbol.parse().unwrap(),
            trade_id,
            side: Side::Buy,
            qty: "1".parse().unwrap(),
            price: "100".parse().unwrap(),
            fee: Decimal::ZERO,
            time: WallTime::from_millis(at),
        }
    }

    #[test]
    fn trades_are_looked_through_from_ten_minutes_before_the_newest_booked_one() {
        let btc: Symbol = "BTCUSDT".parse().unwrap();
        let fill = |symbol, id, at| trade(symbol, id, at).into_fill("tw-1".parse().unwrap());
        let old = OVERLAP_MS + 2;
        let fills =
            [fill("BTCUSDT", 3, 1), fill("BTCUSDT", 5, 3), fill("BTCUSDT", 9, old), fill("ETHUSDT", 80, 1)];
        assert_eq!(first_unsure(&btc, &fills), 4);
        assert_eq!(first_unsure(&btc, &fills[1..]), 0, "the books begin here");
        assert_eq!(first_unsure(&btc, &[]), 0);
    }

    #[test]
    fn an_imported_order_gets_the_same_intent_whoever_imports_it() {
        let order = |id: &str| OpenOrder {
            symbol: "BTCUSDT".parse().unwrap(),
            order_id: 4,
            client_order_id: id.into(),
            side: Side::Buy,
            status: serde_json::from_str("\"FILLED\"").unwrap(),
            orig_qty: "1".parse().unwrap(),
            executed_qty: "1".parse().unwrap(),
            reduce_only: false,
        };
        let named = |id: &str| {
            known_by(&order(id), &trade("BTCUSDT", 1, 1)).map(|(intent, status)| {
                assert_eq!(status, Status::Filled);
                (intent.client_order_id.to_string(), intent.intent_id.to_string())
            })
        };
        assert_eq!(named("tw-BTCUSDT-7-in"), Some(("tw-BTCUSDT-7-in".into(), "BTCUSDT-7-in".into())));
        let by_hand = "w".repeat(36);
        assert_eq!(named(&by_hand), Some((by_hand.clone(), "import-4".into())));
        assert_eq!(named("no name"), None);
    }
}
