//! The breaker, transition by transition, and what no sequence of inputs may break.

use proptest::prelude::*;

use super::{BreakerState::*, *};

fn id(n: u32) -> ClientOrderId {
    format!("tw-{n}").parse().unwrap()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn open_at(now: Instant) -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..FAILURES {
        breaker.failed(now);
    }
    assert_eq!(breaker.state(), Open);
    breaker
}

#[test]
fn the_third_failure_within_a_minute_opens_it_and_an_older_one_does_not_count() {
    let start = Instant::now();
    let mut breaker = Breaker::default();
    assert!(!breaker.failed(start));
    assert!(!breaker.failed(start + secs(30)));
    assert!(!breaker.failed(start + WINDOW + secs(1)), "the first one is too old");
    assert!(breaker.admits());
    assert!(breaker.failed(start + secs(90)));
    assert_eq!(breaker.state(), Open);
    assert!(!breaker.admits());
}

#[test]
fn it_is_open_for_two_minutes_whatever_happens_meanwhile() {
    let start = Instant::now();
    let mut breaker = open_at(start);
    assert!(!breaker.failed(start + secs(100)));
    assert!(!breaker.succeeded(&id(1)));
    assert!(!breaker.tick(start + OPEN_FOR - Duration::from_millis(1)));
    assert_eq!(breaker.next_tick(), Some(start + OPEN_FOR));
    assert!(breaker.tick(start + OPEN_FOR));
    assert_eq!(breaker.state(), HalfOpen);
}

#[test]
fn half_open_lets_one_probe_out_whose_fate_decides() {
    let start = Instant::now();
    let mut breaker = open_at(start);
    breaker.tick(start + OPEN_FOR);
    assert!(breaker.admits());
    assert!(breaker.pass(&id(1)));
    assert!(!breaker.admits());
    assert!(!breaker.succeeded(&id(2)), "that is not the probe");
    let mut closing = breaker.clone();
    assert!(closing.succeeded(&id(1)));
    assert_eq!(closing.state(), Closed);
    assert!(!closing.failed(start + OPEN_FOR), "it starts to count anew");
    assert!(breaker.failed(start + OPEN_FOR));
    assert_eq!(breaker.next_tick(), Some(start + OPEN_FOR + OPEN_FOR));
}

#[test]
fn a_probe_that_was_not_sent_leaves_its_place_to_another() {
    let start = Instant::now();
    let mut breaker = open_at(start);
    breaker.tick(start + OPEN_FOR);
    breaker.pass(&id(1));
    breaker.withdrawn(&id(2));
    assert!(!breaker.admits());
    breaker.withdrawn(&id(1));
    assert!(breaker.admits());
}

#[test]
fn a_restart_leaves_it_open_for_the_rest_of_its_time() {
    let (now, wall) = (Instant::now(), WallTime::from_millis(1_700_000_000_000));
    let later = |breaker: &Breaker, millis: i64| {
        let record = breaker.record(now, wall);
        Breaker::restored(&record, now, WallTime::from_millis(wall.as_millis() + millis), |_| true)
    };
    let breaker = open_at(now);
    assert_eq!(later(&breaker, 50_000).next_tick(), Some(now + secs(70)));
    assert_eq!(later(&breaker, 120_000).state(), HalfOpen);
    // A wall clock that was set back cannot keep it open for longer than ever.
    assert_eq!(later(&breaker, -3_600_000).next_tick(), Some(now + OPEN_FOR));
}

#[test]
fn a_restart_remembers_the_failures_that_still_count_and_the_probe_in_doubt() {
    let (now, wall) = (Instant::now() + WINDOW, WallTime::from_millis(1_700_000_000_000));
    let mut breaker = Breaker::default();
    breaker.failed(now - secs(50));
    breaker.failed(now);
    let at = WallTime::from_millis(wall.as_millis() + 20_000);
    let mut restored = Breaker::restored(&breaker.record(now, wall), now, at, |_| true);
    assert!(!restored.failed(now), "the first one is too old by now");
    assert!(restored.failed(now));

    let probe = Record::HalfOpen { probe: Some(id(1)) };
    assert!(!Breaker::restored(&probe, now, wall, |_| true).admits());
    assert!(Breaker::restored(&probe, now, wall, |_| false).admits());
}

#[test]
fn a_record_has_a_form_that_people_can_read() {
    let text = serde_json::to_string(&Record::HalfOpen { probe: Some(id(1)) }).unwrap();
    assert_eq!(text, r#"{"state":"HALF_OPEN","probe":"tw-1"}"#);
    assert!(serde_json::from_str::<Record>(r#"{"state":"OPEN"}"#).is_err());
}

#[test]
fn the_breaker_of_one_symbol_leaves_the_others_alone() {
    let now = Instant::now();
    let (btc, eth): (Symbol, Symbol) = ("BTCUSDT".parse().unwrap(), "ETHUSDT".parse().unwrap());
    let mut breakers = Breakers::default();
    for _ in 0..FAILURES {
        breakers.of(&btc).failed(now);
    }
    assert!(breakers.of(&eth).admits());
    assert_eq!(breakers.next_tick(), Some(now + OPEN_FOR));
    assert_eq!(breakers.tick(now + OPEN_FOR), [btc]);
}

proptest! {
    #[test]
    fn nothing_passes_while_it_is_open_and_half_open_has_one_probe_at_most(
        steps in prop::collection::vec((0..50_u64, 0..5_u8, 0..4_usize), 1..200),
    ) {
        let start = Instant::now();
        let mut now = start;
        let mut wall = WallTime::from_millis(1_700_000_000_000);
        let mut breaker = Breaker::default();
        let mut out: Vec<ClientOrderId> = Vec::new();
        let mut failures: Vec<Instant> = Vec::new();
        let mut opened: Option<Instant> = None;
        for (n, (pause, step, which)) in (0..).zip(steps) {
            now += secs(pause);
            wall = WallTime::from_micros(wall.as_micros() + i64::try_from(pause).unwrap() * 1_000_000);
            breaker.tick(now);
            let before = breaker.state();
            match step {
                0 | 1 => if breaker.admits() {
                    let probe = breaker.pass(&id(n));
                    prop_assert_eq!(probe, before == HalfOpen);
                    prop_assert!(opened.is_none_or(|opened| now - opened >= OPEN_FOR));
                    out.push(id(n));
                },
                2 => if breaker.failed(now) {
                    opened = Some(now);
                    let recent = failures.iter().filter(|at| now - **at <= WINDOW).count();
                    prop_assert!(before == HalfOpen || recent + 1 >= FAILURES);
                    failures.clear();
                } else if before == Closed {
                    failures.push(now);
                },
                3 if !out.is_empty() => {
                    let order = out.remove(which % out.len());
                    if breaker.succeeded(&order) {
                        prop_assert_eq!(before, HalfOpen);
                        failures.clear();
                    }
                }
                _ => {
                    let record = breaker.record(now, wall);
                    breaker = Breaker::restored(&record, now, wall, |order| out.contains(order));
                    prop_assert_eq!(breaker.state(), before);
                }
            }
        }
    }
}
