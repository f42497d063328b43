//! The log on the disk: opened, repaired, appended to.

use std::{io, path::Path};

use env::{BoxFile, Env, OpenMode};

use super::{
    record,
    tables::Tables,
    wal::{self, MARK, Position},
};
use crate::{
    WAL,
    error::{Severity, SqlError, state},
};

/// Why a log could not be opened. Nothing has been dropped from it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed.
    #[error("the log could not be opened: {0}")]
    Io(#[from] io::Error),
    /// The file is not a log of this format.
    #[error("the file \"{WAL}\" is not a log of this server")]
    NotALog,
    /// A record that was durable once cannot be read, or says something impossible.
    #[error("the log is corrupt at offset {offset}")]
    Corrupt {
        /// Where the record begins, in bytes from the beginning of the file.
        offset: u64,
    },
}

/// The log, opened for appending.
pub(crate) struct Log {
    file: BoxFile,
    /// Everything before is whole and durable.
    end: u64,
    buffer: Vec<u8>,
}

/// What became of an append that failed.
pub(crate) enum Failure {
    /// The log is as before but for the first `kept` transactions, which are durable; the others may be tried again.
    Refused { kept: usize, error: Box<SqlError> },
    /// What is durable is unknown: only recovery may go on.
    Panic { error: Box<SqlError> },
}

/// How a log was found.
pub(crate) struct Recovered {
    pub(crate) log: Log,
    pub(crate) tables: Tables,
    /// Transactions replayed.
    pub(crate) records: u64,
    /// Bytes of a torn tail that were cut off.
    pub(crate) truncated: u64,
}

impl Log {
    /// Opens or creates the log and replays it.
    ///
    /// # Errors
    /// The disk's, and corruption of what was durable once.
    pub(crate) async fn open(env: &Env) -> Result<Recovered, OpenError> {
        let file = env.disk.open(Path::new(WAL), OpenMode::ReadWrite).await?;
        let image = env::read_all(file.as_ref()).await?;
        // Shorter than the mark: its creation was interrupted, so no transaction can have been durable.
        if image.len() < MARK.len() {
            env::write_all_at(file.as_ref(), MARK, 0).await?;
            file.sync().await?;
            env.disk.sync_dir(Path::new("")).await?;
            let log = Self { file, end: MARK.len() as u64, buffer: Vec::new() };
            return Ok(Recovered { log, tables: Tables::default(), records: 0, truncated: 0 });
        }
        if !image.starts_with(MARK) {
            return Err(OpenError::NotALog);
        }
        let Replay { tables, records, end, batch } = replay(&image)?;
        let truncated = image.len() as u64 - end;
        if truncated > 0 {
            file.set_len(end).await?;
        }
        // An fsync that failed may have left bytes that can be read but are not on the disk. Only the last batch can be
        // such: it is written again, so that the sync below really writes it.
        env::write_all_at(file.as_ref(), &image[batch as usize..end as usize], batch).await?;
        file.sync().await?;
        env.disk.sync_dir(Path::new("")).await?;
        Ok(Recovered { log: Self { file, end, buffer: Vec::new() }, tables, records, truncated })
    }

    /// A log in an empty file.
    #[cfg(test)]
    pub(crate) fn in_file(file: BoxFile) -> Self {
        Self { file, end: MARK.len() as u64, buffer: Vec::new() }
    }

    /// Writes the payloads as one batch and makes it durable. An empty payload writes nothing.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) async fn append(&mut self, payloads: &[Vec<u8>]) -> Result<(), Failure> {
        self.buffer.clear();
        let mut ends = Vec::with_capacity(payloads.len());
        for payload in payloads {
            if !payload.is_empty() {
                let at = self.end + self.buffer.len() as u64;
                wal::write_record(payload, at, self.end, &mut self.buffer);
            }
            ends.push(self.buffer.len());
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut written = 0;
        let mut fault = None;
        while written < self.buffer.len() && fault.is_none() {
            match self.file.write_at(&self.buffer[written..], self.end + written as u64).await {
                Ok(0) => fault = Some(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) => fault = Some(error),
            }
        }
        let kept = ends.iter().take_while(|end| **end <= written).count();
        let whole = if kept == 0 { 0 } else { ends[kept - 1] };
        if written > whole {
            self.cut(whole as u64).await?;
        }
        if whole > 0 {
            self.file.sync().await.map_err(|error| panic("fsync", &error))?;
            self.end += whole as u64;
        }
        match fault {
            None => Ok(()),
            Some(error) => Err(Failure::Refused { kept, error: refusal(&error) }),
        }
    }

    /// Cuts off what a failed write left behind the first `whole` bytes of the batch.
    async fn cut(&mut self, whole: u64) -> Result<(), Failure> {
        self.file.set_len(self.end + whole).await.map_err(|error| panic("truncate", &error))
    }
}

struct Replay {
    tables: Tables,
    records: u64,
    /// The end of the last whole record.
    end: u64,
    /// Where the last batch begins: everything before was durable when it was written.
    batch: u64,
}

fn replay(image: &[u8]) -> Result<Replay, OpenError> {
    let mut replay =
        Replay { tables: Tables::default(), records: 0, end: MARK.len() as u64, batch: MARK.len() as u64 };
    let mut position = Position::default();
    while let Some(found) = wal::next_record(image, position) {
        record::apply(found.payload, &mut replay.tables)
            .map_err(|_| OpenError::Corrupt { offset: replay.end })?;
        position = found.after;
        replay.records += 1;
        replay.end = position.end;
        replay.batch = found.synced.clamp(MARK.len() as u64, position.last);
    }
    if wal::was_durable(image, replay.end as usize) {
        return Err(OpenError::Corrupt { offset: replay.end });
    }
    Ok(replay)
}

fn panic(action: &str, error: &io::Error) -> Failure {
    let message = format!("could not {action} file \"{WAL}\": {}", reason(error));
    Failure::Panic { error: SqlError::new(state::IO_ERROR, message).severity(Severity::Panic) }
}

fn refusal(error: &io::Error) -> Box<SqlError> {
    if error.kind() == io::ErrorKind::StorageFull {
        SqlError::new(state::DISK_FULL, format!("could not extend file \"{WAL}\": No space left on device"))
            .hint("Check free disk space.")
    } else {
        SqlError::new(state::IO_ERROR, format!("could not write to file \"{WAL}\": {}", reason(error)))
    }
}

/// The system's words without Rust's "(os error 5)".
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
