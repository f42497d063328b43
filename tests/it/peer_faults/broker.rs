//! Every fault of the exchange, as a plan writes it.

mod answers;
mod events;
mod world;

use world::{ORDERS, under};

#[test]
fn without_faults_every_order_is_confirmed_executed_found_and_heard_of() {
    let run = under("");
    assert_eq!(run.outcomes(), ["done"; ORDERS]);
    for n in 1..=ORDERS {
        assert_eq!(run.of("client.asked", n, "answer"), "Filled 0.01");
        assert_eq!(run.heard(n).last().map(String::as_str), Some("Filled"));
        assert!(!run.fills(n).is_empty());
    }
    assert_eq!(run.named("account.lost").len() + run.named("market.lost").len(), 0);
}

#[test]
fn a_clock_that_runs_ahead_stamps_events_so_and_refuses_what_seems_too_old_or_too_young() {
    let run = under("3.5s clock step broker +2s");
    assert_eq!(run.outcomes(), ["done"; ORDERS], "two seconds are within the receive window");
    let lead = |n: usize| {
        let stamped = run.fills(n)[0].at.as_millis();
        let heard = run.named("account.hears").into_iter().find(|event| {
            event.text("id") == Some(&format!("tw-{n}")) && event.number("at") == u64::try_from(stamped).ok()
        });
        stamped - heard.expect("the fill was heard of").at.as_millis() as i64
    };
    let offset = lead(5) - lead(2);
    assert!((1_900..=2_100).contains(&offset), "{offset} ms");

    let ahead = under("3.5s clock step broker +6s for 3s");
    assert_eq!(ahead.with_outcome("rejected -1021"), [4, 5, 6], "older than the receive window");
    let behind = under("3.5s clock step broker -2s for 3s");
    assert_eq!(behind.with_outcome("rejected -1021"), [4, 5, 6], "more than a second in the future");
}

#[test]
fn two_faults_at_once_make_an_order_that_is_neither_confirmed_nor_found() {
    let run = under("3.5s peer broker ack-lost for 1s\n3.5s peer broker query-lag 5s for 1s");
    assert_eq!(run.with_outcome("unknown"), [4]);
    assert_eq!(run.of("client.asked", 4, "answer"), "none");
    assert!(run.accepted(4));
}
