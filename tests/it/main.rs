//! The workspace as a whole: what its traces say, that its runs repeat, that its command line is civil, that it is tidy.

mod cli;
mod determinism;
mod snapshots;
mod tidy;
