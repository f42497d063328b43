//! The server as its clients see it.

mod admin;
mod aof;
mod client;
mod disk;
mod pubsub;
mod time;
mod wire;
mod world;
