//! The order machine against its invariants, under any sequence of inputs.

use proptest::prelude::*;

use super::*;

fn order(reduce_only: bool) -> Order {
    let intent_id: super::super::IntentId = "BTCUSDT-7-in".parse().unwrap();
    Order::new(Intent {
        client_order_id: ClientOrderId::of(&intent_id),
        intent_id,
        symbol: "BTCUSDT".parse().unwrap(),
        side: Side::Buy,
        qty: qty(10),
        price: Price::new(100.into()).unwrap(),
        reduce_only,
    })
}

fn qty(amount: u32) -> Qty {
    Qty::new(amount.into()).unwrap()
}

fn report(status: Status, executed: u32) -> Input {
    Input::Reported(Report { order_id: 1, status, executed: qty(executed) })
}

fn fill(trade_id: u64, amount: u32) -> Fill {
    Fill {
        symbol: "BTCUSDT".parse().unwrap(),
        trade_id,
        client_order_id: "tw-BTCUSDT-7-in".parse().unwrap(),
        side: Side::Buy,
        qty: qty(amount),
        price: Price::new(100.into()).unwrap(),
        fee: Decimal::ZERO,
        time: WallTime::from_millis(0),
    }
}

fn became(from: Status, to: Status) -> Decision {
    Decision::Became { from, to, reason: None }
}

#[test]
fn a_market_order_is_sent_acknowledged_filled_and_settled() {
    let mut order = order(false);
    assert_eq!(order.question(), None, "nothing was sent");
    assert_eq!(order.apply(Input::Sent), [became(Status::Intent, Status::Sent)]);
    assert_eq!(order.apply(report(Status::Acked, 0)), [became(Status::Sent, Status::Acked)]);
    assert_eq!(
        order.apply(Input::Traded(fill(1, 4))),
        [Decision::Book(fill(1, 4)), became(Status::Acked, Status::Partial)]
    );
    assert_eq!(order.apply(report(Status::Partial, 4)), []);
    assert_eq!(order.question(), Some(Question::Status));
    assert_eq!(
        order.apply(Input::Traded(fill(2, 6))),
        [Decision::Book(fill(2, 6)), became(Status::Partial, Status::Filled), Decision::Settled]
    );
    assert_eq!(order.apply(report(Status::Filled, 10)), []);
    assert_eq!(order.question(), None);
    assert_eq!(order.avg_price(), Some(100.into()));
}

#[test]
fn a_filled_order_with_lost_events_asks_for_its_trades_before_it_settles() {
    let mut order = order(false);
    order.apply(Input::Sent);
    assert_eq!(order.apply(report(Status::Filled, 10)), [became(Status::Sent, Status::Filled)]);
    assert_eq!(order.question(), Some(Question::Trades(1)));
    assert_eq!(order.apply(Input::Traded(fill(1, 10))), [Decision::Book(fill(1, 10)), Decision::Settled]);
    assert_eq!(order.apply(Input::Traded(fill(1, 10))), [], "a fill is booked once");
}

#[test]
fn silence_makes_an_order_unknown_and_only_the_exchange_resolves_it() {
    let mut order = order(false);
    order.apply(Input::Sent);
    let reason = || "no answer within 5 s".to_owned();
    assert_eq!(
        order.apply(Input::Unanswered(reason())),
        [Decision::Became { from: Status::Sent, to: Status::Unknown, reason: Some(reason()) }]
    );
    assert_eq!(order.apply(Input::Missing(Duration::from_secs(29))), [], "a replica may lag");
    assert_eq!(order.question(), Some(Question::Status));
    assert_eq!(order.apply(report(Status::Acked, 0)), [became(Status::Unknown, Status::Acked)]);
    assert_eq!(order.apply(Input::Unanswered(reason())), [], "what is known stays known");
    assert_eq!(order.apply(Input::Missing(Duration::from_secs(90))), [], "it was seen");
    assert_eq!(order.apply(Input::Refused("-2010".into())), [], "it was seen");
}

#[test]
fn an_entry_that_never_arrived_is_rejected_and_an_exit_is_sent_again() {
    let reason = || Some("it never reached the exchange".to_owned());
    let mut entry = order(false);
    entry.apply(Input::Sent);
    assert_eq!(
        entry.apply(Input::Missing(Duration::from_secs(30))),
        [Decision::Became { from: Status::Sent, to: Status::Rejected, reason: reason() }, Decision::Settled]
    );
    let mut exit = order(true);
    exit.apply(Input::Sent);
    assert_eq!(exit.apply(Input::NotTaken("connection refused".into())), [Decision::SendAgain]);
    assert_eq!(exit.apply(Input::Missing(Duration::from_secs(30))), [Decision::SendAgain]);
}

#[test]
fn a_partly_executed_order_that_is_canceled_settles_with_what_it_has() {
    let mut order = order(false);
    order.apply(Input::Sent);
    order.apply(Input::Traded(fill(1, 4)));
    assert_eq!(
        order.apply(report(Status::Canceled, 4)),
        [became(Status::Partial, Status::Canceled), Decision::Settled]
    );
}

fn input() -> impl Strategy<Value = Input> {
    let status = prop::sample::select(vec![
        Status::Acked,
        Status::Partial,
        Status::Filled,
        Status::Canceled,
        Status::Expired,
        Status::Rejected,
    ]);
    prop_oneof![
        Just(Input::Sent),
        (status, 0..12_u32).prop_map(|(status, executed)| report(status, executed)),
        (0..6_u64, 1..5_u32).prop_map(|(id, amount)| Input::Traded(fill(id, amount))),
        Just(Input::Refused("-2010".into())),
        Just(Input::NotTaken("refused".into())),
        Just(Input::Unanswered("timeout".into())),
        (0..60_u64).prop_map(|age| Input::Missing(Duration::from_secs(age))),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_rank_and_quantity_never_decrease_and_the_end_is_final(
        reduce_only: bool,
        inputs in prop::collection::vec(input(), 0..40),
    ) {
        let mut order = order(reduce_only);
        let (mut settled, mut booked) = (0, Qty::ZERO);
        for input in inputs {
            let (before, executed) = (order.status(), order.executed());
            let may_reject = matches!(
                input,
                Input::Refused(_)
                    | Input::NotTaken(_)
                    | Input::Missing(_)
                    | Input::Reported(Report { status: Status::Rejected, .. })
            );
            let decisions = order.apply(input);
            prop_assert!(order.status().rank() >= before.rank());
            prop_assert!(order.executed() >= executed);
            prop_assert!(!before.is_terminal() || order.status() == before);
            prop_assert!(order.status() != Status::Rejected || before == Status::Rejected || may_reject);
            for decision in decisions {
                match decision {
                    Decision::Settled => settled += 1,
                    Decision::Book(fill) => {
                        prop_assert_eq!(settled, 0, "a fill after the end");
                        booked = [booked, fill.qty].into_iter().sum();
                    }
                    Decision::SendAgain => prop_assert!(reduce_only && !order.status().is_terminal()),
                    Decision::Became { from, to, .. } => prop_assert!(from != to),
                }
            }
        }
        prop_assert!(settled <= 1);
        prop_assert!(booked <= order.executed());
        prop_assert_eq!(settled == 1, order.status().is_terminal() && booked >= order.executed());
        prop_assert_eq!(order.question().is_none(), settled == 1 || order.status() == Status::Intent);
    }
}

#[test]
fn every_status_has_a_name_that_reads_back() {
    for status in Status::ALL {
        assert_eq!(status.as_str().parse(), Ok(status));
    }
    assert!("NEW".parse::<Status>().is_err());
}
