//! What the gates must know from before: signatures, breakers, the newest fill, and how far the signals were read.

use std::collections::{BTreeMap, BTreeSet};

use env::{Env, WallTime, fact};
use tokio::time::Instant;

use super::{
    super::books::{malformed, parsed},
    GatesConfig,
    breakers::{BreakerFile, Dated, RestoredBreakers},
};
use crate::{
    clients::{
        backoff::Backoff,
        ledger::{Ledger, LedgerError, Statement, column, time_column},
    },
    core::{ClientOrderId, Order, Refusal, SIGNATURE_TTL, Signature, Signatures, Status, Symbol},
    state::StateFile,
    streams,
};

const RECENT: &str = "SELECT client_order_id, signature, status, reason, created_at FROM order_intents \
    WHERE created_at > $1 OR status IN ('INTENT', 'SENT', 'ACKED', 'UNKNOWN', 'PARTIAL') \
    ORDER BY created_at, client_order_id";

const BREAKERS: &str = "SELECT symbol, record FROM breakers ORDER BY symbol";

const NEWEST_FILL: &str = "SELECT ts FROM fills ORDER BY ts DESC LIMIT 1";

const NEWEST_SIGNAL: &str = "SELECT signal_position FROM order_intents \
    WHERE signal_position IS NOT NULL AND reduce_only = $1 ORDER BY created_at DESC LIMIT 1";

/// What was found.
pub(in super::super) struct Restored {
    pub(super) signatures: Signatures,
    pub(super) breakers: RestoredBreakers,
    pub(super) newest_fill: Option<WallTime>,
    /// Behind which entries of the streams of signals to go on.
    pub(in super::super) signal_positions: BTreeMap<String, String>,
}

impl Restored {
    /// Reads until the ledger has answered everything.
    pub(in super::super) async fn insist(
        env: &Env,
        ledger: &Ledger,
        config: &GatesConfig,
        unresolved: &[Order],
    ) -> Self {
        let unresolved: BTreeSet<&ClientOrderId> =
            unresolved.iter().map(|order| &order.intent().client_order_id).collect();
        let mut backoff = Backoff::reconnect("trader.restore");
        let found = loop {
            match find(env, ledger).await {
                Ok(found) => break found,
                Err(error) => fact!("trader.recovery_failed", reason = %error),
            }
            backoff.wait(env).await;
        };
        let file = StateFile::<BreakerFile>::load(env.clone()).await;
        let breakers = RestoredBreakers::join(
            file,
            found.breakers,
            config.filters.keys().cloned(),
            env.clock.now(),
            |order| unresolved.contains(order),
        );
        let Found { signatures, newest_fill, signal_positions, .. } = found;
        Self { signatures, breakers, newest_fill, signal_positions }
    }
}

struct Found {
    signatures: Signatures,
    breakers: BTreeMap<Symbol, Dated>,
    newest_fill: Option<WallTime>,
    signal_positions: BTreeMap<String, String>,
}

async fn find(env: &Env, ledger: &Ledger) -> Result<Found, LedgerError> {
    let mut breakers = BTreeMap::new();
    for row in ledger.query(&Statement::new(BREAKERS)).await? {
        let symbol = parsed(&row, "symbol")?;
        let dated = serde_json::from_str(column(&row, "record")?).map_err(malformed)?;
        breakers.insert(symbol, dated);
    }
    let newest = ledger.query(&Statement::new(NEWEST_FILL)).await?;
    let newest_fill = newest.first().map(|row| time_column(row, "ts")).transpose()?;
    Ok(Found {
        signatures: signatures(env, ledger).await?,
        breakers,
        newest_fill,
        signal_positions: signal_positions(ledger).await?,
    })
}

/// The claims that still stand. An age by this host's wall clock is clamped to what is possible.
async fn signatures(env: &Env, ledger: &Ledger) -> Result<Signatures, LedgerError> {
    let (now, wall) = (Instant::now(), env.clock.now());
    let micros = i64::try_from(SIGNATURE_TTL.as_micros()).unwrap_or(i64::MAX);
    let horizon = WallTime::from_micros(wall.as_micros().saturating_sub(micros));
    let mut signatures = Signatures::default();
    for row in ledger.query(&Statement::new(RECENT).time(horizon)).await? {
        let order: ClientOrderId = parsed(&row, "client_order_id")?;
        let status: Status = parsed(&row, "status")?;
        let age = wall.since(time_column(&row, "created_at")?);
        let signature = Signature::recorded(column(&row, "signature")?);
        let reason: Option<&str> = column(&row, "reason")?;
        let withdrawn = status == Status::Rejected && reason.is_some_and(Refusal::is_named_in);
        if withdrawn || signatures.claim_aged(now, signature, order.clone(), age).is_err() {
            continue;
        }
        if status.is_terminal() {
            signatures.resolve(&order);
        }
    }
    Ok(signatures)
}

async fn signal_positions(ledger: &Ledger) -> Result<BTreeMap<String, String>, LedgerError> {
    let mut positions: BTreeMap<String, String> = BTreeMap::new();
    for reduce_only in [false, true] {
        for row in ledger.query(&Statement::new(NEWEST_SIGNAL).flag(reduce_only)).await? {
            let Some((stream, id)) = streams::position(column(&row, "signal_position")?) else { continue };
            let newest = positions.entry(stream.to_owned()).or_default();
            if streams::entry_order(newest) < streams::entry_order(id) {
                id.clone_into(newest);
            }
        }
    }
    Ok(positions)
}
