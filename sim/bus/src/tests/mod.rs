//! The server as its clients see it.

mod admin;
mod client;
mod client_data;
mod data;
mod effects;
mod pubsub;
mod scripts;
mod time;
mod waiting;
mod wire;
mod world;
