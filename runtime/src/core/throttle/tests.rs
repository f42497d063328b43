//! The queue, case by case, and what no sequence of inputs may break.

use proptest::prelude::*;

use super::*;

const LIMITS: ThrottleLimits = ThrottleLimits {
    orders_per_10s: 5,
    orders_per_minute: 12,
    exit_percent: 40,
    weight_per_minute: 10,
    entries: 4,
};

fn queue(requests: &[(Class, u32)]) -> Throttle<u32> {
    let mut throttle = Throttle::new(LIMITS);
    for (class, request) in requests {
        assert_eq!(throttle.push(*class, *request), None);
    }
    throttle
}

/// What can be sent at once.
fn drain(throttle: &mut Throttle<u32>, now: Instant) -> (Vec<u32>, Next<u32>) {
    let mut sent = Vec::new();
    loop {
        match throttle.pop(now, true) {
            Next::Send(request) => sent.push(request),
            other => return (sent, other),
        }
    }
}

#[test]
fn exits_overtake_entries_and_entries_overtake_scans() {
    let mut throttle =
        queue(&[(Class::Scan(1), 30), (Class::Entry, 20), (Class::Entry, 21), (Class::Exit, 10)]);
    assert_eq!(drain(&mut throttle, Instant::now()), (vec![10, 20, 21, 30], Next::Idle));
}

#[test]
fn a_share_of_the_budget_is_for_exits_only() {
    let now = Instant::now();
    let mut throttle = queue(&[1, 2, 3, 4].map(|n| (Class::Entry, n)));
    assert_eq!(drain(&mut throttle, now), (vec![1, 2, 3], Next::Wait(now + TEN_SECONDS)));
    for exit in [10, 11, 12] {
        assert_eq!(throttle.push(Class::Exit, exit), None);
    }
    assert_eq!(drain(&mut throttle, now), (vec![10, 11], Next::Wait(now + TEN_SECONDS)));
    assert_eq!(drain(&mut throttle, now + TEN_SECONDS), (vec![12, 4], Next::Idle));
}

#[test]
fn nothing_is_sent_before_its_retry_after() {
    let now = Instant::now();
    let mut throttle = queue(&[(Class::Exit, 1), (Class::Entry, 2), (Class::Scan(1), 3)]);
    let moment = now + Duration::from_secs(7);
    throttle.pause_until(moment);
    throttle.pause_until(now + Duration::from_secs(3));
    assert_eq!(throttle.paused_until(now), Some(moment));
    assert_eq!(throttle.pop(now, true), Next::Wait(moment));
    assert_eq!(drain(&mut throttle, moment), (vec![1, 2, 3], Next::Idle));
    assert_eq!(throttle.paused_until(moment), None);
}

#[test]
fn entries_that_may_not_go_yet_hold_up_nothing_else() {
    let now = Instant::now();
    let mut throttle = queue(&[(Class::Entry, 2), (Class::Scan(1), 3)]);
    assert_eq!(throttle.pop(now, false), Next::Send(3));
    assert_eq!(throttle.pop(now, false), Next::Idle);
    assert_eq!(throttle.pop(now, true), Next::Send(2));
}

#[test]
fn the_oldest_entry_gives_way_and_never_an_exit() {
    let mut throttle = queue(&[1, 2, 3, 4].map(|n| (Class::Entry, n)));
    for exit in 10..30 {
        assert_eq!(throttle.push(Class::Exit, exit), None);
    }
    assert_eq!(throttle.push(Class::Entry, 5), Some(1));
    assert_eq!(throttle.depth(), 24);
}

#[test]
fn orders_of_others_that_the_exchange_counts_take_room() {
    let now = Instant::now();
    let mut throttle = queue(&[(Class::Entry, 1)]);
    throttle.counted(now, 3, 3);
    assert_eq!(throttle.pop(now, true), Next::Wait(now + TEN_SECONDS));
    assert_eq!(throttle.pop(now + TEN_SECONDS, true), Next::Send(1));
}

#[test]
fn scans_wait_for_their_own_budget_only() {
    let now = Instant::now();
    let mut throttle = queue(&[(Class::Scan(5), 1), (Class::Scan(5), 2), (Class::Scan(5), 3)]);
    assert_eq!(drain(&mut throttle, now), (vec![1, 2], Next::Wait(now + MINUTE)));
    assert_eq!(throttle.push(Class::Entry, 9), None);
    assert_eq!(drain(&mut throttle, now), (vec![9], Next::Wait(now + MINUTE)));
    assert_eq!(drain(&mut throttle, now + MINUTE), (vec![3], Next::Idle));
}

proptest! {
    #[test]
    fn no_window_is_overrun_exits_keep_their_share_and_order_within_a_class_stands(
        steps in prop::collection::vec((0..6_u64, 0..3_u8), 1..150),
    ) {
        let mut now = Instant::now();
        let mut throttle = Throttle::new(LIMITS);
        let mut sent: Vec<(Instant, Class, u32)> = Vec::new();
        let mut dropped = Vec::new();
        for (n, (pause, class)) in (0..).zip(&steps) {
            now += Duration::from_secs(*pause);
            let class = [Class::Exit, Class::Entry, Class::Scan(3)][usize::from(*class)];
            dropped.extend(throttle.push(class, (class, n)));
            while let Next::Send((class, n)) = throttle.pop(now, true) {
                sent.push((now, class, n));
            }
        }
        // What waits is sent when its time comes.
        loop {
            match throttle.pop(now, true) {
                Next::Send((class, n)) => sent.push((now, class, n)),
                Next::Wait(until) => {
                    prop_assert!(until > now, "a wait that does not end");
                    now = until;
                }
                Next::Idle => break,
            }
        }
        prop_assert_eq!(sent.len() + dropped.len(), steps.len());
        prop_assert!(dropped.iter().all(|(class, _)| *class == Class::Entry));
        for (at, ..) in &sent {
            let within = |window| sent.iter().filter(move |(sent, ..)| sent >= at && *sent - *at < window);
            let orders = |window| within(window).filter(|(_, class, _)| matches!(class, Class::Exit | Class::Entry)).count();
            prop_assert!(orders(TEN_SECONDS) <= 5 && orders(MINUTE) <= 12);
            let entries = within(TEN_SECONDS).filter(|(_, class, _)| *class == Class::Entry).count();
            prop_assert!(entries <= 3, "entries took the share of the exits");
            let weight: usize = within(MINUTE).filter(|(_, class, _)| *class == Class::Scan(3)).map(|_| 3).sum();
            prop_assert!(weight <= 10);
        }
        for class in [Class::Exit, Class::Entry, Class::Scan(3)] {
            let order: Vec<u32> = sent.iter().filter(|(_, of, _)| *of == class).map(|(.., n)| *n).collect();
            prop_assert!(order.is_sorted());
        }
    }
}
