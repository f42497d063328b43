//! What a panic must lead to (emergency exit runbook, "Pass/Fail Criteria"): from what the bus holds, read by a witness, and
//! from the exchange's truth journal.

use std::time::Duration;

use broker::{Event as Truth, Journal};
use runtime::core::emergency::EMERGENCY_ORDER_PREFIX;
use rust_decimal::Decimal;
use sim::{Checks, Event, Invariant, SimTime, View, invariant, ms, secs};

use crate::desk::{EXIT_BRAIN, SYMBOLS};

/// The last heartbeat may be no more than this old when the panic event is published ("Watchdog threshold is 5s + 0.5s
/// tolerance"), and must be older than the threshold.
const THRESHOLD: Duration = secs(5);
const TOLERANCE: Duration = ms(500);
/// "panic_close → all positions closed".
const CLOSED_WITHIN: Duration = secs(10);
/// "Total: kill → positions closed".
const FLAT_WITHIN: Duration = secs(15);
/// S10: the traders have stopped by then.
const STOPPED_WITHIN: Duration = ms(500);

/// What holds of every panic, whatever caused it.
pub fn standing_of_panics(check: &mut Checks) {
    check.always(no_entry_after_a_panic());
    check.always(emergency_orders_only_reduce());
    check.always(flat_within_10_s_of_the_panic());
    check.eventually("every panic event has one completion", secs(10), every_panic_is_completed_once());
}

/// The first event of the trace with this name.
fn first<'a>(view: &'a View<'_>, name: &'a str) -> Option<&'a Event> {
    view.named(name).next()
}

fn first_panic<'a>(view: &'a View<'_>) -> Option<&'a Event> {
    first(view, "panic.published")
}

/// When the exit brain's process ended first.
fn exit_brain_ended(view: &View<'_>) -> Option<SimTime> {
    let ended =
        |event: &&Event| matches!(event.name, "host.killed" | "host.exited") && &*event.host == EXIT_BRAIN;
    view.events().iter().find(ended).map(|event| event.at)
}

fn is_flat(view: &View<'_>) -> Result<(), String> {
    let journal = view.exhibit::<Journal>();
    let open: Vec<(&str, Decimal)> = SYMBOLS
        .iter()
        .map(|symbol| (*symbol, journal.position(symbol)))
        .filter(|(_, position)| !position.is_zero())
        .collect();
    if open.is_empty() { Ok(()) } else { Err(format!("{open:?} is open")) }
}

/// From the bound on, and for the rest of the run, the account is flat.
fn flat_after(
    words: &'static str,
    within: Duration,
    since: impl Fn(&View<'_>) -> Option<SimTime> + Send + 'static,
) -> Invariant {
    invariant(words, move |_, view| match since(view) {
        Some(since) if view.now().since(since) >= within => is_flat(view),
        _ => Ok(()),
    })
}

/// Panic event → flat, and it stays so.
fn flat_within_10_s_of_the_panic() -> Invariant {
    flat_after("the account is flat 10 s after the panic event", CLOSED_WITHIN, |view| {
        first_panic(view).map(|event| event.at)
    })
}

/// End of the exit brain → flat, and it stays so.
pub fn flat_within_15_s_of_the_exit_brains_end() -> Invariant {
    flat_after("the account is flat 15 s after the exit brain's end", FLAT_WITHIN, exit_brain_ended)
}

/// S10: no order that could open something is accepted later than 0.5 s after the first panic event.
fn no_entry_after_a_panic() -> Invariant {
    let mut seen = 0;
    let mut entries = std::collections::BTreeSet::new();
    invariant("no entry is accepted 0.5 s after a panic event", move |_, view| {
        let panic = first_panic(view).map(|event| event.at);
        let journal = view.exhibit::<Journal>();
        let records = journal.since(seen);
        seen += records.len();
        for record in records.iter() {
            match &record.event {
                Truth::OrderReceived(order) if !order.reduce_only && !order.close_position => {
                    entries.insert(order.client_order_id.clone());
                }
                Truth::OrderAccepted { client_order_id, .. }
                    if entries.contains(client_order_id)
                        && panic.is_some_and(|panic| view.now().since(panic) > STOPPED_WITHIN) =>
                {
                    return Err(format!("{client_order_id} was accepted"));
                }
                _ => {}
            }
        }
        Ok(())
    })
}

/// Every order of an emergency exit only reduces.
fn emergency_orders_only_reduce() -> Invariant {
    let mut seen = 0;
    invariant("every order of an emergency exit is reduce-only", move |_, view| {
        let journal = view.exhibit::<Journal>();
        let records = journal.since(seen);
        seen += records.len();
        for record in records.iter() {
            if let Truth::OrderReceived(order) = &record.event
                && order.client_order_id.starts_with(EMERGENCY_ORDER_PREFIX)
                && !order.reduce_only
            {
                return Err(format!("{} is not", order.client_order_id));
            }
        }
        Ok(())
    })
}

/// There is no panic event yet when this fault begins.
pub fn no_panic(before: &'static str) -> impl FnMut(&View<'_>) -> Result<(), String> + Send + 'static {
    move |view| {
        let begins = |event: &&Event| event.text("fault").is_some_and(|fault| fault.starts_with(before));
        let begun = view.named("fault.begins").find(begins).ok_or_else(|| format!("no {before}"))?;
        match first_panic(view) {
            Some(panic) if panic.at < begun.at => Err(format!("a panic at {}", panic.at)),
            _ => Ok(()),
        }
    }
}

/// The panic event stands on the bus between 5.0 s and 5.5 s after the last heartbeat, by the clock of the bus.
pub fn panic_follows_the_last_heartbeat() -> impl FnMut(&View<'_>) -> Result<(), String> + Send + 'static {
    |view| {
        let panic = first(view, "witness.panic").ok_or("there is no panic event")?;
        let published = panic.number("at_ms").ok_or("a panic event without a time")?;
        let heartbeats = view.named("witness.heartbeat").filter_map(|event| event.number("at_ms"));
        let last = heartbeats.take_while(|at| *at < published).last().ok_or("there was no heartbeat")?;
        let age = ms(published - last);
        if age > THRESHOLD && age <= THRESHOLD + TOLERANCE {
            Ok(())
        } else {
            Err(format!("the panic event came {age:?} after the last heartbeat"))
        }
    }
}

/// The first completion has each field of the runbook, its times add up, nothing failed, `positions` were closed, and
/// trading is halted until somebody resets it.
pub fn panic_is_completed(
    positions: &'static str,
) -> impl FnMut(&View<'_>) -> Result<(), String> + Send + 'static {
    move |view| {
        let panic = first(view, "witness.panic").ok_or("there is no panic event")?;
        let done = first(view, "witness.completed").ok_or("there is no completion")?;
        let halt = first(view, "witness.halt").ok_or("nobody has looked at the halt")?;
        let millis = |field: &str| done.text(field).and_then(|text| text.parse::<i64>().ok());
        let times = millis("ts_started").zip(millis("ts_completed")).zip(millis("execution_time_ms"));
        let add_up =
            times.is_some_and(|((started, completed), took)| completed - started == took && took >= 0);
        let reason = panic.text("reason").unwrap_or_default();
        let expected = [
            (panic.text("issued_by"), "watchdog"),
            (panic.text("severity"), "CRITICAL"),
            (done.text("event_id"), panic.text("event_id").unwrap_or_default()),
            (done.text("positions_total"), positions),
            (done.text("positions_closed"), positions),
            (done.text("positions_failed"), "0"),
            (done.text("failed_symbols"), "[]"),
            (halt.text("halted"), "true"),
            (halt.text("reason"), reason),
            (halt.text("source"), "watchdog"),
            (halt.text("positions_closed"), positions),
            (halt.text("requires_manual_reset"), "true"),
        ];
        let as_expected = expected.iter().all(|(seen, wanted)| *seen == Some(*wanted));
        let named = reason.starts_with("EXIT_BRAIN_HEARTBEAT_MISSING_(5.") && reason.ends_with("S_>_5.0S)");
        if as_expected && add_up && named {
            Ok(())
        } else {
            Err(format!(
                "{} / {} / {}",
                panic.to_string().trim(),
                done.to_string().trim(),
                halt.to_string().trim()
            ))
        }
    }
}

/// L5: every panic event of the watchdog has exactly one completion.
fn every_panic_is_completed_once() -> impl FnMut(&View<'_>) -> Result<(), String> + Send + 'static {
    |view| {
        for panic in view.named("witness.panic").filter(|event| event.text("issued_by") == Some("watchdog")) {
            let id = panic.text("event_id");
            let completions =
                view.named("witness.completed").filter(|event| event.text("event_id") == id).count();
            if completions != 1 {
                return Err(format!("{} has {completions} completions", id.unwrap_or_default()));
            }
        }
        Ok(())
    }
}
