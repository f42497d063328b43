//! The processes that close positions – exit brain, watchdog, emergency exit – and a witness of what they say on the bus.

use env::{Env, detail};
use redis::Pipeline;
use runtime::{
    clients::bus::{self, Bus, Cursor, Entry},
    core::{Rule, Symbol, exit_rule::ExitRule},
    services::{
        emergency_exit::{self, EmergencyExitConfig},
        exit_brain::{self, ExitBrainConfig},
        watchdog,
    },
    streams::{self, panic},
};
use sim::{World, mins, ms};

use super::BROKER;

/// Positions to exits.
pub const EXIT_BRAIN: &str = "exit-brain";
/// The exit brain's silence to a panic event.
pub const WATCHDOG: &str = "watchdog";
/// A panic event to a flat account.
pub const EMERGENCY_EXIT: &str = "emergency-exit";

/// Adds the three processes.
pub(super) fn hosts(world: &mut World, symbols: &[Symbol], rule: ExitRule) {
    let exits = ExitBrainConfig { symbols: symbols.to_vec(), rule, ..ExitBrainConfig::default() };
    let emergency = EmergencyExitConfig { symbols: symbols.to_vec(), ..EmergencyExitConfig::default() };
    world.host(EXIT_BRAIN, move |env| exit_brain::run(env, exits.clone()));
    world.host(WATCHDOG, watchdog::run);
    world.host(EMERGENCY_EXIT, move |env| emergency_exit::run(env, emergency.clone()));
    world.link(EMERGENCY_EXIT, BROKER, ms(5), ms(20));
}

/// The whole system as it enters both symbols within seconds and leaves neither for ten minutes, and the [`witness()`].
pub fn two_positions(world: &mut World) {
    let entries = Rule { cadence: 16, lookback: 1, ..Rule::default() };
    let exits = ExitRule { longest: mins(10), ..ExitRule::default() };
    super::full_trading_by(world, entries, exits);
    witness(world);
}

/// Somebody with `redis-cli` who reads along: reports each entry of the heartbeats, the panic events and the completions, as
/// the bus has them and with the bus's own time of it, and the halt after each completion.
pub fn witness(world: &mut World) {
    world.host("witness", |env: Env| async move {
        let mut reader = Bus::for_reading(env.clone(), "witness.reader");
        let mut asker = Bus::for_commands(env, "witness.asker");
        let watched = [panic::HEARTBEAT, streams::PANIC, streams::PANIC_COMPLETED];
        let mut cursor = Cursor::at_start(watched.map(str::to_owned));
        loop {
            let reply = reader.insist(&cursor.read()).await;
            let mut completed = false;
            for (stream, entries) in bus::streams(&reply) {
                for entry in entries {
                    match stream {
                        panic::HEARTBEAT => heartbeat(&entry),
                        streams::PANIC => panic_event(&entry),
                        _ => completion(&entry),
                    }
                }
                completed |= stream == streams::PANIC_COMPLETED;
            }
            cursor.pass(&reply);
            if completed {
                let mut ask = Pipeline::new();
                ask.cmd("HGETALL").arg(streams::TRADING_STATE);
                let answers = asker.ask_all(&ask).await.unwrap_or_default();
                answers.first().into_iter().for_each(halt);
            }
        }
    });
}

/// When the bus added an entry, in milliseconds since 1970.
fn at_ms(entry: &Entry<'_>) -> u64 {
    entry.id.split_once('-').and_then(|(millis, _)| millis.parse().ok()).unwrap_or_default()
}

fn heartbeat(entry: &Entry<'_>) {
    detail!(
        "witness.heartbeat",
        at_ms = at_ms(entry),
        status = entry.get("status").unwrap_or_default(),
        active_positions = entry.get("active_positions").unwrap_or_default(),
    );
}

fn panic_event(entry: &Entry<'_>) {
    let field = |name| entry.get(name).unwrap_or_default();
    detail!(
        "witness.panic",
        at_ms = at_ms(entry),
        event_id = field("event_id"),
        reason = field("reason"),
        severity = field("severity"),
        issued_by = field("issued_by"),
        ts = field("ts"),
    );
}

fn completion(entry: &Entry<'_>) {
    let field = |name| entry.get(name).unwrap_or_default();
    detail!(
        "witness.completed",
        at_ms = at_ms(entry),
        event_id = field("event_id"),
        positions_total = field("positions_total"),
        positions_closed = field("positions_closed"),
        positions_failed = field("positions_failed"),
        failed_symbols = field("failed_symbols"),
        ts_started = field("ts_started"),
        ts_completed = field("ts_completed"),
        execution_time_ms = field("execution_time_ms"),
    );
}

fn halt(reply: &redis::Value) {
    let state: std::collections::BTreeMap<&str, &str> = bus::fields(reply).collect();
    let field = |name: &str| state.get(name).copied().unwrap_or_default();
    detail!(
        "witness.halt",
        halted = field("halted"),
        reason = field("reason"),
        source = field("source"),
        positions_closed = field("positions_closed"),
        requires_manual_reset = field("requires_manual_reset"),
    );
}
