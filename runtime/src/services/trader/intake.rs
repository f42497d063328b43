//! Reads signals from the bus, in order, behind the last one that has an intent.

use env::{Env, fact};
use tokio::sync::mpsc;

use crate::{
    clients::bus::{self, Bus, Cursor},
    core::Signal,
    status::Status,
    streams,
};

/// A signal and where it was.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    /// The bus's id of the signal's entry.
    pub(super) position: String,
    pub(super) signal: Signal,
}

/// Reads from behind `position`, or from the first signal that the bus has, until nobody receives.
pub(super) async fn read(env: Env, position: Option<String>, send: mpsc::Sender<Incoming>, status: Status) {
    let mut bus = Bus::for_reading(env, "trader.signals");
    let mut behind = position.unwrap_or_else(|| "0-0".to_owned());
    let mut cursor = Cursor::behind([
        (streams::EXITS.to_owned(), "0-0".to_owned()),
        (streams::SIGNALS.to_owned(), behind.clone()),
    ]);
    loop {
        let reply = bus.insist(&cursor.read()).await;
        status.beat("scan_heartbeat_seconds");
        let entries = |(stream, entries)| std::iter::repeat(stream).zip(entries);
        for (stream, entry) in bus::streams(&reply).flat_map(entries) {
            if stream == streams::SIGNALS {
                entry.id.clone_into(&mut behind);
            }
            match streams::signal(&entry) {
                Ok(signal) => {
                    let incoming = Incoming { position: behind.clone(), signal };
                    if send.send(incoming).await.is_err() {
                        return;
                    }
                }
                Err(malformed) => fact!("signal.malformed", reason = %malformed),
            }
        }
        cursor.pass(&reply);
    }
}
