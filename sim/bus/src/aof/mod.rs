//! The append-only file: what was done to the data, as commands that do it again (Redis `aof.c`).
//!
//! One file, `appendonly.aof`, of requests as clients send them, so that a person can read it and Redis can load it.
//! Between the requests stand annotations, lines that begin with `#`, which Redis skips; `format` says which. `load` reads
//! the file at the start, `writer` extends it, `rewrite` shortens it.
//!
//! Commands hand what they did to the [`Journal`], under the server's lock; the [`Recorder`] writes it, all that has come in
//! the meantime with one write and, with `appendfsync always`, one fsync. Nobody is answered before that.
//!
//! As in Redis: what happens when a write or an fsync fails (see `writer`), and when the file is rewritten. Not as in
//! Redis: after a failed fsync the file is not trusted to become whole by another fsync, but rewritten from memory; and
//! damage is told from an interrupted write by checksums.
//!
//! Deliberately absent: several files with a manifest (`appendonlydir`, since Redis 7.0), an RDB preamble, and the switch
//! `CONFIG SET appendonly`.

mod format;
mod journal;
mod load;
mod rewrite;
mod writer;

pub(crate) use journal::Journal;
#[cfg(test)]
pub(crate) use rewrite::base as dump;
pub(crate) use writer::Recorder;

use std::io;

/// The file's name in the data directory.
const FILE: &str = "appendonly.aof";
/// What becomes the file when a rewrite is complete.
const REWRITTEN: &str = "temp-rewriteaof.aof";

/// Why the append-only file cannot be loaded or extended.
#[derive(Debug, thiserror::Error)]
pub enum AofError {
    /// The file could not be opened, read or made durable.
    #[error("appendonly.aof: {0}")]
    Io(#[from] io::Error),
    /// The file is damaged at a place that was durable: an interrupted write does not explain it.
    #[error("Bad file format reading the append only file appendonly.aof at byte {at}: {reason}")]
    Damaged {
        /// The offset of the first record that cannot be trusted.
        at: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A write failed although nothing may be acknowledged before it is durable.
    #[error("Can't recover from AOF write error when the AOF fsync policy is 'always': {0}")]
    Write(String),
    /// An fsync failed although nothing may be acknowledged before it is durable.
    #[error("Can't persist AOF for fsync error when the AOF fsync policy is 'always': {0}")]
    Fsync(String),
}

/// The system's words for an error, without the number that Rust adds.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
