//! SCENARIO      The same signal comes ten times in a burst, under its own id and under others, and again within 120 s, after
//!               the trader was killed and has come back.
//! EXPECTED      Exactly one order; all repetitions are refused as duplicates.
//! FAILURE MODE  Signatures are kept in memory only, and are lost with the process.
//! SOURCE        auto-heal-runbook, scenario 5

use broker::{Event as Truth, Journal};
use env::{Env, WallTime};
use runtime::{
    clients::bus::Bus,
    core::{Side, Signal},
    streams::{self, Issuer},
};
use rust_decimal::Decimal;
use sim::{Checks, Draw, Plan, View, World, invariant, secs};

use crate::{
    desk::{self, TRADER},
    oracles::standing,
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario = scenario("risk_duplicate_signals", "one signal comes again and again")
    .about(Category::Trading, Impact::Critical)
    .source("auto-heal-runbook")
    .cost(Cost::Quick)
    .steps(setup, inject, verify)
    .lasting(secs(130), secs(5));

/// When the burst comes, and for how long the wish is repeated after it: the time to live of a signature is 120 s.
const BURST_AT: std::time::Duration = secs(20);
const REPEATED_FOR: u64 = 100;

/// Tells the wish from those of the strategy.
const QTY: Decimal = Decimal::from_parts(4, 0, 0, false, 3);

fn setup(world: &mut World) {
    desk::slice(world);
    world.host("repeater", repeat);
}

/// Somebody with the strategy's key who repeats himself: ten times at once, five of them under the same id, and then once
/// every ten seconds.
async fn repeat(env: Env) {
    let mut bus = Bus::for_commands(env.clone(), "repeater");
    let issuer = Issuer::new("ares", "ares");
    tokio::time::sleep(BURST_AT).await;
    for n in 0..10_u64 {
        issue(&mut bus, &issuer, n.saturating_sub(4), env.clock.now()).await;
    }
    for n in 0..REPEATED_FOR / 10 {
        tokio::time::sleep(secs(10)).await;
        issue(&mut bus, &issuer, 100 + n, env.clock.now()).await;
    }
}

async fn issue(bus: &mut Bus, issuer: &Issuer, n: u64, market_time: WallTime) {
    let signal = Signal {
        id: format!("repeated-{n}").parse().expect("an id"),
        symbol: "BTCUSDT".parse().expect("a symbol"),
        side: Side::Buy,
        qty: QTY.to_string().parse().expect("a quantity"),
        price: "42000".parse().expect("a price"),
        reduce_only: false,
        market_time,
    };
    bus.insist(&streams::add_signal(streams::SIGNALS, &signal, issuer)).await;
}

fn inject(plan: &mut Plan, draw: &mut Draw) {
    let lasting = draw.span(secs(1), secs(10));
    plan.at(draw.span(secs(25), secs(90))).host(TRADER).kill().lasting(lasting);
}

fn verify(check: &mut Checks) {
    standing(check);
    check.always(invariant("the repeated wish becomes one order", |_, view| match orders(view) {
        0 | 1 => Ok(()),
        n => Err(format!("the exchange received {n} orders for it")),
    }));
    check.eventually("the wish becomes an order", secs(1), |view| match orders(view) {
        1 => Ok(()),
        n => Err(format!("the exchange received {n}")),
    });
    check.eventually("every repetition is refused as a duplicate", secs(5), |view| {
        let refused = view.named("signal.refused").filter(|event| {
            let of_wish = event.text("signal_id").is_some_and(|id| id.starts_with("repeated-"));
            of_wish && event.text("reason") == Some("SKIP_DUPLICATE")
        });
        // Nine of the burst; those that come while the trader is down are read later.
        let (seen, least) = (refused.count() as u64, 9 + REPEATED_FOR / 10);
        if seen >= least { Ok(()) } else { Err(format!("{seen} of {least}")) }
    });
}

fn orders(view: &View<'_>) -> usize {
    let journal = view.exhibit::<Journal>();
    let records = journal.since(0);
    let of_wish = |truth: &Truth| matches!(truth, Truth::OrderReceived(order) if order.qty == QTY);
    records.iter().filter(|record| of_wish(&record.event)).count()
}
