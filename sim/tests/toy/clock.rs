//! Wall clocks and gauges that mislead.

use env::{WallTime, fact};
use sim::{Case, Options, Plan, ms, run, secs};
use tokio::time::sleep;

use crate::world::named;

/// What the host's clock shows each second, less what it should: microseconds.
fn errors(plan: &str) -> Vec<i64> {
    let case = Case::new("clock", |world| {
        world.host("a", |env| async move {
            let start = env.clock.now();
            for second in 0..10_i64 {
                let shown: WallTime = env.clock.now();
                fact!("clock.shows", off = shown.as_micros() - start.as_micros() - second * 1_000_000);
                sleep(secs(1)).await;
            }
        });
    });
    let plan = Plan::parse(plan).expect("a well-formed plan");
    let outcome = run(&case, 1, &Options { plan: Some(plan), ..Options::default() }).expect("known hosts");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
    let off = |event: &&sim::Event| match event.get("off") {
        Some(sim::trace::Value::Int(off)) => *off,
        other => panic!("{other:?}"),
    };
    named(&outcome, "clock.shows").iter().map(off).collect()
}

#[test]
fn a_jump_stays_and_a_skew_goes() {
    assert_eq!(errors(""), [0; 10]);
    assert_eq!(errors("2.5s clock step a +2s")[..5], [0, 0, 0, 2_000_000, 2_000_000]);
    assert_eq!(errors("2.5s clock step a -60s for 2s")[1..6], [0, 0, -60_000_000, -60_000_000, 0]);
}

#[test]
fn a_drifting_clock_is_off_by_more_and_more() {
    assert_eq!(errors("2s clock drift a +200ppm for 3s")[..8], [0, 0, 0, 200, 400, 600, 600, 600]);
}

#[test]
fn the_memory_gauge_shows_the_pressure() {
    let case = Case::new("memory", |world| {
        world.host("a", |env| async move {
            loop {
                fact!("memory", percent = env.resources.memory().expect("a gauge").percent());
                sleep(ms(1_500)).await;
            }
        });
    });
    let plan = Plan::parse("2s host memory a 85% for 2s").expect("a well-formed plan");
    let outcome = run(&case, 1, &Options { plan: Some(plan), ..Options::default() }).expect("known hosts");
    let shown: Vec<u64> =
        named(&outcome, "memory").iter().map(|event| crate::world::uint(event, "percent")).collect();
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
    assert_eq!(shown[..4], [6, 6, 84, 6]);
}
