//! A Binance USD-M-futures-compatible exchange on `env` streams: signed REST orders, market and user streams, and a truth
//! journal that no fault can touch.
//!
//! [`Exchange`] is what the venue knows (orders, positions, balances, listen keys, market) and outlives any number of
//! [`serve`] calls: a restarted broker process forgets no order. Connections and subscriptions end with the process.
//!
//! An order meets the market maker's finite levels around the tape's price and the other customers' resting orders, by price
//! and time; a resting order is filled by what the tape trades at or through its price. Accounts hold one net position per
//! symbol under cross margin and are liquidated when it is used up.
//!
//! What always holds, and is tested under arbitrary requests: the fills of the journal add up to positions and wallets; no order
//! trades more than it was asked to, or worse than its limit; a reduce-only order never grows a position; no book is
//! crossed; at one price the older order is filled first; no accepted order overdraws the margin.
//!
//! What goes wrong at the venue itself – lost answers, stale replicas, late or broken streams – is [`Fault`], the exchange's
//! vocabulary for plans; [`Exchange::faults`] is where it is posted. A fault changes what clients see, never what the journal
//! says of it. Whatever a client sends is answered or ends its connection; what it can make the server keep is bounded:
//! connections, heads, bodies, messages, waiting events; who does not read what was sent is given up.
//!
//! Deliberately absent: hedge mode, isolated and multi-asset margin, funding, brackets beyond the first, the insurance fund,
//! good-till-date and self-trade prevention. Customers' trades do not appear on the tape. Conditional orders
//! are taken by the algo service, to which the venue moved them on 2025-12-09, and at `POST /fapi/v1/order`, where they were
//! before. Protocol facts come from the venue's public "USDⓈ-M Futures" API documentation.

mod account;
mod algo;
mod book;
mod candles;
mod config;
mod depth;
mod differences;
mod error;
mod exchange;
mod fault;
mod filters;
mod journal;
mod limits;
mod linger;
mod margin;
mod market;
mod order;
mod params;
mod patience;
mod replica;
mod rest;
mod server;
mod sign;
mod stream;
pub mod tape;
mod trail;
mod triggers;

pub use config::{Account, ClientOrderIds, Config, Liquidity, SymbolConfig};
pub use error::{ApiError, Filter, Outage};
pub use exchange::Exchange;
pub use fault::{Audience, Blank, Class, Delay, Fate, Fault, Requests, Subject, Wait};
pub use journal::{Event, Fill, Journal, Received, Record, Records};
pub use order::{OrderKind, OrderStatus, Side, TimeInForce, WorkingType};
pub use server::{Server, serve};
pub use sign::{Signer, sign};
pub use tape::{AggTrade, Synthetic, Tape, TapeError};
pub use trail::Trail;
