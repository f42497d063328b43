//! Asks the broker and closes what it says is open, as `core::Flattening` and `core::Closing` decide.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use env::{Env, fact};
use futures_util::future::join_all;
use rust_decimal::Decimal;
use tokio::time::{Instant, sleep, sleep_until};

use super::{keep, memory::Memory};
use crate::{
    clients::{
        backoff::Backoff,
        broker::{Broker, BrokerError, Close},
    },
    core::{
        Symbol,
        emergency::{Chunk, Closing, Flattened, Flattening, Heard, Move, Outcome, Step},
    },
    state::StateFile,
};

/// How often the cancellation of a symbol's orders is tried before its position is closed: what rests then is met by the next
/// round, after the exchange has refused to close against it.
const CANCEL_ATTEMPTS: u32 = 3;

/// Flattens the account.
pub(super) struct Flattener {
    env: Env,
    broker: Broker,
    /// Where orders may rest.
    symbols: Vec<Symbol>,
}

impl Flattener {
    pub(super) const fn new(env: Env, broker: Broker, symbols: Vec<Symbol>) -> Self {
        Self { env, broker, symbols }
    }

    /// Goes on until the account is flat, or nothing more can be done. Orders are in `memory` before they are sent.
    pub(super) async fn flatten(
        &self,
        flattening: &mut Flattening,
        memory: &mut StateFile<Memory>,
    ) -> Flattened {
        self.close(flattening, flattening.open(), Start::Asking).await;
        let mut symbols: BTreeSet<Symbol> = self.symbols.iter().cloned().collect();
        loop {
            let open = self.look().await;
            // Everything that rests goes first: it could open something, and it reserves what is to be closed.
            symbols.extend(open.keys().cloned());
            join_all(symbols.iter().map(|symbol| self.cancel(symbol))).await;
            symbols.clear();
            match flattening.looked(Instant::now(), &open) {
                Move::Finish(flattened) => return flattened,
                Move::LookAgain(at) => sleep_until(at).await,
                Move::Close(chunks) => {
                    let value =
                        Memory { under_way: Some(flattening.progress().clone()), ..memory.value().clone() };
                    keep(memory, value).await;
                    self.close(flattening, chunks, Start::Sending).await;
                }
            }
        }
    }

    /// What the broker says is open; asked for until it says it.
    async fn look(&self) -> BTreeMap<Symbol, Decimal> {
        let mut backoff = Backoff::reconnect("emergency.positions");
        loop {
            match self.broker.positions().await {
                Ok(held) => {
                    let notional: Decimal =
                        held.iter().map(|position| position.qty.abs() * position.mark_price).sum();
                    fact!("emergency.looked", open = held.len() as u64, notional = %notional.round_dp(2));
                    return held.into_iter().map(|position| (position.symbol, position.qty)).collect();
                }
                Err(error) => {
                    fact!("emergency.not_answered", reason = %error);
                    pause(&self.env, &mut backoff, &error).await;
                }
            }
        }
    }

    async fn cancel(&self, symbol: &Symbol) {
        let mut backoff = Backoff::reconnect("emergency.cancel");
        for _ in 0..CANCEL_ATTEMPTS {
            match self.broker.cancel_all(symbol).await {
                Ok(()) => return,
                Err(error) => {
                    fact!("emergency.not_cancelled", symbol = %symbol, reason = %error);
                    pause(&self.env, &mut backoff, &error).await;
                }
            }
        }
    }

    /// Sees orders through to their end, all at once.
    async fn close(&self, flattening: &mut Flattening, chunks: Vec<Chunk>, start: Start) {
        let ends = join_all(chunks.iter().map(|chunk| self.see_through(chunk, start))).await;
        for (chunk, outcome) in chunks.iter().zip(ends) {
            flattening.resolved(Instant::now(), &chunk.client_order_id, outcome);
        }
    }

    async fn see_through(&self, chunk: &Chunk, start: Start) -> Outcome {
        let mut closing = Closing::new(Instant::now());
        let mut heard = match start {
            Start::Sending => self.send(chunk, &mut closing).await,
            Start::Asking => self.ask(chunk).await,
        };
        let outcome = loop {
            match closing.heard(Instant::now(), heard) {
                Step::Over(outcome) => break outcome,
                Step::Send(after) => {
                    sleep(after).await;
                    heard = self.send(chunk, &mut closing).await;
                }
                Step::Ask(after) => {
                    sleep(after).await;
                    heard = self.ask(chunk).await;
                }
            }
        };
        match outcome {
            Outcome::Executed(qty) => {
                fact!("emergency.closed", client_order_id = %chunk.client_order_id, symbol = %chunk.symbol, qty = %qty);
            }
            Outcome::Open | Outcome::Unresolved => {
                fact!("emergency.unresolved", client_order_id = %chunk.client_order_id, symbol = %chunk.symbol);
            }
        }
        outcome
    }

    async fn send(&self, chunk: &Chunk, closing: &mut Closing) -> Heard {
        let Chunk { client_order_id, symbol, side, qty, .. } = chunk.clone();
        fact!(
            "emergency.close_sent",
            client_order_id = %client_order_id,
            symbol = %symbol,
            side = side.as_str(),
            qty = %qty,
        );
        closing.sent(Instant::now());
        let answer = self.broker.close(&Close { symbol, side, qty, client_order_id }).await;
        match answer {
            Ok(report) => Heard::Reported(report),
            Err(error) => without_result(chunk, error),
        }
    }

    async fn ask(&self, chunk: &Chunk) -> Heard {
        match self.broker.order(&chunk.symbol, &chunk.client_order_id).await {
            Ok(Some(report)) => Heard::Reported(report),
            Ok(None) => Heard::Missing,
            // Whatever became of the question says nothing of the order.
            Err(_) => Heard::Unanswered,
        }
    }
}

fn without_result(chunk: &Chunk, error: BrokerError) -> Heard {
    fact!("emergency.close_failed", client_order_id = %chunk.client_order_id, reason = %error);
    match error {
        BrokerError::Rejected { .. } => Heard::Refused,
        BrokerError::Busy { retry_after, .. } => Heard::NotTaken(retry_after.unwrap_or_default()),
        BrokerError::NotSent(_) => Heard::NotTaken(Duration::ZERO),
        BrokerError::Unknown(_) => Heard::Unanswered,
    }
}

/// How the life of an order begins.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// It is new.
    Sending,
    /// It may have been sent before a crash.
    Asking,
}

async fn pause(env: &Env, backoff: &mut Backoff, error: &BrokerError) {
    match error {
        BrokerError::Busy { retry_after: Some(span), .. } => sleep(*span).await,
        _ => backoff.wait(env).await,
    }
}
