//! `watchdog`: one panic event when the exit brain has not decided anything for more than 5.0 s.
//!
//! It looks at the bus four times a second and lets `core::Watchdog` decide. An event whose publication was cut short is
//! looked for before it is published again, always under the same id.

use std::{sync::Arc, time::Duration};

use env::{Env, fact};
use redis::{Pipeline, Value};
use tokio::time::{Instant, sleep_until};

use crate::{
    clients::{
        backoff::Backoff,
        bus::{self, Bus},
    },
    core::{
        EventId, PanicEvent, TRUSTED_ISSUER,
        watchdog::{Alarm, Question, Sight, Watchdog},
    },
    status::{self, Status},
    streams::{self, panic},
};

/// How long the bus may take to answer: half of the age that a heartbeat may have, so that an outage is noticed as one.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// What is confirmed by each look at a bus that answers.
const WATCHES: &str = "watches";

/// Runs the watchdog.
pub async fn run(env: Env) {
    let status = Status::default();
    status.declare(WATCHES);
    env.spawn("watchdog.status", status::serve(env.clone(), status::PORT, status.clone(), Arc::new(())));
    let mut bus = Bus::for_polling(env.clone(), "watchdog", PATIENCE);
    let mut watchdog = Watchdog::default();
    let mut was_armed = false;
    loop {
        let sight = look(&mut bus, watchdog.question()).await;
        match sight {
            Sight::Nothing => status.deny(WATCHES, "the bus does not answer"),
            Sight::Heartbeat(_) | Sight::Panic { .. } => status.confirm(WATCHES),
        }
        let now = Instant::now();
        match watchdog.look(now, sight) {
            Some(Alarm::Publish { reason, age }) => {
                let event = event(&env, reason);
                publish(&env, &mut bus, &event).await;
                fact!(
                    "panic.published",
                    event_id = %event.event_id,
                    reason = event.reason,
                    age_ms = age.as_millis() as u64,
                );
                watchdog.published(event.event_id);
            }
            Some(Alarm::Restore(event_id)) => {
                fact!("panic.lost_by_bus", event_id = %event_id);
                publish(&env, &mut bus, &restored(&env, event_id)).await;
            }
            Some(Alarm::Rearmed) => fact!("watchdog.rearmed"),
            None => {}
        }
        if watchdog.is_armed() != was_armed {
            was_armed = watchdog.is_armed();
            if was_armed {
                fact!("watchdog.armed");
            } else {
                fact!("watchdog.not_armed", latched = watchdog.is_latched());
            }
        }
        sleep_until(watchdog.next_look(now)).await;
    }
}

async fn look(bus: &mut Bus, question: Question) -> Sight {
    let mut ask = Pipeline::new();
    match question {
        Question::Heartbeat => ask.add_command(streams::newest(panic::HEARTBEAT)),
        Question::Panic => ask
            .add_command(panic::newest(streams::PANIC))
            .add_command(panic::newest(streams::PANIC_COMPLETED))
            .add_command(panic::ask_halted()),
    };
    let Ok(answers) = bus.ask_all(&ask).await else {
        return Sight::Nothing;
    };
    match (question, answers.as_slice()) {
        (Question::Heartbeat, [heartbeat]) => {
            Sight::Heartbeat(bus::entries(heartbeat).next().map(|entry| entry.id.to_owned()))
        }
        (Question::Panic, [events, completed, halted]) => Sight::Panic {
            event: panic::newest_trusted(events),
            completed: panic::event_ids(completed).next(),
            halted: panic::is_halted_by_panic(halted),
        },
        _ => Sight::Nothing,
    }
}

fn event(env: &Env, reason: String) -> PanicEvent {
    let bits = |half| env.entropy.bits(half);
    let event_id = EventId::from_bits(bits("watchdog.event_id.high"), bits("watchdog.event_id.low"));
    PanicEvent { event_id, reason, issued_by: TRUSTED_ISSUER.into(), issued_ms: env.clock.now().as_millis() }
}

/// An event that was published before; its reason went with it.
fn restored(env: &Env, event_id: EventId) -> PanicEvent {
    let reason = "EXIT_BRAIN_HEARTBEAT_MISSING_(EVENT_LOST_BY_BUS)".into();
    PanicEvent { event_id, reason, issued_by: TRUSTED_ISSUER.into(), issued_ms: env.clock.now().as_millis() }
}

/// Publishes an event until the bus has it.
async fn publish(env: &Env, bus: &mut Bus, event: &PanicEvent) {
    let mut backoff = Backoff::reconnect("watchdog.publish");
    loop {
        let mut add = Pipeline::new();
        add.add_command(panic::add_panic(event));
        if bus.ask_all(&add).await.is_ok() || is_published(bus, &event.event_id).await {
            return;
        }
        backoff.wait(env).await;
    }
}

async fn is_published(bus: &mut Bus, event: &EventId) -> bool {
    let events: Value = bus.insist(&panic::newest(streams::PANIC)).await;
    panic::event_ids(&events).any(|known| known == *event)
}
