//! The gates between a signal and its order: what is asked of it before its intent is stored, and once more before it is sent.
//!
//! A signal passes in one step: whatever it takes – its signature, a place within the limits, a share of the holdings, the
//! place of a breaker's probe – is taken in that step, and given back when the order is over. What the gates need to know is
//! told to them by the desk; they ask nobody. Deliberately absent: storing, queueing, sending.

mod breakers;
mod restore;
mod seen;

use std::{collections::BTreeMap, time::Duration};

use env::{Env, WallTime, fact};
use rust_decimal::Decimal;
use tokio::time::Instant;

use self::{breakers::BreakerBook, seen::Seen};
pub(super) use self::{breakers::Dated, restore::Restored};
use super::leave::Leave;
use crate::{
    clients::broker::{Balance, BrokerError},
    core::{
        Cause, ClientOrderId, Fill, Intent, Inventory, Order, PaperMode, Position, Refusal, Risk, RiskLimits,
        Route, Side, Signal, Signature, Signatures, Source, Symbol, Verdict,
        age::{BalanceAge, PriceAge, Reliance},
        sizing::{self, Filters},
    },
    status::Status,
};

/// The oldest market price that an entry may rest on when it arrives. The limit for sending is 30 s, of which storing the
/// intent may take 5 s.
const ENTRY_AGE_LIMIT: Duration = Duration::from_secs(25);

/// The asset in which the account is kept.
const MARGIN_ASSET: &str = "USDT";

/// What the gates are set to.
#[derive(Clone, Debug)]
pub struct GatesConfig {
    /// How much may be at stake.
    pub risk: RiskLimits,
    /// The exchange's filters; a symbol without them is not traded.
    pub filters: BTreeMap<Symbol, Filters>,
}

impl Default for GatesConfig {
    /// 50,000 USDT per symbol, all together no more than the equity, a tenth of it per entry, 400 entries at once; BTCUSDT and
    /// ETHUSDT with the venue's filters.
    fn default() -> Self {
        let filters = |name: &str, max_qty: u32, min_notional: u32| {
            let step = Decimal::new(1, 3);
            let symbol = name.parse().expect("the venue's symbols are symbols");
            (
                symbol,
                Filters { step, min_qty: step, max_qty: max_qty.into(), min_notional: min_notional.into() },
            )
        };
        Self {
            risk: RiskLimits {
                symbol_notional: Decimal::from(50_000),
                exposure: Decimal::ONE,
                entry_share: Decimal::new(1, 1),
                open_entries: 400,
            },
            filters: BTreeMap::from([filters("BTCUSDT", 120, 100), filters("ETHUSDT", 2_000, 20)]),
        }
    }
}

/// A signal on its way through the gates.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) signal: Signal,
    /// Where the signal stands on the bus.
    pub(super) position: String,
    pub(super) price_age: PriceAge,
}

impl Wish {
    /// The system is long-only: whatever sells is an exit, whether it says so or not.
    pub(super) const fn is_exit(&self) -> bool {
        self.signal.reduce_only || matches!(self.signal.side, Side::Sell)
    }
}

/// A signal that passed.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    pub(super) intent: Intent,
    pub(super) signature: Signature,
}

/// Why a signal has not passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// It never will.
    Refused(Refusal, String),
    /// The balance is being read anew.
    AwaitBalance,
    /// The exchange's positions are to be looked at.
    AwaitPositions,
}

/// How an order that was sent has fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The exchange took it.
    Taken,
    /// The exchange refused it.
    Refused,
    /// There was no answer that says.
    Unanswered,
    /// It did not get there, or was sent back for want of capacity.
    NotTaken,
}

/// The gates.
pub(super) struct Gates {
    leave: Leave,
    status: Status,
    filters: BTreeMap<Symbol, Filters>,
    seen: Seen,
    signatures: Signatures,
    inventory: Inventory,
    breakers: BreakerBook,
    risk: Risk,
    paper: PaperMode,
    balance: BalanceAge,
    equity: Decimal,
    /// Why the ledger does not store.
    ledger_fault: Option<String>,
    /// Whether reading the balance anew did not help.
    balance_is_stale: bool,
    /// When the newest fill became known here.
    filled_at: Option<Instant>,
}

impl Gates {
    /// Gates that know what was going on before.
    pub(super) fn new(
        env: &Env,
        leave: Leave,
        status: Status,
        config: GatesConfig,
        restored: Restored,
        positions: impl Iterator<Item = (Symbol, Position)>,
        unresolved: &[Order],
    ) -> Self {
        let Restored { signatures, breakers, newest_fill, signal_positions: _ } = restored;
        let mut gates = Self {
            breakers: BreakerBook::open(env, breakers, leave.clone(), status.clone()),
            leave,
            status,
            filters: config.filters,
            seen: Seen::default(),
            signatures,
            inventory: Inventory::default(),
            risk: Risk::new(config.risk),
            paper: PaperMode::default(),
            balance: BalanceAge::default(),
            equity: Decimal::ZERO,
            ledger_fault: None,
            balance_is_stale: false,
            filled_at: None,
        };
        if let Some(at) = newest_fill {
            gates.balance.filled(at);
        }
        for (symbol, position) in positions {
            gates.inventory.set(symbol.clone(), position.qty);
            gates.risk.set(symbol, position.qty, position.avg_price);
        }
        for order in unresolved {
            gates.seen.note(&order.intent().client_order_id);
            gates.reserve(&order.remaining());
        }
        gates
    }

    /// Takes note of a signal's arrival.
    ///
    /// # Errors
    /// It has been here before.
    pub(super) fn arrive(&mut self, wish: &Wish) -> Result<(), Obstacle> {
        if !self.seen.note(&ClientOrderId::of(&wish.signal.id)) {
            return Err(refused(Refusal::Duplicate, "the signal was taken up before"));
        }
        Ok(())
    }

    /// Whether a signal passes; if so, it has taken what it needs.
    ///
    /// # Errors
    /// What is in its way; nothing has changed.
    pub(super) fn examine(&mut self, now: Instant, wish: &Wish, source: Source) -> Result<Pass, Obstacle> {
        let signature = Signature::of(&wish.signal);
        if let Some(holder) = self.signatures.holder(now, &signature) {
            return Err(refused(Refusal::Duplicate, format!("it asks for the same as {holder}")));
        }
        let intent = if wish.is_exit() { self.exit(now, wish, source)? } else { self.entry(now, wish)? };
        let id = intent.client_order_id.clone();
        // It is free, as has just been asked.
        let _ = self.signatures.claim(now, signature.clone(), id);
        Ok(Pass { intent, signature })
    }

    fn exit(&mut self, now: Instant, wish: &Wish, source: Source) -> Result<Intent, Obstacle> {
        let Signal { symbol, side, qty, .. } = &wish.signal;
        let covered = match self.inventory.covers(symbol, *side, *qty, source) {
            Verdict::Covered(covered) => covered,
            Verdict::Ask => return Err(Obstacle::AwaitPositions),
            Verdict::NoPosition => {
                return Err(refused(Refusal::NoPosition, format!("nothing of {symbol} is held for it")));
            }
        };
        self.leave.may_exit(now).map_err(|halts| refused(Refusal::Halted, halts.to_string()))?;
        let mut intent = Intent::from(wish.signal.clone());
        intent.qty = sizing::exit(covered, self.filters(symbol)?)
            .map_err(|none| refused(Refusal::Size, none.to_string()))?;
        intent.reduce_only = true;
        self.inventory.reserve(&intent);
        Ok(intent)
    }

    fn entry(&mut self, now: Instant, wish: &Wish) -> Result<Intent, Obstacle> {
        let Signal { symbol, qty, price, .. } = &wish.signal;
        if wish.price_age.at(now) > ENTRY_AGE_LIMIT {
            self.leave.raise(Cause::StaleData);
            return Err(self.stale_price(now, wish));
        }
        self.leave.end(&Cause::StaleData);
        if !self.breakers.admits(now, symbol) {
            return Err(refused(Refusal::Breaker, format!("the breaker of {symbol} is open")));
        }
        if let Some(fault) = &self.ledger_fault {
            return Err(refused(Refusal::Halted, format!("{}: {fault}", Cause::LedgerDown)));
        }
        if self.balance_is_stale {
            return Err(refused(Refusal::StaleBalance, self.balance.at(now).to_string()));
        }
        self.may_enter(now, symbol)?;
        if self.balance.at(now) != Reliance::Fresh {
            return Err(Obstacle::AwaitBalance);
        }
        self.risk.priced(symbol, *price);
        let mut intent = Intent::from(wish.signal.clone());
        intent.qty = sizing::entry(*qty, *price, self.risk.budget(self.equity), self.filters(symbol)?)
            .map_err(|none| refused(Refusal::Size, none.to_string()))?;
        self.risk
            .reserve(&intent, self.equity)
            .map_err(|breach| refused(Refusal::Limit, breach.to_string()))?;
        if self.paper.route(now) == Route::Paper {
            self.risk.release(&intent.client_order_id);
            fact!(
                "paper.filled",
                signal_id = %intent.intent_id,
                symbol = %symbol,
                side = intent.side.as_str(),
                qty = %intent.qty,
                price = %price,
            );
            return Err(refused(Refusal::Paper, "the exchange does not answer about orders"));
        }
        self.breakers.pass(symbol, &intent.client_order_id);
        Ok(intent)
    }

    /// Whether a stored order may be sent now.
    ///
    /// # Errors
    /// The gate that has closed since its intent was stored, and why.
    pub(super) fn may_send(
        &self,
        now: Instant,
        intent: &Intent,
        price_age: Option<&PriceAge>,
    ) -> Result<(), (Refusal, String)> {
        if let Err(halts) = self.leave.may_send(now, intent) {
            return Err((Refusal::Halted, halts.to_string()));
        }
        if intent.reduce_only {
            return Ok(());
        }
        if !price_age.is_some_and(|age| age.allows_entry(now)) {
            return Err((Refusal::StalePrice, "its price has become too old".into()));
        }
        match self.balance.at(now) {
            Reliance::Fresh => Ok(()),
            reliance => Err((Refusal::StaleBalance, reliance.to_string())),
        }
    }

    /// Whether entries have to wait for a balance that is being read.
    pub(super) fn entries_wait(&self, now: Instant) -> bool {
        self.balance.at(now) != Reliance::Fresh && !self.balance_is_stale
    }

    /// Takes note of how an order that was sent has fared.
    pub(super) fn fared(&mut self, now: Instant, intent: &Intent, outcome: Outcome) {
        let (id, symbol) = (&intent.client_order_id, &intent.symbol);
        match outcome {
            Outcome::Taken => {}
            Outcome::Refused | Outcome::Unanswered => self.breakers.failed(now, symbol, id),
            Outcome::NotTaken => self.breakers.withdrawn(now, symbol, id),
        }
        match outcome {
            Outcome::Taken | Outcome::Refused => self.answered(),
            Outcome::Unanswered | Outcome::NotTaken => self.unanswered(now),
        }
    }

    /// The exchange has an order, however that became known: the user stream is often faster than the answer.
    pub(super) fn taken(&mut self, now: Instant, intent: &Intent) {
        self.breakers.succeeded(now, &intent.symbol, &intent.client_order_id);
    }

    /// An order endpoint has answered.
    pub(super) fn answered(&mut self) {
        if self.paper.answered() {
            fact!("paper.ends");
        }
    }

    /// An order endpoint has not answered.
    pub(super) fn unanswered(&mut self, now: Instant) {
        if self.paper.unanswered(now) {
            fact!("paper.begins");
        }
    }

    /// Takes note of a fill that was not known before.
    pub(super) fn filled(&mut self, now: Instant, fill: &Fill) {
        let Fill { client_order_id, symbol, side, qty, price, .. } = fill;
        self.inventory.filled(client_order_id, symbol, *side, *qty);
        self.risk.filled(client_order_id, symbol, *side, *qty, *price);
        self.balance.filled(fill.time);
        self.filled_at = Some(now);
    }

    /// An order is over. One that the exchange never had counts for nothing; nor does an exit that was cut short, because what
    /// it left is still to be sold.
    pub(super) fn settled(&mut self, order: &Order) {
        let Intent { client_order_id: id, qty, reduce_only, .. } = order.intent();
        self.risk.release(id);
        self.inventory.release(id);
        if *reduce_only && order.executed() < *qty {
            self.signatures.free(id);
        } else {
            self.signatures.resolve(id);
        }
    }

    /// An order was given up before it was sent.
    pub(super) fn withdrawn(&mut self, now: Instant, intent: &Intent) {
        let id = &intent.client_order_id;
        self.risk.release(id);
        self.inventory.release(id);
        self.signatures.free(id);
        self.breakers.withdrawn(now, &intent.symbol, id);
    }

    /// Takes the answer to a question for the balance.
    pub(super) fn balance(
        &mut self,
        now: Instant,
        asked_at: Instant,
        answer: Result<Vec<Balance>, BrokerError>,
    ) -> BalanceNews {
        let balance = match answer {
            Ok(balances) => balances.into_iter().find(|balance| balance.asset == MARGIN_ASSET),
            Err(error) => {
                env::detail!("balance.unread", reason = %error);
                None
            }
        };
        if let Some(balance) = &balance
            && self.balance.read(asked_at, WallTime::from_millis(balance.updated_ms))
        {
            self.equity = balance.wallet;
        }
        let next = match self.balance.at(now) {
            Reliance::Fresh => {
                self.set_balance_is_stale(false);
                if balance.is_some() { Again::Later } else { Again::Soon }
            }
            // The question was on its way when the fill became known.
            Reliance::BeforeFill if self.filled_at.is_some_and(|filled| asked_at < filled) => Again::Now,
            Reliance::BeforeFill | Reliance::Unknown | Reliance::TooOld(_) => {
                self.set_balance_is_stale(true);
                Again::Soon
            }
        };
        BalanceNews { balance, next }
    }

    /// When a breaker will change by itself.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        self.breakers.next_tick()
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self, now: Instant) {
        self.breakers.tick(now);
    }

    /// Closes the breaker of a symbol: an operator's word.
    pub(super) fn reset_breaker(&mut self, now: Instant, symbol: &Symbol) {
        self.breakers.reset(now, symbol);
    }

    /// Records of breakers that the ledger has yet to learn.
    pub(super) fn breaker_news(&mut self) -> Vec<breakers::News> {
        self.breakers.news()
    }

    /// Reports a signal that did not pass.
    pub(super) fn report(&self, wish: &Wish, refusal: Refusal, why: &str) {
        let Signal { id, symbol, .. } = &wish.signal;
        if refusal == Refusal::Duplicate {
            self.status.count("duplicate_signals_total");
        }
        self.status.count(refusal.metric());
        fact!("signal.refused", signal_id = %id, symbol = %symbol, reason = refusal.as_str(), why);
    }

    /// Takes note of whether the ledger stores, or why it does not.
    pub(super) fn set_ledger_fault(&mut self, fault: Option<String>) {
        match fault {
            Some(_) => self.leave.raise(Cause::LedgerDown),
            None => self.leave.end(&Cause::LedgerDown),
        }
        self.ledger_fault = fault;
    }

    fn set_balance_is_stale(&mut self, stale: bool) {
        self.balance_is_stale = stale;
        match stale {
            true => self.leave.raise(Cause::StaleBalance),
            false => self.leave.end(&Cause::StaleBalance),
        }
    }

    fn reserve(&mut self, remaining: &Intent) {
        if remaining.reduce_only {
            self.inventory.reserve(remaining);
        } else {
            self.risk.count(remaining);
        }
    }

    fn may_enter(&self, now: Instant, symbol: &Symbol) -> Result<(), Obstacle> {
        self.leave
            .may_enter(now, symbol)
            .map(drop)
            .map_err(|halts| refused(Refusal::Halted, halts.to_string()))
    }

    fn filters(&self, symbol: &Symbol) -> Result<&Filters, Obstacle> {
        self.filters.get(symbol).ok_or_else(|| refused(Refusal::Size, format!("{symbol} has no filters")))
    }

    fn stale_price(&self, now: Instant, wish: &Wish) -> Obstacle {
        let age = wish.price_age.at(now);
        refused(Refusal::StalePrice, format!("the price is {} ms old", age.as_millis()))
    }
}

/// What came of a question for the balance.
pub(super) struct BalanceNews {
    /// The balance, to be stored.
    pub(super) balance: Option<Balance>,
    pub(super) next: Again,
}

/// When something is to be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// At once.
    Now,
    /// Soon, because the answer did not help.
    Soon,
    /// When the time comes.
    Later,
}

fn refused(refusal: Refusal, why: impl Into<String>) -> Obstacle {
    Obstacle::Refused(refusal, why.into())
}
