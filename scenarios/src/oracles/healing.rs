//! S23 and what the health check may claim.

use std::{collections::BTreeMap, time::Duration};

use runtime::core::health::Component;
use sim::{Invariant, SimTime, invariant, secs, trace::Value};

use crate::desk::{FEEDER, SYMBOLS};

/// A stream without a trade for this long is dead (auto-heal runbook, "WS stream freshness, age < 60 s").
const STREAM_MAX_AGE: Duration = secs(60);

/// Whenever a check finds DOR true, the feeder has published each symbol in this life of it, and in the last minute.
pub fn dor_only_with_live_streams() -> Invariant {
    let mut published: BTreeMap<String, SimTime> = BTreeMap::new();
    invariant("DOR is true only while every market stream lives", move |event, _| {
        match event.name {
            "host.started" if *event.host == *FEEDER => published.clear(),
            "feeder.trade" => {
                published.insert(event.text("symbol").unwrap_or_default().into(), event.at);
            }
            "health.checked" if event.get("dor") == Some(&Value::Bool(true)) => {
                for symbol in SYMBOLS {
                    match published.get(symbol) {
                        Some(at) if event.at.since(*at) < STREAM_MAX_AGE => {}
                        Some(at) => return Err(format!("the last trade of {symbol} is of {at}")),
                        None => return Err(format!("no trade of {symbol} since the feeder started")),
                    }
                }
            }
            _ => {}
        }
        Ok(())
    })
}

/// Auto-heal restarts a component only when its last two checks have both failed, and at most three times an episode.
pub fn restarts_follow_two_failing_checks() -> Invariant {
    let mut failing: BTreeMap<&'static str, u32> = BTreeMap::new();
    let mut restarts: BTreeMap<String, u32> = BTreeMap::new();
    invariant("auto-heal restarts only what failed two checks, and at most three times", move |event, _| {
        match event.name {
            "health.checked" => {
                let names = event.text("failing").unwrap_or_default();
                for component in Component::ALL {
                    let name = component.name();
                    let fails = names.split(',').any(|failing| failing == name);
                    let count = failing.entry(name).or_default();
                    *count = if fails { *count + 1 } else { 0 };
                }
            }
            "heal.restarts" => {
                let component = event.text("component").unwrap_or_default();
                let checks = failing.get(component).copied().unwrap_or_default();
                if checks < 2 {
                    return Err(format!("{component} is restarted after {checks} failing checks"));
                }
                let count = restarts.entry(component.into()).or_default();
                *count += 1;
                if *count > 3 {
                    return Err(format!("{component} is restarted {count} times"));
                }
            }
            "heal.episode_ends" => restarts.clear(),
            _ => {}
        }
        Ok(())
    })
}
