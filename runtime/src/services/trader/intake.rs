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
    let mut cursor = match position {
        Some(position) => Cursor::after(streams::SIGNALS, position),
        None => Cursor::at_start([streams::SIGNALS.to_owned()]),
    };
    loop {
        let reply = bus.insist(&cursor.read()).await;
        status.beat("scan_heartbeat_seconds");
        for entry in bus::streams(&reply).flat_map(|(_, entries)| entries) {
            match streams::signal(&entry) {
                Ok(signal) => {
                    let incoming = Incoming { position: entry.id.to_owned(), signal };
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
