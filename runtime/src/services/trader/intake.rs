//! Reads signals from the bus, in order, behind the last ones that have an intent, and lets only authentic ones in.

use std::collections::BTreeMap;

use env::{Env, fact};
use tokio::{sync::mpsc, time::Instant};

use super::gates::Wish;
use crate::{
    clients::bus::{self, Bus, Cursor, Entry},
    core::{Refusal, age::PriceAge},
    status::Status,
    streams::{self, BadSignal, Keys},
};

/// Reads from behind `positions`, or from the first signal that the bus has, until nobody receives.
pub(super) async fn read(
    env: Env,
    status: Status,
    keys: Keys,
    positions: BTreeMap<String, String>,
    send: mpsc::Sender<Wish>,
) {
    let mut bus = Bus::for_reading(env.clone(), "trader.signals");
    let position = |stream: &str| positions.get(stream).cloned();
    let mut cursor =
        Cursor::behind([streams::EXITS, streams::SIGNALS].map(|stream| (stream, position(stream))));
    loop {
        let reply = bus.insist(&cursor.read()).await;
        status.beat("scan_heartbeat_seconds");
        for (stream, entries) in bus::streams(&reply) {
            for entry in entries {
                let wish = match streams::sealed_signal(&entry, &keys) {
                    Ok(signal) => {
                        let age = env.clock.now().since(signal.market_time);
                        let position = streams::position_of(stream, entry.id);
                        Wish { signal, position, price_age: PriceAge::new(Instant::now(), age) }
                    }
                    Err(bad) => {
                        report(&status, stream, &entry, &bad);
                        continue;
                    }
                };
                if send.send(wish).await.is_err() {
                    return;
                }
            }
        }
        cursor.pass(&reply);
    }
}

fn report(status: &Status, stream: &str, entry: &Entry<'_>, bad: &BadSignal) {
    match bad {
        BadSignal::Malformed(malformed) => fact!("signal.malformed", reason = %malformed),
        BadSignal::Unauthentic => {
            status.count(Refusal::Unauthentic.metric());
            let symbol = entry.get("symbol").unwrap_or_default();
            fact!(
                "signal.refused",
                signal_id = entry.get("signal_id").unwrap_or_default(),
                symbol,
                reason = Refusal::Unauthentic.as_str(),
                why = %bad,
                stream,
            );
        }
    }
}
