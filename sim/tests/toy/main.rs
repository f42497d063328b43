//! The simulator on worlds of two and three hosts: an echo server, its clients, and whatever befalls them.

mod clock;
mod disk;
mod lifecycle;
mod network;
mod peer;
mod properties;
mod verdicts;
mod world;
