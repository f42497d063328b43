//! The watchdog on tables of cases, and under arbitrary sights.

use proptest::prelude::*;

use super::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn event(n: u64) -> EventId {
    EventId::from_bits(n, n)
}

fn beat(id: &str) -> Sight {
    Sight::Heartbeat(Some(id.into()))
}

fn panic(event: Option<EventId>, completed: Option<EventId>, halted: bool) -> Sight {
    Sight::Panic { event, completed, halted }
}

/// A watchdog that has seen at `start` that there was no panic.
fn armed(start: Instant) -> Watchdog {
    let mut watchdog = Watchdog::default();
    assert_eq!(watchdog.look(start, panic(None, None, false)), None);
    assert!(watchdog.is_armed());
    watchdog
}

fn publish(reason: &str, age: u64) -> Option<Alarm> {
    Some(Alarm::Publish { reason: reason.into(), age: ms(age) })
}

#[test]
fn a_heartbeat_may_be_five_seconds_old_and_not_a_millisecond_older() {
    let start = Instant::now();
    let mut watchdog = armed(start);
    assert_eq!(watchdog.look(start + ms(100), beat("1-0")), None);
    assert_eq!(watchdog.look(start + ms(5_100), beat("1-0")), None);
    let alarm = watchdog.look(start + ms(5_101), beat("1-0"));
    assert_eq!(alarm, publish("EXIT_BRAIN_HEARTBEAT_MISSING_(5.1S_>_5.0S)", 5_001));
    assert!(watchdog.is_latched());
}

#[test]
fn an_exit_brain_that_was_never_heard_of_is_missed_too() {
    let start = Instant::now();
    let mut watchdog = armed(start);
    assert_eq!(watchdog.look(start + ms(5_000), Sight::Heartbeat(None)), None);
    assert!(watchdog.look(start + ms(5_250), Sight::Heartbeat(None)).is_some());
}

#[test]
fn an_outage_of_the_bus_is_no_missing_heartbeat_and_the_age_begins_anew_after_it() {
    let start = Instant::now();
    let mut watchdog = armed(start);
    watchdog.look(start, beat("1-0"));
    for after in (250..20_000).step_by(250) {
        assert_eq!(watchdog.look(start + ms(after), Sight::Nothing), None);
    }
    assert_eq!(watchdog.look(start + ms(20_000), beat("1-0")), None, "the bus is back");
    assert_eq!(watchdog.look(start + ms(25_000), beat("1-0")), None);
    let alarm = watchdog.look(start + ms(25_500), beat("1-0"));
    assert_eq!(alarm, publish("EXIT_BRAIN_HEARTBEAT_MISSING_(5.5S_>_5.0S)", 5_500));
}

#[test]
fn a_bus_that_has_lost_the_heartbeats_brings_no_new_one() {
    let start = Instant::now();
    let mut watchdog = armed(start);
    watchdog.look(start, beat("1-0"));
    assert_eq!(watchdog.look(start + ms(3_000), Sight::Heartbeat(None)), None);
    assert!(watchdog.look(start + ms(5_001), Sight::Heartbeat(None)).is_some());
}

#[test]
fn the_next_look_is_due_at_the_poll_or_when_the_heartbeat_gets_too_old() {
    let start = Instant::now();
    let mut watchdog = armed(start);
    watchdog.look(start, beat("1-0"));
    assert_eq!(watchdog.next_look(start), start + POLL);
    assert_eq!(watchdog.next_look(start + ms(4_900)), start + ms(5_001));
    assert_eq!(watchdog.next_look(start + ms(9_000)), start + ms(9_000), "a late look is due at once");
}

#[test]
fn a_latched_watchdog_is_silent_until_the_halt_has_come_and_gone() {
    let start = Instant::now();
    let mut watchdog = armed(start);
    assert!(watchdog.look(start + ms(5_001), Sight::Heartbeat(None)).is_some());
    assert_eq!(watchdog.look(start + ms(6_000), Sight::Heartbeat(None)), None, "being published");
    watchdog.published(event(1));
    assert_eq!(watchdog.question(), Question::Panic);
    assert_eq!(watchdog.look(start + ms(7_000), panic(Some(event(1)), None, false)), None);
    assert_eq!(watchdog.look(start + ms(8_000), panic(Some(event(1)), None, true)), None);
    assert_eq!(watchdog.look(start + ms(90_000), panic(Some(event(1)), Some(event(1)), true)), None);
    assert!(watchdog.is_latched());
    let reset = start + ms(91_000);
    assert_eq!(watchdog.look(reset, panic(Some(event(1)), Some(event(1)), false)), Some(Alarm::Rearmed));
    assert_eq!(watchdog.look(reset + ms(5_000), Sight::Heartbeat(None)), None);
    assert!(
        watchdog.look(reset + ms(5_001), Sight::Heartbeat(None)).is_some(),
        "there is no grace after a reset"
    );
}

#[test]
fn an_event_that_the_bus_has_lost_is_published_again_under_its_id() {
    let start = Instant::now();
    let mut watchdog = armed(start);
    watchdog.look(start + ms(5_001), Sight::Heartbeat(None));
    watchdog.published(event(1));
    assert_eq!(watchdog.look(start, panic(None, None, false)), Some(Alarm::Restore(event(1))));
    assert_eq!(
        watchdog.look(start, panic(Some(event(2)), None, false)),
        Some(Alarm::Restore(event(1))),
        "another event is not ours"
    );
    assert_eq!(watchdog.look(start, panic(Some(event(1)), None, false)), None);
    watchdog.look(start, panic(Some(event(1)), None, true));
    assert_eq!(watchdog.look(start, panic(None, None, true)), None, "it has been carried out");
}

#[test]
fn a_restart_finds_the_latch_where_it_was() {
    let start = Instant::now();
    for (left, latched) in [
        (panic(None, None, false), false),
        (panic(Some(event(1)), None, false), true),
        (panic(Some(event(1)), Some(event(2)), false), true),
        (panic(Some(event(1)), Some(event(1)), false), false),
        (panic(Some(event(1)), Some(event(1)), true), true),
        (panic(None, None, true), true),
    ] {
        let mut watchdog = Watchdog::default();
        assert_eq!(watchdog.question(), Question::Panic);
        assert_eq!(watchdog.look(start, Sight::Nothing), None);
        assert_eq!(watchdog.look(start, left.clone()), None);
        assert_eq!(watchdog.is_latched(), latched, "{left:?}");
        assert_eq!(watchdog.is_armed(), !latched, "{left:?}");
    }
}

/// What an arbitrary bus shows next.
#[derive(Clone, Copy, Debug)]
enum Next {
    Fails,
    Repeats,
    Beats,
}

proptest! {
    #[test]
    fn it_fires_exactly_when_five_seconds_of_sight_have_brought_no_heartbeat(
        steps in prop::collection::vec(
            (0..1_500_u64, prop_oneof![1 => Just(Next::Fails), 4 => Just(Next::Repeats), 1 => Just(Next::Beats)]),
            1..200,
        ),
    ) {
        let start = Instant::now();
        let mut watchdog = armed(start);
        // When the newest heartbeat was seen or sight came back; `None` while blind.
        let (mut since, mut now, mut beats) = (Some(start), start, 0);
        for (pause, next) in steps {
            now += ms(pause);
            let sight = match next {
                Next::Fails => Sight::Nothing,
                Next::Repeats => Sight::Heartbeat((beats > 0).then(|| format!("{beats}-0"))),
                Next::Beats => { beats += 1; beat(&format!("{beats}-0")) }
            };
            since = match next {
                Next::Fails => None,
                Next::Beats => Some(now),
                Next::Repeats => since.or(Some(now)),
            };
            let due = since.is_some_and(|since| now.duration_since(since) > HEARTBEAT_LIMIT);
            let fired = watchdog.look(now, sight).is_some();
            prop_assert_eq!(fired, due);
            if fired {
                prop_assert!(watchdog.is_latched());
                return Ok(());
            }
        }
    }

    #[test]
    fn it_publishes_at_most_once_until_a_halt_was_seen_and_cleared(
        sights in prop::collection::vec((any::<bool>(), 0..3_u64, 0..3_u64, any::<bool>()), 1..100),
    ) {
        let start = Instant::now();
        let mut watchdog = armed(start);
        watchdog.look(start + ms(5_001), Sight::Heartbeat(None));
        watchdog.published(event(1));
        let mut halted_before = false;
        for (answers, newest, completed, halted) in sights {
            let sight = if answers { panic(Some(event(newest)), Some(event(completed)), halted) } else { Sight::Nothing };
            match watchdog.look(start + ms(60_000), sight) {
                Some(Alarm::Publish { .. }) => prop_assert!(false, "a second event"),
                Some(Alarm::Restore(id)) => prop_assert!(id == event(1) && !halted_before),
                Some(Alarm::Rearmed) => { prop_assert!(halted_before && !halted); return Ok(()); }
                None => {}
            }
            halted_before |= answers && halted;
        }
    }
}
