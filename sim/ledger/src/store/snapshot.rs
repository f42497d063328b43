//! A checkpoint: all tables in one file, so that the log before it can go.
//!
//! ```text
//! "TWLEDGRC" · segment: u64 · payload · check: u64                             (little-endian)
//! ```
//!
//! The payload is that of a record which makes all tables; the log goes on in `segment`. `check` is XXH3-64 over everything
//! before it. The file is written under another name, synced, and renamed: it is there as a whole or not at all.

use std::{io, path::Path, sync::Arc};

use env::{BoxFile, Disk, OpenMode};
use xxhash_rust::xxh3::Xxh3;

use super::{record, table::Table, tables::Tables, view::View};
use crate::{CHECKPOINT, data::Row};

const MARK: &[u8; 8] = b"TWLEDGRC";
/// The name while it is being written.
pub(super) const UNFINISHED: &str = "checkpoint.new";
/// Bytes that are encoded and written at a time; others run in between.
const PORTION: usize = 256 * 1024;

/// What is committed at one moment. Rows are shared with the tables.
pub(crate) struct Frozen {
    tables: Vec<FrozenTable>,
    /// How many numbers have been given to tables, those that are gone included.
    numbers: usize,
    /// Where the log goes on.
    segment: u64,
}

struct FrozenTable {
    number: usize,
    sql: Arc<str>,
    next: u64,
    rows: Vec<(u64, Row)>,
}

impl Frozen {
    /// What is committed now; `segment` is the one into which the next record goes.
    pub(crate) fn of(tables: &mut Tables, segment: u64) -> Self {
        tables.forget_reserved();
        let tables = &*tables;
        let view = View::new(tables, None, false);
        let freeze = |(number, table): (usize, &Table)| {
            let mut rows = Vec::with_capacity(table.len());
            let every: Result<(), io::Error> = view.scan(number, |id, row| {
                rows.push((id, row.clone()));
                Ok(true)
            });
            debug_assert!(every.is_ok(), "taking a row cannot fail");
            FrozenTable { number, sql: table.schema.sql.clone(), next: table.next_id(), rows }
        };
        let published = tables.iter().filter(|(_, table)| table.published);
        Self { tables: published.map(freeze).collect(), numbers: tables.settled(), segment }
    }

    pub(crate) fn segment(&self) -> u64 {
        self.segment
    }

    /// Writes the checkpoint; returns its length in bytes.
    ///
    /// # Errors
    /// The disk's. The checkpoint before, if there is one, is still there.
    pub(crate) async fn write(&self, disk: &dyn Disk) -> io::Result<u64> {
        let written = self.write_unfinished(disk).await;
        if written.is_err() {
            // A leftover only takes room; recovery removes it.
            let _ = disk.remove(Path::new(UNFINISHED)).await;
        }
        let written = written?;
        disk.rename(Path::new(UNFINISHED), Path::new(CHECKPOINT)).await?;
        disk.sync_dir(Path::new("")).await?;
        Ok(written)
    }

    async fn write_unfinished(&self, disk: &dyn Disk) -> io::Result<u64> {
        let file = disk.open(Path::new(UNFINISHED), OpenMode::ReadWrite).await?;
        file.set_len(0).await?;
        let mut out = Output { file, end: 0, buffer: Vec::with_capacity(PORTION), check: Xxh3::new() };
        out.buffer.extend_from_slice(MARK);
        out.buffer.extend_from_slice(&self.segment.to_le_bytes());
        let mut next = 0;
        for table in &self.tables {
            if table.number > next {
                record::put_skip(table.number, &mut out.buffer);
            }
            next = table.number + 1;
            record::put_table(&table.sql, &mut out.buffer);
            record::put_next(table.number, table.next, &mut out.buffer);
            for (id, row) in &table.rows {
                record::put_row(table.number, *id, row, &mut out.buffer);
                if out.buffer.len() >= PORTION {
                    out.flush().await?;
                }
            }
        }
        if self.numbers > next {
            record::put_skip(self.numbers, &mut out.buffer);
        }
        out.flush().await?;
        let check = out.check.digest();
        out.buffer.extend_from_slice(&check.to_le_bytes());
        out.flush().await?;
        out.file.sync().await?;
        Ok(out.end)
    }
}

/// A file that is written from beginning to end.
struct Output {
    file: BoxFile,
    end: u64,
    buffer: Vec<u8>,
    check: Xxh3,
}

impl Output {
    async fn flush(&mut self) -> io::Result<()> {
        self.check.update(&self.buffer);
        env::write_all_at(self.file.as_ref(), &self.buffer, self.end).await?;
        self.end += self.buffer.len() as u64;
        self.buffer.clear();
        tokio::task::yield_now().await;
        Ok(())
    }
}

/// The tables of a checkpoint, and the segment in which the log goes on; none when `image` is no whole checkpoint.
pub(crate) fn read(image: &[u8]) -> Option<(Tables, u64)> {
    let (covered, check) = image.split_last_chunk::<8>()?;
    let mut expected = Xxh3::new();
    expected.update(covered);
    if expected.digest() != u64::from_le_bytes(*check) {
        return None;
    }
    let (segment, payload) = covered.strip_prefix(MARK)?.split_first_chunk::<8>()?;
    let mut tables = Tables::default();
    record::apply(payload, &mut tables).ok()?;
    Some((tables, u64::from_le_bytes(*segment)))
}
