//! The server as its clients see it.

mod client;
mod time;
mod wire;
mod world;
