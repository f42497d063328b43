//! The ledger as its clients meet it: a real driver over loopback, a disk that fails on command.

mod catalog;
mod checkpoint;
mod ddl;
mod deadlock;
mod disk;
mod durability;
mod fixture;
mod locks;
mod patience;
mod protocol;
mod queries;
mod recovery;
mod references;
mod savepoints;
mod sequences;
mod shutdown;
mod statements;
mod transactions;
