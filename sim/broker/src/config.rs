//! What the exchange lists, who may trade, and which of its documented choices it makes.

use std::{sync::Arc, time::Duration};

use faults::Board;
use rust_decimal::Decimal;

use crate::{
    fault::Fault,
    tape::{Synthetic, Tape},
};

/// Settings of an exchange.
#[derive(Clone)]
pub struct Config {
    /// The port of REST and streams alike; 0 lets the system choose.
    pub port: u16,
    /// Who may trade.
    pub accounts: Vec<Account>,
    /// What is listed.
    pub symbols: Vec<SymbolConfig>,
    /// When a client order id may be used again.
    pub client_order_ids: ClientOrderIds,
    /// How far the replica that answers queries is behind, at most 10 minutes: for so long a new order does not exist for
    /// them.
    pub query_lag: Duration,
    /// How many connections are served at once; one more is answered with HTTP 503 and closed.
    pub max_connections: usize,
    /// What is wrong with the exchange.
    pub faults: Arc<Board<Fault>>,
}

impl Default for Config {
    /// BTCUSDT on a synthetic tape; one account `key`/`secret` with 100,000 USDT; port 80; 4,096 connections; no lag, no fault.
    fn default() -> Self {
        Self {
            port: 80,
            accounts: vec![Account {
                api_key: "key".into(),
                secret: "secret".into(),
                balance: Decimal::new(100_000, 0),
            }],
            symbols: vec![SymbolConfig::default()],
            client_order_ids: ClientOrderIds::default(),
            query_lag: Duration::ZERO,
            max_connections: 4_096,
            faults: Board::new(),
        }
    }
}

/// A customer.
#[derive(Clone)]
pub struct Account {
    /// Sent in the header `X-MBX-APIKEY`.
    pub api_key: String,
    /// The HMAC key of signed requests.
    pub secret: String,
    /// USDT in the wallet at the start.
    pub balance: Decimal,
}

/// When a client order id may be used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientOrderIds {
    /// As soon as no *open* order has it, as the venue documents it: a repeated market order executes twice.
    #[default]
    UniqueAmongOpen,
    /// Never again: a repeated order is refused with −4116 even after the first one was filled.
    UniqueForEver,
}

/// A perpetual contract with its trading rules and the market it trades in.
#[derive(Clone)]
pub struct SymbolConfig {
    /// Upper-case name, e.g. `BTCUSDT`; quoted and margined in USDT.
    pub symbol: String,
    /// `PRICE_FILTER`: prices are multiples of this, in USDT.
    pub tick_size: Decimal,
    /// `PRICE_FILTER`: the highest price of an order, in USDT.
    pub max_price: Decimal,
    /// `LOT_SIZE`: quantities are multiples of this.
    pub step_size: Decimal,
    /// `LOT_SIZE`: the smallest quantity of an order.
    pub min_qty: Decimal,
    /// `LOT_SIZE`: the largest quantity of an order.
    pub max_qty: Decimal,
    /// `MARKET_LOT_SIZE`: the largest quantity of a market order.
    pub market_max_qty: Decimal,
    /// `MAX_NUM_ORDERS`: how many orders of an account may be open.
    pub max_orders: usize,
    /// `MAX_NUM_ALGO_ORDERS`: how many of them may wait for a stop price.
    pub max_conditional_orders: usize,
    /// `PERCENT_PRICE`: how far from the mark price an order may trade, as a fraction of it.
    pub price_band: Decimal,
    /// `MIN_NOTIONAL`: the smallest price × quantity of an order that is not reduce-only, in USDT.
    pub min_notional: Decimal,
    /// Maintenance margin as a fraction of the notional ("Notional and Leverage Brackets", the first bracket, which
    /// here is the only one).
    pub maintenance_rate: Decimal,
    /// The highest leverage.
    pub max_leverage: u32,
    /// The largest notional of a position with the orders that could grow it, in USDT.
    pub max_notional: Decimal,
    /// Fee of an order that was resting, as a fraction of the notional.
    pub maker_fee: Decimal,
    /// Fee of an order that takes liquidity, as a fraction of the notional.
    pub taker_fee: Decimal,
    /// What the market maker offers.
    pub liquidity: Liquidity,
    /// Where its market trades come from.
    pub tape: Tape,
}

impl SymbolConfig {
    /// ETHUSDT with the venue's filters, on a synthetic tape that starts at 2,250 USDT.
    pub fn ethusdt() -> Self {
        let walk = Synthetic { start_price: Decimal::new(225_000, 2), ..Synthetic::default() };
        Self {
            symbol: "ETHUSDT".into(),
            tick_size: Decimal::new(1, 2),
            max_price: Decimal::new(100_000, 0),
            max_qty: Decimal::new(10_000, 0),
            market_max_qty: Decimal::new(2_000, 0),
            min_notional: Decimal::new(20, 0),
            tape: Tape::Synthetic(walk),
            ..Self::default()
        }
    }
}

/// The market's own liquidity: consecutive price levels on either side of the latest trade.
#[derive(Clone, Copy, Debug)]
pub struct Liquidity {
    /// The least quantity of a level, in units of the base asset.
    pub least: Decimal,
    /// The largest quantity of a level. Between the two, each order of magnitude is equally likely.
    pub most: Decimal,
    /// How many levels there are on either side, one per tick.
    pub levels: u32,
}

impl Default for Liquidity {
    /// A thousand levels of 0.001 to 4 units: a small order sometimes takes two levels, a large one walks far.
    fn default() -> Self {
        Self { least: Decimal::new(1, 3), most: Decimal::new(4, 0), levels: 1_000 }
    }
}

impl Default for SymbolConfig {
    /// BTCUSDT with the venue's filters, first bracket and fees without a discount, on a synthetic tape that starts at 42,000 USDT.
    fn default() -> Self {
        Self {
            symbol: "BTCUSDT".into(),
            tick_size: Decimal::new(10, 2),
            max_price: Decimal::new(1_000_000, 0),
            step_size: Decimal::new(1, 3),
            min_qty: Decimal::new(1, 3),
            max_qty: Decimal::new(1_000, 0),
            market_max_qty: Decimal::new(120, 0),
            max_orders: 200,
            max_conditional_orders: 10,
            price_band: Decimal::new(5, 2),
            min_notional: Decimal::new(100, 0),
            maintenance_rate: Decimal::new(4, 3),
            max_leverage: 125,
            max_notional: Decimal::new(50_000_000, 0),
            maker_fee: Decimal::new(2, 4),
            taker_fee: Decimal::new(4, 4),
            liquidity: Liquidity::default(),
            tape: Tape::Synthetic(Synthetic::default()),
        }
    }
}
