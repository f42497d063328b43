//! The log on the disk: appended to, and continued in a new segment.

use std::{io, path::Path, sync::Arc};

use env::{BoxFile, Disk, OpenMode};

use super::{
    snapshot::Frozen,
    wal::{self, HEADER, segment_name},
};
use crate::error::{Severity, SqlError, state};

/// The log, opened for appending.
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    file: BoxFile,
    /// The segment at hand.
    segment: u64,
    name: String,
    /// Everything before is whole and durable.
    end: u64,
    /// The oldest segment that may still be on the disk.
    first: u64,
    /// Bytes in the segments before the one at hand, since the last checkpoint.
    before: u64,
    buffer: Vec<u8>,
}

/// What became of an append that failed.
pub(crate) enum Failure {
    /// The log is as before but for the first `kept` transactions, which are durable; the others may be tried again.
    Refused { kept: usize, error: Box<SqlError> },
    /// What is durable is unknown: only recovery may go on.
    Panic { error: Box<SqlError> },
}

impl Log {
    /// A log whose segment at hand is whole and durable up to `end`; `before` are the bytes of those before it.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        file: BoxFile,
        segment: u64,
        end: u64,
        before: u64,
        first: u64,
    ) -> Self {
        Self { disk, file, segment, name: segment_name(segment), end, first, before, buffer: Vec::new() }
    }

    /// A log in an empty file.
    #[cfg(test)]
    pub(crate) fn in_file(disk: Arc<dyn Disk>, file: BoxFile) -> Self {
        Self::new(disk, file, 1, HEADER as u64, 0, 1)
    }

    /// Creates an empty segment and makes it durable.
    pub(super) async fn create(disk: &dyn Disk, segment: u64, before: u64) -> io::Result<BoxFile> {
        let file = disk.open(Path::new(&segment_name(segment)), OpenMode::ReadWrite).await?;
        file.set_len(0).await?;
        env::write_all_at(file.as_ref(), &wal::header(segment, before), 0).await?;
        file.sync().await?;
        disk.sync_dir(Path::new("")).await?;
        Ok(file)
    }

    /// Bytes of records since the last checkpoint.
    pub(crate) fn size(&self) -> u64 {
        self.before + self.end - HEADER as u64
    }

    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        self.disk.clone()
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
            self.file.sync().await.map_err(|error| self.panic("fsync", &error))?;
            self.end += whole as u64;
        }
        match fault {
            None => Ok(()),
            Some(error) => Err(Failure::Refused { kept, error: self.refusal(&error) }),
        }
    }

    /// Cuts off what a failed write left behind the first `whole` bytes of the batch.
    async fn cut(&mut self, whole: u64) -> Result<(), Failure> {
        self.file.set_len(self.end + whole).await.map_err(|error| self.panic("truncate", &error))
    }

    /// Goes on in a new segment, unless the one at hand is empty; returns its number. What is committed at this moment can
    /// then be frozen.
    ///
    /// # Errors
    /// The disk's; the log goes on as before.
    pub(crate) async fn switch(&mut self) -> io::Result<u64> {
        if self.end > HEADER as u64 {
            let next = self.segment + 1;
            let file = match Self::create(&*self.disk, next, self.end).await {
                Ok(file) => file,
                Err(error) => {
                    // A leftover holds no record and is passed over by recovery.
                    let _ = self.disk.remove(Path::new(&segment_name(next))).await;
                    return Err(error);
                }
            };
            self.before += self.end - HEADER as u64;
            (self.file, self.segment, self.name, self.end) = (file, next, segment_name(next), HEADER as u64);
        }
        Ok(self.segment)
    }

    /// Removes the segments that a durable checkpoint has made superfluous.
    pub(crate) async fn forget_before(&mut self, checkpoint: &Frozen) {
        let kept = checkpoint.segment();
        for segment in self.first..kept {
            // One that cannot be removed takes room until the next recovery.
            let _ = self.disk.remove(Path::new(&segment_name(segment))).await;
        }
        let _ = self.disk.sync_dir(Path::new("")).await;
        self.first = kept;
        if kept == self.segment {
            self.before = 0;
        }
    }

    fn panic(&self, action: &str, error: &io::Error) -> Failure {
        let message = format!("could not {action} file \"{}\": {}", self.name, reason(error));
        Failure::Panic { error: SqlError::new(state::IO_ERROR, message).severity(Severity::Panic) }
    }

    fn refusal(&self, error: &io::Error) -> Box<SqlError> {
        let name = &self.name;
        if error.kind() == io::ErrorKind::StorageFull {
            let message = format!("could not extend file \"{name}\": No space left on device");
            SqlError::new(state::DISK_FULL, message).hint("Check free disk space.")
        } else {
            let message = format!("could not write to file \"{name}\": {}", reason(error));
            SqlError::new(state::IO_ERROR, message)
        }
    }
}

/// The system's words without Rust's "(os error 5)".
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
