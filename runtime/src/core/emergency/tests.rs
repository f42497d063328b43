//! Emergency exits on tables of cases, and against an arbitrary exchange.

use proptest::prelude::*;

use super::*;
use crate::core::Status;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

fn qty(text: &str) -> Qty {
    text.parse().unwrap()
}

fn open(positions: &[(&str, &str)]) -> BTreeMap<Symbol, Decimal> {
    positions.iter().map(|(name, qty)| (symbol(name), qty.parse().unwrap())).collect()
}

fn progress() -> Progress {
    let event = PanicEvent {
        event_id: EventId::from_bits(1, 2),
        reason: "WHY".into(),
        issued_by: "watchdog".into(),
        issued_ms: 7,
    };
    Progress::new(event, 0)
}

fn begin(now: Instant) -> Flattening {
    Flattening::new(now, progress(), [(symbol("BTCUSDT"), qty("120"))].into())
}

fn closes(flattening: &mut Flattening, now: Instant, positions: &[(&str, &str)]) -> Vec<Chunk> {
    match flattening.looked(now, &open(positions)) {
        Move::Close(chunks) => chunks,
        other => panic!("{other:?}"),
    }
}

fn executed(flattening: &mut Flattening, now: Instant, chunk: &Chunk, qty: Qty) {
    flattening.resolved(now, &chunk.client_order_id, Outcome::Executed(qty));
}

#[test]
fn each_position_gets_one_order_against_it_and_the_end_is_reported_when_all_are_flat() {
    let start = Instant::now();
    let mut flattening = begin(start);
    let chunks = closes(&mut flattening, start, &[("BTCUSDT", "0.002"), ("ETHUSDT", "-0.05")]);
    let terms: Vec<_> = chunks.iter().map(|chunk| (chunk.symbol.as_str(), chunk.side, chunk.qty)).collect();
    assert_eq!(terms, [("BTCUSDT", Side::Sell, qty("0.002")), ("ETHUSDT", Side::Buy, qty("0.05"))]);
    assert!(chunks.iter().all(|chunk| chunk.client_order_id.as_str().starts_with(EMERGENCY_ORDER_PREFIX)));
    for chunk in &chunks {
        executed(&mut flattening, start + ms(50), chunk, chunk.qty);
    }
    let later = start + SETTLED_AFTER;
    assert_eq!(flattening.looked(start + ms(100), &open(&[])), Move::LookAgain(later));
    let done = Flattened { total: 2, failed: vec![] };
    assert_eq!(done.closed(), 2);
    assert_eq!(flattening.looked(later, &open(&[])), Move::Finish(done));
}

#[test]
fn a_position_above_the_greatest_quantity_is_split_and_every_part_has_its_own_name() {
    let start = Instant::now();
    let mut flattening = begin(start);
    let chunks = closes(&mut flattening, start, &[("BTCUSDT", "250.5")]);
    assert_eq!(chunks.iter().map(|chunk| chunk.qty.to_string()).collect::<Vec<_>>(), ["120", "120", "10.5"]);
    let names: BTreeSet<_> = chunks.iter().map(|chunk| chunk.client_order_id.clone()).collect();
    assert_eq!(names.len(), 3);
    let again = closes(&mut begin(start), start, &[("BTCUSDT", "250.5")]);
    assert_eq!(chunks, again, "names follow from event, symbol and number alone");
}

#[test]
fn what_a_close_left_over_is_closed_by_another_order() {
    let start = Instant::now();
    let mut flattening = begin(start);
    let first = closes(&mut flattening, start, &[("BTCUSDT", "1")]).remove(0);
    executed(&mut flattening, start + ms(50), &first, qty("0.4"));
    let second = closes(&mut flattening, start + ms(60), &[("BTCUSDT", "0.6")]).remove(0);
    assert_eq!(second.qty, qty("0.6"));
    assert_ne!(second.client_order_id, first.client_order_id);
}

#[test]
fn a_replica_that_shows_the_position_from_before_is_looked_at_again() {
    let start = Instant::now();
    let mut flattening = begin(start);
    let first = closes(&mut flattening, start, &[("BTCUSDT", "1")]).remove(0);
    executed(&mut flattening, start, &first, qty("1"));
    for after in (0..2_500).step_by(250) {
        let now = start + ms(after);
        assert_eq!(flattening.looked(now, &open(&[("BTCUSDT", "1")])), Move::LookAgain(now + PAUSE));
    }
    let believed = closes(&mut flattening, start + REPLICA_LAG, &[("BTCUSDT", "1")]);
    assert_eq!(believed.len(), 1, "what it says for so long is true");
}

#[test]
fn a_refused_close_is_tried_anew_each_second_until_it_is_given_up() {
    let start = Instant::now();
    let mut flattening = begin(start);
    let mut now = start;
    let mut orders = 0;
    let failed = loop {
        match flattening.looked(now, &open(&[("BTCUSDT", "1")])) {
            Move::Close(chunks) => {
                orders += chunks.len();
                executed(&mut flattening, now, &chunks[0], Qty::ZERO);
            }
            Move::LookAgain(later) => now = later,
            Move::Finish(flattened) => break flattened,
        }
    };
    assert_eq!(failed, Flattened { total: 1, failed: vec![symbol("BTCUSDT")] });
    assert_eq!((now.duration_since(start), orders), (GIVE_UP_AFTER, 60));
}

#[test]
fn a_symbol_with_an_unknown_order_gets_no_other_one_and_has_failed() {
    let start = Instant::now();
    let mut flattening = begin(start);
    let chunks = closes(&mut flattening, start, &[("BTCUSDT", "1"), ("ETHUSDT", "2")]);
    flattening.resolved(start, &chunks[0].client_order_id, Outcome::Unresolved);
    executed(&mut flattening, start, &chunks[1], qty("2"));
    let end = flattening.looked(start + ms(2_000), &open(&[("BTCUSDT", "1")]));
    assert_eq!(end, Move::Finish(Flattened { total: 2, failed: vec![symbol("BTCUSDT")] }));
    let flat = flattening.looked(start + ms(2_000), &open(&[]));
    assert_eq!(flat, Move::Finish(Flattened { total: 2, failed: vec![] }), "flat is flat");
}

#[test]
fn after_a_crash_the_numbers_go_on_and_open_orders_are_known() {
    let start = Instant::now();
    let mut flattening = begin(start);
    let chunks = closes(&mut flattening, start, &[("BTCUSDT", "1"), ("ETHUSDT", "2")]);
    executed(&mut flattening, start, &chunks[0], qty("1"));
    let stored = serde_json::to_string(flattening.progress()).unwrap();
    let progress: Progress = serde_json::from_str(&stored).unwrap();
    assert_eq!(&progress, flattening.progress());
    let mut resumed = Flattening::new(start, progress, BTreeMap::new());
    assert_eq!(resumed.open(), [chunks[1].clone()]);
    executed(&mut resumed, start, &chunks[1], qty("1.5"));
    let rest = closes(&mut resumed, start + REPLICA_LAG, &[("ETHUSDT", "0.5")]).remove(0);
    assert!(rest.client_order_id.as_str().ends_with("-ETHUSDT-3"), "{rest:?}");
}

fn report(status: Status, executed: &str) -> Heard {
    Heard::Reported(Report { order_id: 1, status, executed: qty(executed) })
}

#[test]
fn an_order_is_sent_again_only_if_the_exchange_has_definitely_not_got_it() {
    let start = Instant::now();
    let closing = Closing::new(start);
    let over = |executed: &str| Step::Over(Outcome::Executed(qty(executed)));
    for (after, heard, step) in [
        (0, report(Status::Filled, "2"), over("2")),
        (0, report(Status::Expired, "0.5"), over("0.5")),
        (0, report(Status::Acked, "0"), Step::Ask(PAUSE)),
        (0, report(Status::Partial, "1"), Step::Ask(PAUSE)),
        (0, Heard::Refused, over("0")),
        (0, Heard::NotTaken(Duration::ZERO), Step::Send(PAUSE)),
        (0, Heard::NotTaken(ms(3_000)), Step::Send(ms(3_000))),
        (20_000, Heard::NotTaken(Duration::ZERO), over("0")),
        (0, Heard::Unanswered, Step::Ask(PAUSE)),
        (19_999, Heard::Unanswered, Step::Ask(PAUSE)),
        (20_000, Heard::Unanswered, Step::Over(Outcome::Unresolved)),
        (5_999, Heard::Missing, Step::Ask(PAUSE)),
        (6_000, Heard::Missing, over("0")),
        (20_000, report(Status::Acked, "0"), Step::Over(Outcome::Unresolved)),
    ] {
        assert_eq!(closing.heard(start + ms(after), heard.clone()), step, "{heard:?} after {after} ms");
    }
}

/// What an arbitrary exchange makes of an order.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Fills,
    Half,
    Refuses,
    Vanishes,
}

proptest! {
    #[test]
    fn whatever_the_exchange_does_no_position_is_turned_around_and_the_end_is_true(
        positions in prop::collection::vec(-300..300_i64, 1..4),
        fates in prop::collection::vec(
            prop_oneof![3 => Just(Fate::Fills), 1 => Just(Fate::Half), 1 => Just(Fate::Refuses), 1 => Just(Fate::Vanishes)],
            1..40,
        ),
        lag in 0..2_400_u64,
    ) {
        let start = Instant::now();
        let mut truth: BTreeMap<Symbol, Decimal> =
            positions.iter().enumerate().map(|(n, qty)| (symbol(&format!("S{n}")), Decimal::from(*qty))).collect();
        let lots = truth.keys().map(|name| (name.clone(), qty("100"))).collect();
        let mut flattening = Flattening::new(start, progress(), lots);
        let mut fates = fates.into_iter().chain(std::iter::repeat(Fate::Fills));
        let mut shown: Vec<(Instant, BTreeMap<Symbol, Decimal>)> = vec![(start, truth.clone())];
        let mut names = BTreeSet::new();
        let mut now = start + ms(lag);
        let end = loop {
            let known = shown.iter().rev().find(|(at, _)| *at + ms(lag) <= now).unwrap().1.clone();
            let seen = known.into_iter().filter(|(_, qty)| !qty.is_zero()).collect();
            match flattening.looked(now, &seen) {
                Move::LookAgain(later) => { prop_assert!(later > now); now = later; }
                Move::Finish(end) => break end,
                Move::Close(chunks) => for chunk in chunks {
                    prop_assert!(names.insert(chunk.client_order_id.clone()), "one name for two orders");
                    prop_assert!(chunk.qty <= qty("100"));
                    let held = truth[&chunk.symbol];
                    let against = held.is_sign_negative() == (chunk.side == Side::Buy) && !held.is_zero();
                    let outcome = match fates.next().unwrap() {
                        Fate::Vanishes => Outcome::Unresolved,
                        Fate::Refuses => Outcome::Executed(Qty::ZERO),
                        // The exchange refuses a reduce-only order that would not reduce.
                        _ if !against => Outcome::Executed(Qty::ZERO),
                        Fate::Fills => Outcome::Executed(Qty::new(chunk.qty.get().min(held.abs())).unwrap()),
                        Fate::Half => Outcome::Executed(Qty::new((chunk.qty.get().min(held.abs()) / Decimal::TWO).round_dp(6)).unwrap()),
                    };
                    if let Outcome::Executed(qty) = outcome {
                        let signed = if chunk.side == Side::Buy { qty.get() } else { -qty.get() };
                        *truth.get_mut(&chunk.symbol).unwrap() += signed;
                    }
                    now += ms(10);
                    shown.push((now, truth.clone()));
                    flattening.resolved(now, &chunk.client_order_id, outcome);
                },
            }
        };
        let opened = positions.iter().filter(|qty| **qty != 0).count() as u64;
        prop_assert_eq!(end.total, opened);
        let failed: Vec<Symbol> = truth.iter().filter(|(_, qty)| !qty.is_zero()).map(|(name, _)| name.clone()).collect();
        prop_assert_eq!(end.failed, failed);
    }
}
