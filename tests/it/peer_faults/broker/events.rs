//! Faults of streams and listen keys.

use sim::{Event, ms, secs};

use super::world::{ORDERS, Run, at, seeded, under};

fn trade_ids(run: &Run) -> Vec<u64> {
    run.named("account.hears")
        .iter()
        .filter_map(|event| event.number("trade_id").filter(|id| *id > 0))
        .collect()
}

fn reasons<'a>(run: &'a Run, name: &str) -> Vec<&'a str> {
    run.named(name).into_iter().map(|event: &Event| event.text("reason").expect("a reason")).collect()
}

#[test]
fn duplicate_fill_an_execution_is_told_twice_and_happened_once() {
    let run = under("3.5s peer broker duplicate-fill for 3s");
    let heard = trade_ids(&run);
    let truth: Vec<u64> = run.journal.fills().iter().map(|fill| fill.trade_id).collect();
    let mut once = heard.clone();
    once.dedup();
    assert_eq!(once, truth);
    let doubled: usize = [4, 5, 6].iter().map(|n| run.fills(*n).len()).sum();
    assert_eq!(heard.len(), truth.len() + doubled);
}

#[test]
fn late_events_come_late_complete_and_in_order() {
    let run = under("3.5s peer broker late-events 1s..3s for 3s");
    for n in [4, 5, 6] {
        let delay = run.heard_at(n, "Filled") - run.told_at("client.places", n);
        assert!(delay >= secs(1), "order {n}: {delay:?}");
    }
    assert_eq!(trade_ids(&run), run.journal.fills().iter().map(|fill| fill.trade_id).collect::<Vec<_>>());
    assert!(run.heard_at(8, "Filled") < run.told_at("client.places", 8) + ms(200));
}

#[test]
fn reordered_events_keep_the_order_of_their_type_unless_told_otherwise() {
    let kept = under("500ms peer broker reordered-events 0s..5s for 13s");
    let truth: Vec<u64> = kept.journal.fills().iter().map(|fill| fill.trade_id).collect();
    assert_eq!(trade_ids(&kept), truth);
    for n in 1..=ORDERS {
        assert_eq!(kept.heard(n).first().map(String::as_str), Some("Acked"));
    }
    let broken = under("500ms peer broker reordered-events 0s..5s anyhow for 13s");
    assert_ne!(trade_ids(&broken), truth, "the order is lost");
    let mut sorted = trade_ids(&broken);
    sorted.sort_unstable();
    assert_eq!(sorted, truth, "but nothing else");
}

#[test]
fn listen_key_expiry_is_told_and_the_client_comes_back() {
    let run = under("3.5s peer broker listen-key-expiry");
    assert_eq!(reasons(&run, "account.lost"), ["the listen key expired"]);
    assert_eq!(run.named("account.open").len(), 2);
    assert_eq!(run.heard(6).last().map(String::as_str), Some("Filled"));
}

#[test]
fn a_listen_key_that_expires_silently_leaves_an_open_stream_without_events() {
    let run = under("3.5s peer broker listen-key-expiry silent");
    assert_eq!(run.named("account.lost").len(), 0, "pings are answered");
    assert!(run.heard(3).contains(&"Filled".to_owned()));
    assert!((4..=ORDERS).all(|n| run.heard(n).is_empty() && run.accepted(n)));
}

#[test]
fn stream_drop_cuts_the_streams_told_and_they_come_back() {
    let run = under("3.5s peer broker stream-drop user");
    assert_eq!(run.named("account.lost").len(), 1);
    assert_eq!(run.named("market.lost").len(), 0);
    assert_eq!(run.heard(6).last().map(String::as_str), Some("Filled"));
    let all = under("3.5s peer broker stream-drop");
    assert_eq!((all.named("account.lost").len(), all.named("market.lost").len()), (1, 1));
    assert!(at(all.named("market.lost")[0]) < ms(3_600));
}

#[test]
fn stream_mute_connections_stay_open_and_what_happens_meanwhile_is_lost() {
    let run = under("3.5s peer broker stream-mute for 3s");
    assert_eq!(run.named("account.lost").len() + run.named("market.lost").len(), 0);
    assert!([4, 5, 6].iter().all(|n| run.heard(*n).is_empty() && run.accepted(*n)));
    assert_eq!(run.heard(7).last().map(String::as_str), Some("Filled"));
    assert_eq!(run.between("market.trade", ms(3_600), ms(6_400)), 0);
    assert!(run.between("market.trade", ms(6_600), ms(9_400)) > 3);
    let user = under("3.5s peer broker stream-mute user for 3s");
    assert!(user.heard(5).is_empty());
    assert!(user.between("market.trade", ms(3_600), ms(6_400)) > 3);
}

#[test]
fn stream_corrupt_breaks_json_or_the_frame_and_the_client_drops_the_stream() {
    let json = seeded(3, "3.5s peer broker stream-corrupt 80% for 2s");
    let told = reasons(&json, "market.lost");
    assert!(
        !told.is_empty() && told.iter().all(|reason| reason.starts_with("malformed message")),
        "{told:?}"
    );
    let frames = seeded(3, "3.5s peer broker stream-corrupt 80% frames for 2s");
    let told = reasons(&frames, "market.lost");
    assert!(!told.is_empty() && told.iter().all(|reason| !reason.starts_with("malformed")), "{told:?}");
    for run in [&json, &frames] {
        assert_eq!(run.heard(ORDERS).last().map(String::as_str), Some("Filled"));
        assert!(run.between("market.trade", secs(8), secs(10)) > 3);
    }
}
