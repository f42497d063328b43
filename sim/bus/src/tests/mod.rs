//! The server as its clients see it.

mod admin;
mod aof;
mod client;
mod client_data;
mod data;
mod disk;
mod effects;
mod pubsub;
mod scripts;
mod time;
mod waiting;
mod wire;
mod world;
