//! Tapes: those among the fixtures, and one that is played by a served exchange.
#![allow(missing_docs, reason = "tests are named by sentences")]

#[allow(dead_code, reason = "its `main` is for the command line")]
#[path = "../examples/tape.rs"]
mod example;
mod support;

use std::{path::Path, time::Duration};

use broker::{Config, SymbolConfig, Tape};
use rust_decimal::Decimal;
use support::{Broker, next, number};

#[test]
fn the_tapes_among_the_fixtures_are_what_the_example_writes() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tapes");
    let mut names: Vec<String> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".csv"))
        .collect();
    names.sort();
    assert_eq!(names, example::TAPES.map(|(name, _)| format!("{name}.csv")));
    for (name, _) in example::TAPES {
        let stored = std::fs::read_to_string(directory.join(format!("{name}.csv"))).unwrap();
        assert!(stored.len() <= 300_000, "{name} has {} bytes", stored.len());
        assert!(example::file(name).unwrap() == stored, "{name} differs from what is written now");
        Tape::read(name, &stored).unwrap();
    }
}

#[test]
fn the_crash_falls_by_eight_percent_in_ten_minutes() {
    let (_, make) = example::TAPES[1];
    let trades = make();
    let price_at = |minute: i64| {
        let trade = trades.iter().rfind(|trade| trade.time - trades[0].time <= minute * 60_000).unwrap();
        trade.price
    };
    let fall = price_at(12) / price_at(2) - Decimal::ONE;
    assert!((Decimal::new(-85, 3)..=Decimal::new(-75, 3)).contains(&fall), "{fall}");
    assert!(trades.last().unwrap().time - trades[0].time > 13 * 60_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tape_is_played_for_its_symbol_and_once_if_told_so() {
    let rows = "7,2250.00,1,1,2,1700000000000,True\n8,2250.01,2,3,3,1700000000040,0\n";
    let tape = Tape::read("eth.csv", rows).unwrap().once();
    let symbols = vec![SymbolConfig { tape, ..SymbolConfig::ethusdt() }];
    let broker = Broker::start(Config { port: 0, symbols, ..Config::default() }).await;
    let trades = loop {
        let trades = broker.get("/fapi/v1/aggTrades?symbol=ETHUSDT").await.json;
        if trades.as_array().unwrap().len() == 2 {
            break trades;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((&trades[0]["a"], &trades[1]["p"]), (&7.into(), &"2250.01".into()));
    assert_eq!((&trades[0]["m"], &trades[1]["m"]), (&true.into(), &false.into()));
    let mut socket = broker.open("/ws/ethusdt@aggTrade").await;
    let silence = tokio::time::timeout(Duration::from_millis(1_200), next(&mut socket)).await;
    assert!(silence.is_err(), "a tape that repeats would start over after a second");
    let ticker = broker.get("/fapi/v1/ticker/bookTicker?symbol=ETHUSDT").await.json;
    assert!(number(&ticker["bidPrice"]) > Decimal::ZERO);
}
