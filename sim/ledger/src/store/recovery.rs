//! From the files on the disk to tables in memory: the checkpoint, then the segments of the log behind it.

use std::{io, path::Path};

use env::{Disk, Env, OpenMode};

use super::{
    log::Log,
    record, snapshot,
    tables::Tables,
    wal::{self, HEADER, Position, segment_name, segment_number},
};
use crate::CHECKPOINT;

/// Why a log could not be opened. Nothing has been dropped from it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed.
    #[error("the log could not be opened: {0}")]
    Io(#[from] io::Error),
    /// The file is not a segment of a log of this format.
    #[error("the file \"{}\" is not a log of this server", segment_name(*segment))]
    NotALog {
        /// The number of the segment that the file should be.
        segment: u64,
    },
    /// The checkpoint cannot be read.
    #[error("the file \"{CHECKPOINT}\" is not a whole checkpoint of this server")]
    BadCheckpoint,
    /// A segment that was durable once is not there.
    #[error("the file \"{}\" is missing", segment_name(*segment))]
    Missing {
        /// Its number.
        segment: u64,
    },
    /// A record that was durable once cannot be read, or says something impossible.
    #[error("the log is corrupt in file \"{}\" at offset {offset}", segment_name(*segment))]
    Corrupt {
        /// The number of the segment.
        segment: u64,
        /// Where the record begins, in bytes from the beginning of the file.
        offset: u64,
    },
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

/// Opens or creates the log and replays it.
///
/// # Errors
/// The disk's, and corruption of what was durable once.
pub(crate) async fn open(env: &Env) -> Result<Recovered, OpenError> {
    let disk = &*env.disk;
    let (mut tables, first) = match read(disk, CHECKPOINT).await? {
        Some(image) => snapshot::read(&image).ok_or(OpenError::BadCheckpoint)?,
        None => (Tables::default(), 1),
    };
    tidy(disk, first).await?;
    let Some(mut image) = segment(disk, first).await? else {
        // Its creation was interrupted, so that no transaction can have been durable.
        let file = Log::create(disk, first, 0).await?;
        let log = Log::new(env.disk.clone(), file, first, HEADER as u64, 0, first);
        return Ok(Recovered { log, tables, records: 0, truncated: 0 });
    };
    let (mut number, mut records, mut before) = (first, 0, 0);
    let replayed = loop {
        let replayed = replay(&image, number, &mut tables)?;
        records += replayed.records;
        let Some(next) = next_segment(disk, number + 1, replayed.end).await? else {
            break replayed;
        };
        before += replayed.end - HEADER as u64;
        (number, image) = (number + 1, next);
    };
    let Replayed { end, batch, .. } = replayed;
    let file = disk.open(Path::new(&segment_name(number)), OpenMode::ReadWrite).await?;
    let truncated = image.len() as u64 - end;
    if truncated > 0 {
        file.set_len(end).await?;
    }
    // An fsync that failed may have left bytes that can be read but are not on the disk. Only the last batch can be such:
    // it is written again, so that the sync below really writes it.
    env::write_all_at(file.as_ref(), &image[batch as usize..end as usize], batch).await?;
    file.sync().await?;
    disk.sync_dir(Path::new("")).await?;
    let log = Log::new(env.disk.clone(), file, number, end, before, first);
    Ok(Recovered { log, tables, records, truncated })
}

async fn read(disk: &dyn Disk, name: &str) -> io::Result<Option<Vec<u8>>> {
    match disk.open(Path::new(name), OpenMode::Read).await {
        Ok(file) => env::read_all(file.as_ref()).await.map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes what a checkpoint that was interrupted has left: itself, or the segments that it replaced.
async fn tidy(disk: &dyn Disk, first: u64) -> io::Result<()> {
    for name in disk.list(Path::new("")).await? {
        if name == snapshot::UNFINISHED || segment_number(&name).is_some_and(|number| number < first) {
            disk.remove(Path::new(&name)).await?;
        }
    }
    Ok(())
}

/// A segment's image; none if it was being created when the process ended.
async fn segment(disk: &dyn Disk, number: u64) -> Result<Option<Vec<u8>>, OpenError> {
    match read(disk, &segment_name(number)).await? {
        Some(image) if wal::length_before(&image, number).is_some() => Ok(Some(image)),
        // A checkpoint that is durable names a segment that is.
        None | Some(_) if number > 1 => Err(OpenError::Missing { segment: number }),
        Some(image) if image.len() > HEADER => Err(OpenError::NotALog { segment: number }),
        None | Some(_) => Ok(None),
    }
}

/// The segment that goes on behind one of the length `end`; none if there is none, or only a leftover without records.
async fn next_segment(disk: &dyn Disk, number: u64, end: u64) -> Result<Option<Vec<u8>>, OpenError> {
    let Some(image) = read(disk, &segment_name(number)).await? else {
        return Ok(None);
    };
    let empty = wal::next_record(&image, Position::default()).is_none();
    match wal::length_before(&image, number) {
        Some(before) if before == end => Ok(Some(image)),
        Some(before) if before < end && empty => discard(disk, number).await,
        Some(_) => Err(OpenError::Corrupt { segment: number - 1, offset: end }),
        None if image.len() <= HEADER => discard(disk, number).await,
        None => Err(OpenError::NotALog { segment: number }),
    }
}

async fn discard(disk: &dyn Disk, number: u64) -> Result<Option<Vec<u8>>, OpenError> {
    disk.remove(Path::new(&segment_name(number))).await?;
    Ok(None)
}

struct Replayed {
    records: u64,
    /// The end of the last whole record.
    end: u64,
    /// Where the last batch begins: everything before was durable when it was written.
    batch: u64,
}

fn replay(image: &[u8], segment: u64, tables: &mut Tables) -> Result<Replayed, OpenError> {
    let mut position = Position::default();
    let mut replayed = Replayed { records: 0, end: position.end, batch: position.end };
    while let Some(found) = wal::next_record(image, position) {
        record::apply(found.payload, tables)
            .map_err(|_| OpenError::Corrupt { segment, offset: replayed.end })?;
        position = found.after;
        replayed.records += 1;
        replayed.end = position.end;
        replayed.batch = found.synced.clamp(HEADER as u64, position.last);
    }
    if wal::was_durable(image, replayed.end as usize) {
        return Err(OpenError::Corrupt { segment, offset: replayed.end });
    }
    Ok(replayed)
}
