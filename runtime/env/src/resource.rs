//! Gauges of the machine.

use std::io;

/// Memory of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that the process holds (resident set).
    pub used: u64,
    /// Bytes that it may hold: its limit, or the machine's memory.
    pub limit: u64,
}

impl Memory {
    /// Use in whole percent of the limit, rounded down; 100 when there is no room at all.
    pub fn percent(self) -> u64 {
        (self.used.saturating_mul(100)).checked_div(self.limit).unwrap_or(100)
    }
}

/// What a process can learn of its machine's load.
pub trait Resources: Send + Sync {
    /// Memory in use and its limit.
    ///
    /// # Errors
    /// When the system does not tell.
    fn memory(&self) -> io::Result<Memory>;
}
