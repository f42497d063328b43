//! The workspace as a whole: what its traces say, that its runs repeat, that its command line is civil, that it is tidy, and
//! that the same services run on real sockets and disks.

mod cli;
mod crowd;
mod determinism;
mod events;
mod exchange_over_hours;
mod peer_faults;
mod serve;
mod slice_on_real_sockets;
mod snapshots;
mod tidy;
