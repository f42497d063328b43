//! Faults of requests and their answers.

use sim::{ms, secs};

use super::world::{ORDERS, Run, seeded, under};

/// Orders 4, 5 and 6 fall into this.
const THREE: &str = "3.5s peer broker";

fn unknown_but(executed: bool, run: &Run) {
    assert_eq!(run.with_outcome("unknown"), [4, 5, 6]);
    for n in 1..=ORDERS {
        assert_eq!(run.accepted(n), executed || ![4, 5, 6].contains(&n), "order {n}");
    }
    let found = if executed { "Filled 0.01" } else { "none" };
    assert_eq!(run.of("client.asked", 5, "answer"), found);
}

#[test]
fn ack_lost_the_order_executes_and_the_connection_dies_before_the_answer() {
    let run = under(&format!("{THREE} ack-lost for 3s"));
    unknown_but(true, &run);
    assert_eq!(run.heard(5).last().map(String::as_str), Some("Filled"), "the stream knows better");
    let once = under("on client.places #3  peer broker ack-lost  for 500ms");
    assert_eq!(once.with_outcome("unknown"), [3]);
}

#[test]
fn answers_that_leave_the_outcome_open_come_with_and_without_execution() {
    for fault in ["unknown-503", "intermittent-500", "backend-timeout", "unexpected-response"] {
        unknown_but(true, &under(&format!("{THREE} {fault} 100% orders executed for 3s")));
        unknown_but(false, &under(&format!("{THREE} {fault} 100% orders dropped for 3s")));
    }
}

#[test]
fn whether_an_unanswered_order_is_executed_is_drawn_and_so_is_whom_a_share_hits() {
    let run = seeded(7, "500ms peer broker unknown-503 60% orders for 13s");
    let hit = run.with_outcome("unknown");
    assert!((3..ORDERS).contains(&hit.len()), "{hit:?}");
    let executed = hit.iter().filter(|n| run.accepted(**n)).count();
    assert!((1..hit.len()).contains(&executed), "{executed} of {hit:?}");
    assert_eq!(run.with_outcome("done").len(), ORDERS - hit.len());
}

#[test]
fn intermittent_timeout_there_is_no_answer_until_the_client_gives_up() {
    let run = under("3.5s peer broker intermittent-timeout 100% orders executed for 2s");
    assert_eq!(run.with_outcome("unknown"), [4]);
    let took: u64 = run.of("client.placed", 4, "took_ms").parse().unwrap();
    assert!((5_000..5_100).contains(&took), "{took} ms are the client's own limit");
    assert!(run.accepted(4));
    let dropped = under("3.5s peer broker intermittent-timeout 100% orders dropped for 2s");
    assert_eq!((dropped.with_outcome("unknown"), dropped.accepted(4)), (vec![4], false));
}

#[test]
fn definite_503_nothing_is_executed_and_the_client_knows() {
    let run = under(&format!("{THREE} definite-503 100% orders for 3s"));
    assert_eq!(run.with_outcome("busy"), [4, 5, 6]);
    assert!(![4, 5, 6].iter().any(|n| run.accepted(*n)));
    assert_eq!(run.of("client.asked", 5, "answer"), "none", "queries are another class");
    let all = under(&format!("{THREE} definite-503 for 3s"));
    assert_eq!(all.of("client.asked", 5, "answer"), "busy");
}

#[test]
fn overload_new_orders_are_throttled_and_queries_are_not() {
    let run = under(&format!("{THREE} overload for 3s"));
    assert_eq!(run.with_outcome("busy"), [4, 5, 6]);
    assert!(![4, 5, 6].iter().any(|n| run.accepted(*n)));
    assert_eq!(run.of("client.asked", 5, "answer"), "none");
}

#[test]
fn rate_limit_429_tells_how_long_to_wait_and_is_over_then() {
    let run = under(&format!("{THREE} rate-limit-429 2500ms for 8s"));
    assert_eq!(run.with_outcome("busy"), [4, 5, 6]);
    let waits = [4, 5, 6].map(|n| run.of("client.placed", n, "wait_s"));
    // The client itself holds back the later two, and says how many whole seconds are left.
    assert_eq!(waits, ["3", "1", "0"]);
    assert!(![4, 5, 6].iter().any(|n| run.accepted(*n)));
}

#[test]
fn ban_418_tells_how_long_to_wait_and_a_client_that_was_told_stays_away() {
    let run = under(&format!("{THREE} ban-418 2m for 3s"));
    assert_eq!(run.with_outcome("busy"), (4..=ORDERS).collect::<Vec<_>>(), "for longer than the ban itself");
    assert_eq!(run.of("client.placed", 4, "wait_s"), "120");
    assert_eq!(run.named("account.lost").len(), 0, "streams go on");
}

#[test]
fn token_expiry_the_key_is_refused_for_as_long_as_it_lasts() {
    let run = under(&format!("{THREE} token-expiry for 3s"));
    assert_eq!(run.with_outcome("rejected -2015"), [4, 5, 6]);
    assert_eq!(run.with_outcome("done").len(), ORDERS - 3);
}

#[test]
fn partial_fill_only_a_share_trades_and_the_rest_of_a_market_order_expires() {
    let run = under(&format!("{THREE} partial-fill 30% for 3s"));
    assert_eq!(run.outcomes(), ["done"; ORDERS]);
    assert_eq!(run.of("client.asked", 5, "answer"), "Expired 0.003");
    assert_eq!(run.heard(5), ["Acked", "Partial", "Expired"]);
    let traded: rust_decimal::Decimal = run.fills(5).iter().map(|fill| fill.qty).sum();
    assert_eq!(traded.to_string(), "0.003");
    assert_eq!(run.of("client.asked", 7, "answer"), "Filled 0.01");
}

#[test]
fn duplicate_confirmation_two_orders_are_confirmed_under_one_id() {
    let run = under(&format!("{THREE} duplicate-confirmation for 1s"));
    assert_eq!(run.outcomes(), ["done"; ORDERS]);
    let confirmed = |n| run.of("client.placed", n, "order_id");
    assert_eq!(confirmed(4), confirmed(3));
    assert_ne!(run.fills(4)[0].order_id, run.fills(3)[0].order_id);
    assert_ne!(confirmed(5), confirmed(4));
}

#[test]
fn fill_before_ack_the_stream_tells_of_the_fill_before_the_answer_comes() {
    let run = under(&format!("{THREE} fill-before-ack 300ms..400ms for 3s"));
    assert_eq!(run.outcomes(), ["done"; ORDERS]);
    for n in [4, 5] {
        let (heard, answered) = (run.heard_at(n, "Filled"), run.told_at("client.placed", n));
        assert!(answered >= heard + ms(250), "order {n}: filled at {heard:?}, answered at {answered:?}");
    }
}

#[test]
fn query_lag_a_fresh_order_does_not_exist_and_positions_and_balances_are_old() {
    let run = under(&format!("{THREE} query-lag 1500ms for 3s"));
    for n in 1..=ORDERS {
        let found = if [4, 5, 6].contains(&n) { "none" } else { "Filled 0.01" };
        assert_eq!(run.of("client.asked", n, "answer"), found, "order {n}");
        assert!(run.accepted(n));
    }
    // At 6 s, what was true at 4.5 s is seen.
    assert_eq!(run.of("client.holds", 6, "position"), "0.040");
    assert_eq!(run.of("client.holds", 3, "position"), "0.030");
    assert_eq!(run.of("client.holds", 7, "position"), "0.070");
}

#[test]
fn stale_position_list_and_stale_balance_concern_nothing_else() {
    let positions = under(&format!("{THREE} stale-position-list 1500ms for 3s"));
    let balances = under(&format!("{THREE} stale-balance 1500ms for 3s"));
    assert_eq!(positions.of("client.holds", 6, "position"), "0.040");
    assert_eq!(balances.of("client.holds", 6, "position"), "0.060");
    let paid = |run: &Run, n| run.of("client.holds", n, "balance");
    assert_ne!(paid(&positions, 6), paid(&positions, 5), "each order costs a fee");
    assert_eq!(paid(&balances, 6), paid(&positions, 4));
    assert_eq!(positions.of("client.asked", 6, "answer"), "Filled 0.01");
    assert!(positions.told_at("client.holds", 6) < secs(7));
}
