//! Each fault that a peer offers, in a small world with the real client: what the client sees, and what is true.

mod broker;
mod bus;
mod ledger;
