//! The rule on tables of cases, and under arbitrary rounds.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const RULE: ExitRule = ExitRule {
    stop: Decimal::from_parts(2, 0, 0, false, 2),
    take_profit: Decimal::from_parts(3, 0, 0, false, 2),
    longest: Duration::from_secs(10),
};

const OPENED: WallTime = WallTime::from_millis(1_700_000_000_000);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn btc() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

fn held(qty: &str, since: WallTime) -> BTreeMap<Symbol, Holding> {
    let holding = Holding { qty: qty.parse().unwrap(), avg_price: Decimal::from(100), since };
    [(btc(), holding)].into()
}

fn quote(price: &str, trade_id: u64) -> Quote {
    Quote { price: price.parse().unwrap(), market_time: OPENED, trade_id }
}

/// The cause of the exit that one round asks for, of a position of `qty` bought at 100 for `age`, at `price`.
fn cause_of(qty: &str, age: Duration, price: &str) -> Option<(ExitCause, Side)> {
    let (now, mut exits) = (Instant::now(), Exits::new(RULE));
    exits.quote(now, &btc(), quote(price, 1));
    let wall = WallTime::from_micros(OPENED.as_micros() + age.as_micros() as i64);
    let exits = exits.decide(now, wall, &held(qty, OPENED));
    assert!(exits.len() <= 1);
    exits.first().map(|exit| (exit.cause, exit.side))
}

#[test]
fn a_position_is_closed_at_its_limits_and_not_before() {
    let young = secs(1);
    assert_eq!(cause_of("2", young, "98.1"), None);
    assert_eq!(cause_of("2", young, "98"), Some((ExitCause::Stop, Side::Sell)));
    assert_eq!(cause_of("2", young, "102.9"), None);
    assert_eq!(cause_of("2", young, "103"), Some((ExitCause::TakeProfit, Side::Sell)));
    assert_eq!(cause_of("-2", young, "102"), Some((ExitCause::Stop, Side::Buy)));
    assert_eq!(cause_of("-2", young, "97"), Some((ExitCause::TakeProfit, Side::Buy)));
    assert_eq!(cause_of("2", secs(9), "100"), None);
    assert_eq!(cause_of("2", secs(10), "100"), Some((ExitCause::HeldTooLong, Side::Sell)));
}

#[test]
fn one_exit_is_open_at_a_time_and_the_next_attempt_comes_after_five_seconds() {
    let (start, mut exits) = (Instant::now(), Exits::new(RULE));
    let wall = WallTime::from_micros(OPENED.as_micros() + 60_000_000);
    let mut round = |after: u64, qty: &str| -> Vec<(u32, Qty)> {
        let asked = exits.decide(start + Duration::from_millis(after), wall, &held(qty, OPENED));
        asked.into_iter().map(|exit| (exit.number.attempt, exit.qty)).collect()
    };
    let qty = |text: &str| text.parse::<Qty>().unwrap();
    assert_eq!(round(0, "2"), [(1, qty("2"))]);
    assert_eq!(round(4_999, "2"), []);
    assert_eq!(round(5_000, "0.5"), [(2, qty("0.5"))], "what is left of the position");
    assert_eq!(round(5_500, "0.5"), []);
}

#[test]
fn what_was_decided_stays_decided_when_the_price_comes_back() {
    let (start, mut exits) = (Instant::now(), Exits::new(RULE));
    exits.quote(start, &btc(), quote("98", 1));
    assert_eq!(exits.decide(start, OPENED, &held("2", OPENED)).len(), 1);
    exits.quote(start, &btc(), quote("100", 2));
    let again = exits.decide(start + ATTEMPT, OPENED, &held("2", OPENED));
    assert_eq!(again.first().map(|exit| exit.cause), Some(ExitCause::Stop));
}

#[test]
fn a_new_position_of_the_same_symbol_is_judged_anew() {
    let (start, mut exits) = (Instant::now(), Exits::new(RULE));
    exits.quote(start, &btc(), quote("98", 1));
    let first = exits.decide(start, OPENED, &held("2", OPENED));
    let reopened = WallTime::from_millis(OPENED.as_millis() + 1_000);
    exits.quote(start, &btc(), quote("100", 2));
    assert_eq!(exits.decide(start, reopened, &held("2", reopened)), []);
    exits.quote(start, &btc(), quote("98", 3));
    let second = exits.decide(start, reopened, &held("2", reopened));
    assert_ne!(first[0].number.id(&btc()), second[0].number.id(&btc()));
}

#[test]
fn an_old_price_stops_nothing_but_time_still_does() {
    let (start, mut exits) = (Instant::now(), Exits::new(ExitRule { longest: secs(60), ..RULE }));
    exits.quote(start, &btc(), quote("98", 7));
    let later = start + PRICE_AGE_LIMIT + Duration::from_millis(1);
    exits.quote(later, &btc(), quote("98", 7));
    assert_eq!(exits.decide(later, OPENED, &held("2", OPENED)), [], "the same trade is no news");
    exits.quote(later, &btc(), quote("98", 8));
    assert_eq!(exits.decide(later, OPENED, &held("2", OPENED)).len(), 1);
}

#[test]
fn after_a_restart_the_open_exit_is_not_asked_for_twice() {
    let (start, mut exits) = (Instant::now(), Exits::new(RULE));
    let before = ExitNumber { since: OPENED, attempt: 3 };
    let id = before.id(&btc()).unwrap();
    assert_eq!(ExitNumber::of(&btc(), &id), Some(before));
    exits.resume(start, btc(), before);
    exits.resume(start, btc(), ExitNumber { since: OPENED, attempt: 2 });
    assert_eq!(exits.decide(start, OPENED, &held("2", OPENED)), []);
    let next = exits.decide(start + ATTEMPT, OPENED, &held("2", OPENED));
    assert_eq!(next.first().map(|exit| exit.number.attempt), Some(4));
}

#[test]
fn ids_of_others_are_no_exit_numbers() {
    for id in
        ["BTCUSDT-7-in", "ETHUSDT-x18bcfe56800-1", "BTCUSDT-x18bcfe56800", "BTCUSDT-xzz-1", "BTCUSDT-x1-"]
    {
        assert_eq!(ExitNumber::of(&btc(), &id.parse().unwrap()), None, "{id}");
    }
}

#[test]
fn the_longest_symbol_has_room_for_a_day_of_attempts() {
    let longest: Symbol = "A".repeat(18).parse().unwrap();
    assert!(ExitNumber { since: OPENED, attempt: 9 }.id(&longest).is_ok());
    assert!(ExitNumber { since: OPENED, attempt: 17_280 }.id(&"1000SHIBUSDT".parse().unwrap()).is_ok());
}

proptest! {
    #[test]
    fn no_attempt_is_repeated_or_asked_for_early_and_none_exceeds_what_is_held(
        rounds in prop::collection::vec((0..3_000_u64, -3..4_i64, 90..110_u32, 0..3_i64), 1..200),
    ) {
        let (start, mut exits) = (Instant::now(), Exits::new(RULE));
        let (mut after, mut newest) = (0, 0);
        let (mut ids, mut last) = (BTreeSet::new(), BTreeMap::new());
        for (index, (pause, qty, price, opened)) in rounds.into_iter().enumerate() {
            after += pause;
            newest = newest.max(opened);
            let now = start + Duration::from_millis(after);
            let since = WallTime::from_millis(OPENED.as_millis() + newest);
            let positions = if qty == 0 { BTreeMap::new() } else { held(&qty.to_string(), since) };
            exits.quote(now, &btc(), quote(&price.to_string(), index as u64));
            for exit in exits.decide(now, OPENED, &positions) {
                prop_assert_eq!(exit.qty.get(), Decimal::from(qty.abs()));
                prop_assert_eq!(exit.side, if qty > 0 { Side::Sell } else { Side::Buy });
                prop_assert!(ids.insert(exit.number), "{} twice", exit.number);
                if let Some(before) = last.insert(since.as_micros(), now)
                    && exit.number.attempt > 1
                {
                    prop_assert!(now.duration_since(before) >= ATTEMPT);
                }
            }
        }
    }
}
