//! Reads a ledger's files without a server: what the ledger would answer if it recovered from them.

use crate::{
    CHECKPOINT,
    data::{Row as Values, Value, text},
    store::{self, Position, Schema, Table, Tables, segment_name},
};

/// The tables that a checkpoint and the log behind it describe, kept up to date from images of their files.
pub struct Replica {
    tables: Tables,
    /// The segment of the log that was read last, its name, and how far.
    segment: u64,
    name: String,
    position: Position,
}

impl Default for Replica {
    /// Of a ledger without files.
    fn default() -> Self {
        Self::behind(Tables::default(), 1)
    }
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica")
            .field("segment", &self.segment)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// What a segment's image is to a replica.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    /// It goes on from what has been read.
    Continues,
    /// It does not exist, or not as a segment.
    None,
    /// It holds something else where the last record was read.
    Other,
}

impl Replica {
    fn behind(tables: Tables, segment: u64) -> Self {
        Self { tables, segment, name: segment_name(segment), position: Position::default() }
    }

    /// Applies the whole records behind what has been applied already; a torn tail is left for the next time.
    ///
    /// `files` hands the content of the file with the given name to the given function; `None` when there is no such file.
    /// Starts over from the checkpoint when the files do not go on from what has been applied.
    pub fn catch_up(&mut self, mut files: impl FnMut(&str, &mut dyn FnMut(Option<&[u8]>))) {
        if !self.follow(&mut files) {
            *self = Self::default();
            files(CHECKPOINT, &mut |image| {
                if let Some((tables, segment)) = image.and_then(store::read_checkpoint) {
                    *self = Self::behind(tables, segment);
                }
            });
            self.follow(&mut files);
        }
    }

    /// Reads on; whether the files go on from what has been applied.
    fn follow(&mut self, files: &mut impl FnMut(&str, &mut dyn FnMut(Option<&[u8]>))) -> bool {
        loop {
            let mut found = Segment::None;
            let name = std::mem::take(&mut self.name);
            files(&name, &mut |image| found = self.read(image));
            self.name = name;
            if found != Segment::Continues {
                return false;
            }
            let (next, end) = (self.segment + 1, self.position.end);
            let name = segment_name(next);
            let mut goes_on = false;
            files(&name, &mut |image| {
                goes_on = image.and_then(|image| store::length_before(image, next)) == Some(end);
            });
            if !goes_on {
                return true;
            }
            (self.segment, self.name, self.position) = (next, name, Position::default());
        }
    }

    /// Applies what a segment holds behind the last record read.
    fn read(&mut self, image: Option<&[u8]>) -> Segment {
        let Some(image) = image.filter(|image| store::length_before(image, self.segment).is_some()) else {
            return Segment::None;
        };
        let Position { end, last, check } = self.position;
        // The check value alone tells records apart: it covers content, place and time of writing.
        let (last, end) = (last as usize, end as usize);
        if end > image.len() || (last > 0 && image.get(last + 4..last + 12) != Some(&check.to_le_bytes())) {
            return Segment::Other;
        }
        while let Some(record) = store::next_record(image, self.position) {
            if store::apply(record.payload, &mut self.tables).is_err() {
                break;
            }
            self.position = record.after;
        }
        Segment::Continues
    }

    /// The rows of a table in the order of insertion; none if there is no such table.
    pub fn rows<'a>(&'a self, table: &str) -> impl Iterator<Item = Row<'a>> + use<'a> {
        self.table(table)
            .into_iter()
            .flat_map(|table| table.rows().map(|(_, values)| Row { schema: &table.schema, values }))
    }

    /// The rows of a table that were inserted after the one with the number `last`, which then is the newest one's; 0 is
    /// before the first. For tables whose rows stay.
    pub fn news<'a>(&'a self, table: &str, last: &mut u64) -> Vec<Row<'a>> {
        let Some(table) = self.table(table) else { return Vec::new() };
        let news = table.rows_behind(*last).map(|(number, values)| {
            *last = number;
            Row { schema: &table.schema, values }
        });
        news.collect()
    }

    /// The first row whose `column` reads `value`. One lookup if the column is a key of its own, else a scan.
    pub fn find<'a>(&'a self, table: &str, column: &str, value: &str) -> Option<Row<'a>> {
        let table = self.table(table)?;
        let schema = &table.schema;
        let position = schema.column(column)?;
        let key = text::parse(value, schema.columns[position].ty).ok()?;
        let index = schema.indexes.iter().position(|index| index.is_unique() && index.columns == [position]);
        let values = match index {
            Some(index) => table.get(table.lookup(index, std::slice::from_ref(&key))?)?,
            None => table.rows().find(|(_, row)| row[position] == key)?.1,
        };
        Some(Row { schema, values })
    }

    fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(self.tables.number(name)?)
    }
}

/// A row of a [`Replica`].
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    schema: &'a Schema,
    values: &'a Values,
}

impl Row<'_> {
    /// A column in PostgreSQL's text form; none if it is null or there is no such column.
    pub fn text(&self, column: &str) -> Option<String> {
        match &self.values[self.schema.column(column)?] {
            Value::Null => None,
            value => Some(text::show(value)),
        }
    }
}
