//! What the emergency exit tells the bus: that the system is halted, and that an event was carried out – once.

use std::time::Duration;

use env::{Env, WallTime};
use redis::Pipeline;

use super::memory::Ended;
use crate::{
    clients::{backoff::Backoff, bus::Bus},
    core::{EventId, PanicEvent},
    streams::{
        self,
        panic::{self, Completion},
    },
};

/// Halts trading as soon as an event is taken up: the trader has the event itself, this is for everybody else and for later.
pub(super) async fn halted(bus: &mut Bus, event: &PanicEvent) {
    bus.insist_all(&halt(event, 0)).await;
}

/// Publishes the completion, unless an attempt before a crash or a lost connection has, and halts trading for good.
pub(super) async fn completed(
    env: &Env,
    bus: &mut Bus,
    event: &PanicEvent,
    started: WallTime,
    ended: &Ended,
) {
    let took = Duration::from_millis(ended.took_ms);
    let completion = Completion { event, flattened: &ended.flattened, started, took };
    let mut add = halt(event, ended.flattened.closed());
    add.add_command(panic::add_completion(&completion));
    let mut backoff = Backoff::reconnect("emergency.completion");
    while !is_published(bus, &event.event_id).await {
        if bus.ask_all(&add).await.is_ok() {
            return;
        }
        backoff.wait(env).await;
    }
    // The halt may be of the attempt that was cut short, or of none.
    bus.insist_all(&halt(event, ended.flattened.closed())).await;
}

fn halt(event: &PanicEvent, closed: u64) -> Pipeline {
    let mut set = Pipeline::new();
    set.add_command(panic::latch_panic(event)).add_command(panic::halt_trading(event, closed));
    set
}

async fn is_published(bus: &mut Bus, event: &EventId) -> bool {
    let newest = bus.insist(&panic::newest(streams::PANIC_COMPLETED)).await;
    panic::event_ids(&newest).any(|known| known == *event)
}
