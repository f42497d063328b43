//! The server as its clients see it.

mod admin;
mod client;
mod pubsub;
mod time;
mod wire;
mod world;
