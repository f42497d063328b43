//! A Binance USD-M-futures-compatible exchange on `env` streams: signed REST orders, market and user streams, and a truth
//! journal that no fault can touch.
//!
//! [`Exchange`] is what the venue knows (orders, positions, balances, listen keys, market) and outlives any number of
//! [`serve`] calls: a restarted broker process forgets no order. Connections and subscriptions end with the process.
//!
//! Deliberately absent: margin and liquidation, conditional orders, hedge mode, and a book with other people's orders –
//! liquidity at the tape's price has no end. Protocol facts come from the venue's public "USDⓈ-M Futures" API documentation.

mod account;
mod config;
mod error;
mod exchange;
mod fault;
mod filters;
mod journal;
mod limits;
mod market;
mod matching;
mod order;
mod params;
mod replica;
mod rest;
mod server;
mod sign;
mod stream;
pub mod tape;

pub use config::{Account, ClientOrderIds, Config, SymbolConfig};
pub use error::{ApiError, Outage};
pub use exchange::Exchange;
pub use fault::{Audience, Blank, Class, Delay, Fate, Fault, Requests, Subject, Wait};
pub use journal::{Event, Fill, Journal, Received, Record, Records};
pub use order::{OrderKind, OrderStatus, Side, TimeInForce};
pub use server::{Server, serve};
pub use sign::{Signer, sign};
pub use tape::{AggTrade, Synthetic, Tape, TapeError};
