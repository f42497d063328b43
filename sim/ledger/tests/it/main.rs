//! The ledger as its clients meet it: a real driver over loopback, a disk that fails on command.

mod disk;
mod durability;
mod fixture;
mod protocol;
mod queries;
mod recovery;
mod statements;
mod transactions;
