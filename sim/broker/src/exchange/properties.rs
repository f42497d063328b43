//! What must hold whatever anybody does: books, money and margins under arbitrary requests and arbitrary markets.

use env::WallTime;
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::{OrderRef, State, Which, amend::Amendment};
use crate::{
    Account, Config, Liquidity, SymbolConfig, Synthetic, Tape,
    exchange::Exchange,
    journal::Event,
    order::{NewOrder, OrderKind, OrderStatus, Side, TimeInForce, WorkingType},
    trail::Trail,
};

/// 10⁻⁶ USDT: the sum of what rounding to 10⁻⁸ can do.
const TOLERANCE: Decimal = Decimal::from_parts(1, 0, 0, false, 6);

#[derive(Clone, Debug)]
enum Act {
    Place { account: usize, terms: Box<NewOrder> },
    Cancel { account: usize, order: u64 },
    Amend { account: usize, order: u64, lots: u32, ticks: i64 },
    CancelAll { account: usize },
    Leverage { account: usize, leverage: u32 },
    Trades(u8),
}

fn price(ticks: i64) -> Decimal {
    Decimal::new(420_000 + ticks, 1)
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

fn kind() -> impl Strategy<Value = OrderKind> {
    prop_oneof![
        6 => Just(OrderKind::Limit),
        3 => Just(OrderKind::Market),
        1 => Just(OrderKind::Stop),
        1 => Just(OrderKind::StopMarket),
        1 => Just(OrderKind::TakeProfit),
        1 => Just(OrderKind::TakeProfitMarket),
        1 => Just(OrderKind::TrailingStopMarket),
    ]
}

fn life() -> impl Strategy<Value = TimeInForce> {
    prop_oneof![
        4 => Just(TimeInForce::Gtc),
        1 => Just(TimeInForce::Ioc),
        1 => Just(TimeInForce::Fok),
        1 => Just(TimeInForce::Gtx),
    ]
}

fn terms() -> impl Strategy<Value = NewOrder> {
    let words = (side(), kind(), life(), any::<bool>(), any::<bool>(), any::<bool>());
    (words, 3..3_000_u32, -60..60_i64, -60..60_i64).prop_map(|(words, lots, ticks, stop)| {
        let (side, kind, life, reduce_only, close, mark) = words;
        let close_position = close && matches!(kind, OrderKind::StopMarket | OrderKind::TakeProfitMarket);
        NewOrder {
            client_order_id: "".into(),
            market: 0,
            side,
            kind,
            time_in_force: if kind == OrderKind::Market { TimeInForce::Gtc } else { life },
            quantity: if close_position { Decimal::ZERO } else { Decimal::new(lots.into(), 3) },
            price: if kind.has_limit() { price(ticks) } else { Decimal::ZERO },
            reduce_only: reduce_only && !close_position,
            stop_price: if kind.has_stop_price() { price(stop) } else { Decimal::ZERO },
            trail: (kind == OrderKind::TrailingStopMarket).then(|| Trail {
                activation_price: if mark { price(stop) } else { Decimal::ZERO },
                callback_rate: Decimal::new(1 + i64::from(lots % 3), 1),
            }),
            working_type: if mark { WorkingType::Mark } else { WorkingType::Contract },
            close_position,
            algo: close,
        }
    })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        10 => (0..2_usize, terms()).prop_map(|(account, terms)| Act::Place { account, terms: Box::new(terms) }),
        2 => (0..2_usize, 1..60_u64).prop_map(|(account, order)| Act::Cancel { account, order }),
        2 => (0..2_usize, 1..60_u64, 3..3_000_u32, -60..60_i64)
            .prop_map(|(account, order, lots, ticks)| Act::Amend { account, order, lots, ticks }),
        1 => (0..2_usize).prop_map(|account| Act::CancelAll { account }),
        1 => (0..2_usize, 1..126_u32).prop_map(|(account, leverage)| Act::Leverage { account, leverage }),
        6 => (1..6_u8).prop_map(Act::Trades),
    ]
}

/// A thin market that moves fast, and two customers, one of them poor.
fn exchange() -> std::sync::Arc<Exchange> {
    let account = |key: &str, balance| Account {
        api_key: key.into(),
        secret: "secret".into(),
        balance: Decimal::new(balance, 0),
    };
    let symbol = SymbolConfig {
        liquidity: Liquidity { least: Decimal::new(1, 3), most: Decimal::new(400, 3), levels: 40 },
        tape: Tape::Synthetic(Synthetic { volatility: 30, ..Synthetic::default() }),
        ..SymbolConfig::default()
    };
    Exchange::new(Config {
        accounts: vec![account("rich", 100_000), account("poor", 2_000)],
        symbols: vec![symbol],
        ..Config::default()
    })
}

/// Carries out an act; acts that the exchange refuses change nothing.
fn perform(state: &mut State, n: usize, act: Act) -> Result<(), TestCaseError> {
    let now = WallTime::from_millis(n as i64 * 1_000);
    match act {
        Act::Place { account, mut terms } => {
            terms.client_order_id = format!("c{n}").into();
            place(state, now, account, *terms)?;
        }
        Act::Cancel { account, order } => drop(state.cancel(now, account, 0, OrderRef::Id(order))),
        Act::Amend { account, order, lots, ticks } => {
            let side = state.orders().get(order as usize - 1).map_or(Side::Buy, |order| order.terms.side);
            let amendment = Amendment { side, quantity: Decimal::new(lots.into(), 3), price: price(ticks) };
            drop(state.amend(now, account, 0, OrderRef::Id(order), amendment));
        }
        Act::CancelAll { account } => drop(state.cancel_all(now, account, 0, Which::All)),
        Act::Leverage { account, leverage } => drop(state.set_leverage(now, account, 0, leverage)),
        Act::Trades(trades) => {
            for _ in 0..trades {
                state.trade(now, 0);
                assert_consistent(state)?;
            }
        }
    }
    Ok(())
}

/// Places an order; what was promised when it was accepted must have been kept.
fn place(state: &mut State, now: WallTime, account: usize, terms: NewOrder) -> Result<(), TestCaseError> {
    let before = state.margin(account);
    let reducible = state.holdings(account).position(0).reducible(terms.side);
    let Ok(placed) = state.place(now, account, terms.clone()) else {
        prop_assert_eq!(state.margin(account).free(), before.free(), "a refused order changes nothing");
        return Ok(());
    };
    let (order, after) = (placed.result, state.margin(account));
    if !terms.kind.is_conditional() {
        match terms.time_in_force {
            TimeInForce::Fok => prop_assert_eq!(order.status, OrderStatus::Filled, "a fill-or-kill order"),
            TimeInForce::Gtx => prop_assert!(order.executed.is_zero(), "a post-only order took"),
            TimeInForce::Ioc => prop_assert!(!order.status.is_open(), "an immediate order rests"),
            TimeInForce::Gtc => {}
        }
        let grows = !terms.reduces() && terms.quantity > reducible;
        if grows && after.initial() > before.initial() {
            prop_assert!(after.free() >= -TOLERANCE, "an accepted order overdrew the account: {after:?}");
        }
    }
    Ok(())
}

/// What holds between any two acts.
fn assert_consistent(state: &State) -> Result<(), TestCaseError> {
    let market = &state.markets[0];
    let (bid, ask) = (market.book.best(Side::Buy), market.book.best(Side::Sell));
    prop_assert!(bid.zip(ask).is_none_or(|(bid, ask)| bid < ask), "customers' orders cross: {bid:?} {ask:?}");
    let [bids, asks] = [Side::Buy, Side::Sell].map(|side| state.depth(0, side, 30));
    for (price, quantity) in bids.iter().chain(&asks) {
        prop_assert!(*price > Decimal::ZERO && *quantity > Decimal::ZERO);
    }
    prop_assert!(
        bids.windows(2).all(|pair| pair[0].0 > pair[1].0) && asks.windows(2).all(|p| p[0].0 < p[1].0)
    );
    if let (Some((bid, _)), Some((ask, _))) = (bids.first(), asks.first()) {
        prop_assert!(bid < ask, "the book is crossed: {bid} {ask}");
    }
    for order in state.orders() {
        prop_assert!(order.executed <= order.terms.quantity);
        prop_assert_eq!(order.status.is_open(), state.open.contains(&order.id));
        if order.rank > 0 {
            prop_assert!(order.status.is_open() && order.terms.kind == OrderKind::Limit);
        }
        if order.status.is_open() {
            prop_assert!(order.rank > 0 || order.is_waiting(), "an open order is nowhere: {order:?}");
        }
    }
    Ok(())
}

/// What the journal says must be what orders and accounts say.
fn assert_books_agree(exchange: &Exchange, state: &State) -> Result<(), TestCaseError> {
    let journal = exchange.journal();
    let position: Decimal = (0..2).map(|account| state.holdings(account).position(0).amount).sum();
    prop_assert_eq!(journal.position("BTCUSDT"), position);
    let wallets: Decimal = (0..2).map(|account| state.holdings(account).wallet).sum();
    prop_assert_eq!(journal.wallet_balance(), wallets);

    let mut traded = vec![Decimal::ZERO; state.orders().len()];
    let mut positions = [Decimal::ZERO; 2];
    let mut cash = [Decimal::new(100_000, 0), Decimal::new(2_000, 0)];
    for (fill, id) in journal.fills().iter().zip(1..) {
        prop_assert_eq!(fill.trade_id, id);
        let order = state.order(fill.order_id);
        let position = &mut positions[order.account];
        let after = *position + fill.side.signed(fill.qty);
        if order.terms.reduces() {
            prop_assert!(after.abs() < position.abs() && after * *position >= Decimal::ZERO, "{fill:?}");
        }
        if let Some(limit) = order.terms.limit() {
            prop_assert!(
                fill.side.accepts(limit, fill.price) || order.amendments > 0,
                "worse than its limit: {fill:?}"
            );
        }
        *position = after;
        cash[order.account] -= fill.side.signed(fill.qty) * fill.price + fill.fee;
        traded[fill.order_id as usize - 1] += fill.qty;
    }
    for (order, traded) in state.orders().iter().zip(traded) {
        prop_assert_eq!(order.executed, traded);
    }
    for account in 0..2 {
        prop_assert_eq!(positions[account], state.holdings(account).position(0).amount);
        // Equity, computed once from cash flows and once from wallet and open profit.
        let price = state.markets[0].last();
        let (holdings, position) = (state.holdings(account), state.holdings(account).position(0));
        let equity = holdings.wallet + position.unrealized(price);
        let flows = cash[account] + position.amount * price;
        prop_assert!((equity - flows).abs() <= Decimal::new(1, 9), "{equity} is not {flows}");
    }
    Ok(())
}

/// At one price the older order is always filled before the younger one: who is overtaken has not rested all the time.
fn assert_time_priority(exchange: &Exchange, state: &State) -> Result<(), TestCaseError> {
    let mut executed = vec![Decimal::ZERO; state.orders().len()];
    let mut open = vec![false; state.orders().len()];
    for record in exchange.journal().records().iter() {
        match &record.event {
            Event::OrderAccepted { order_id, .. } => open[*order_id as usize - 1] = true,
            Event::OrderCanceled { order_id, .. } | Event::OrderExpired { order_id, .. } => {
                open[*order_id as usize - 1] = false;
            }
            Event::Fill(fill) => {
                let index = fill.order_id as usize - 1;
                executed[index] += fill.qty;
                let young = &state.orders()[index];
                let rival = |old: &crate::order::Order| {
                    let plain = |order: &crate::order::Order| {
                        order.original_kind == OrderKind::Limit
                            && order.amendments == 0
                            && !order.terms.reduces()
                            && order.terms.time_in_force == TimeInForce::Gtc
                    };
                    plain(old)
                        && plain(young)
                        && (old.terms.side, old.terms.price) == (young.terms.side, young.terms.price)
                        && open[old.id as usize - 1]
                        && executed[old.id as usize - 1] < old.terms.quantity
                };
                if fill.maker {
                    let overtaken = state.orders()[..index].iter().find(|old| rival(old));
                    prop_assert!(overtaken.is_none(), "{fill:?} overtook {overtaken:?}");
                }
            }
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn books_money_and_margins_agree_after_any_acts(seed: u64, acts in prop::collection::vec(act(), 1..80)) {
        let exchange = exchange();
        let mut state = exchange.lock();
        state.seed(|| seed);
        for (n, act) in acts.into_iter().enumerate() {
            perform(&mut state, n, act)?;
            assert_consistent(&state)?;
        }
        assert_books_agree(&exchange, &state)?;
        assert_time_priority(&exchange, &state)?;
    }
}
