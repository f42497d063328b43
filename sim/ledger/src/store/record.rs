//! The payload of a log record: the changes of one transaction, compact and binary.
//!
//! A record says what each changed row became, once, whatever statements led there. Numbers are LEB128; signed ones are
//! zigzag-coded first. A table is created, and made to take the place of another, by the text
//! of its `CREATE TABLE`.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::{
    schema::Schema,
    table::{Filling, Origins, SEQUENCE_ROW},
    tables::Tables,
    transaction::{Deed, Layer, TransactionId},
};
use crate::{
    data::{Float, Interval, Json, Row, Value},
    sql,
};

const CREATE: u8 = 1;
const PUT: u8 = 2;
const REMOVE: u8 = 3;
const NEXT: u8 = 4;
const DROP: u8 = 5;
const REFORM: u8 = 6;
const SKIP: u8 = 7;

/// Where a column's values come from, in a `REFORM`.
const COLUMN: u8 = 0;
const VALUE: u8 = 1;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const NUMERIC: u8 = 4;
const TEXT: u8 = 5;
const TIMESTAMP: u8 = 6;
const JSON: u8 = 7;
const BYTES: u8 = 8;
const FLOAT4: u8 = 9;
const FLOAT8: u8 = 10;
const LOCAL_TIMESTAMP: u8 = 11;
const DATE: u8 = 12;
const TIME: u8 = 13;
const INTERVAL: u8 = 14;
const UUID: u8 = 15;
const ARRAY: u8 = 16;

/// Encodes what the transaction of `layer` made of the tables; empty when it changed nothing.
pub(crate) fn redo(tables: &Tables, layer: &Layer) -> Vec<u8> {
    let mut out = Vec::new();
    for deed in &layer.deeds {
        match deed {
            Deed::Created(number) => {
                put_table(&tables.table(*number).schema.sql, &mut out);
            }
            Deed::Drew { sequence, row } => put_row(*sequence, SEQUENCE_ROW, row, &mut out),
            Deed::Wrote { table, id, first: true, .. } => row_redo(tables, *table, *id, &mut out),
            Deed::Dropped(number) => {
                out.push(DROP);
                put_number(*number as u128, &mut out);
            }
            Deed::Reformed { number, old, origins } => {
                put_reform(*old, &tables.table(*number).schema.sql, origins, &mut out);
            }
            Deed::Wrote { first: false, .. } | Deed::Locked { .. } | Deed::Named { .. } => {}
        }
    }
    out
}

/// What a changed row became in the end.
fn row_redo(tables: &Tables, number: usize, id: u64, out: &mut Vec<u8>) {
    let table = tables.table(number);
    let before = table.change(id).and_then(|change| change.before.as_ref());
    match (before, table.get(id)) {
        (None, None) => {}
        (Some(before), Some(after)) if Arc::ptr_eq(before, after) => {}
        (_, Some(after)) => put_row(number, id, after, out),
        (Some(_), None) => {
            out.push(REMOVE);
            put_number(number as u128, out);
            put_number(u128::from(id), out);
        }
    }
}

/// Encodes that a table is created.
pub(super) fn put_table(sql: &str, out: &mut Vec<u8>) {
    out.push(CREATE);
    put_bytes(sql.as_bytes(), out);
}

fn put_reform(old: usize, sql: &str, origins: &Origins, out: &mut Vec<u8>) {
    out.push(REFORM);
    put_number(old as u128, out);
    put_bytes(sql.as_bytes(), out);
    put_number(origins.len() as u128, out);
    for origin in origins {
        match origin {
            Filling::Column(column) => {
                out.push(COLUMN);
                put_number(*column as u128, out);
            }
            Filling::Value(value) => {
                out.push(VALUE);
                put_value(value, out);
            }
        }
    }
}

/// Encodes that the next table gets the number `next`.
pub(super) fn put_skip(next: usize, out: &mut Vec<u8>) {
    out.push(SKIP);
    put_number(next as u128, out);
}

/// Encodes that the numbers below `next` have been given to rows of a table.
pub(super) fn put_next(number: usize, next: u64, out: &mut Vec<u8>) {
    out.push(NEXT);
    put_number(number as u128, out);
    put_number(u128::from(next), out);
}

/// Encodes that a row is stored.
pub(super) fn put_row(number: usize, id: u64, row: &[Value], out: &mut Vec<u8>) {
    out.push(PUT);
    put_number(number as u128, out);
    put_number(u128::from(id), out);
    put_number(row.len() as u128, out);
    row.iter().for_each(|value| put_value(value, out));
}

/// A record that is whole but says something impossible.
#[derive(Debug, thiserror::Error)]
#[error("a record does not describe a change of these tables")]
pub(crate) struct Malformed;

/// Numbers of tables above this are taken for nonsense.
const MAX_TABLES: usize = 1 << 24;

/// A table that takes the place of another.
struct Reform {
    old: usize,
    schema: Schema,
    origins: Origins,
}

/// Applies a payload; the tables are left half-changed after an error.
///
/// # Errors
/// When the payload is not one that [`redo`] makes.
pub(crate) fn apply(payload: &[u8], tables: &mut Tables) -> Result<(), Malformed> {
    let mut reader = Reader(payload);
    while let Some(tag) = reader.byte() {
        match tag {
            CREATE => {
                let schema = reader.schema().ok_or(Malformed)?;
                if tables.number(&schema.name).is_some() {
                    return Err(Malformed);
                }
                let mut layer = Layer::new(TransactionId(0));
                tables.create_in(&mut layer, schema);
                tables.publish(&layer);
            }
            DROP => {
                let number = reader.size().filter(|number| tables.get(*number).is_some()).ok_or(Malformed)?;
                let mut layer = Layer::new(TransactionId(0));
                tables.drop_in(&mut layer, number);
                tables.publish(&layer);
            }
            REFORM => {
                let Reform { old, schema, origins } = reader.reform(tables).ok_or(Malformed)?;
                let mut layer = Layer::new(TransactionId(0));
                tables.reform_in(&mut layer, old, schema, origins).map_err(|_| Malformed)?;
                tables.publish(&layer);
            }
            SKIP => {
                let next = reader.size().filter(|next| *next <= MAX_TABLES).ok_or(Malformed)?;
                tables.skip_to(next);
            }
            NEXT => {
                let number = reader.size().ok_or(Malformed)?;
                let next = reader.number().and_then(|next| u64::try_from(next).ok()).ok_or(Malformed)?;
                tables.get_mut(number).ok_or(Malformed)?.reserve(next);
            }
            PUT | REMOVE => {
                let number = reader.size().ok_or(Malformed)?;
                let id = reader.number().and_then(|id| u64::try_from(id).ok()).ok_or(Malformed)?;
                let width = tables.get(number).ok_or(Malformed)?.schema.columns.len();
                let row = if tag == PUT { Some(reader.row(width).ok_or(Malformed)?) } else { None };
                tables.get_mut(number).ok_or(Malformed)?.replay(id, row);
            }
            _ => return Err(Malformed),
        }
    }
    Ok(())
}

fn put_number(mut number: u128, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn zigzag(number: i128) -> u128 {
    ((number << 1) ^ (number >> 127)) as u128
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_number(bytes.len() as u128, out);
    out.extend_from_slice(bytes);
}

fn put_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Value::Int(value) => put_tagged(INT, *value, out),
        // No column can have it.
        Value::Object(oid, _) => put_tagged(INT, i64::from(*oid), out),
        Value::Numeric(value) => {
            out.push(NUMERIC);
            out.push(value.scale() as u8);
            put_number(zigzag(value.mantissa()), out);
        }
        Value::Text(text) => {
            out.push(TEXT);
            put_bytes(text.as_bytes(), out);
        }
        Value::Timestamp(micros) => put_tagged(TIMESTAMP, *micros, out),
        Value::Json(document) => {
            let mut text = String::new();
            document.write(&mut text);
            out.push(JSON);
            put_bytes(text.as_bytes(), out);
        }
        Value::Bytes(bytes) => {
            out.push(BYTES);
            put_bytes(bytes, out);
        }
        Value::Float4(value) => {
            out.push(FLOAT4);
            out.extend_from_slice(&value.0.to_bits().to_le_bytes());
        }
        Value::Float8(value) => {
            out.push(FLOAT8);
            out.extend_from_slice(&value.0.to_bits().to_le_bytes());
        }
        Value::LocalTimestamp(micros) => put_tagged(LOCAL_TIMESTAMP, *micros, out),
        Value::Date(days) => put_tagged(DATE, i64::from(*days), out),
        Value::Time(micros) => put_tagged(TIME, *micros, out),
        Value::Interval(interval) => {
            put_tagged(INTERVAL, interval.micros, out);
            put_number(zigzag(i128::from(interval.days)), out);
            put_number(zigzag(i128::from(interval.months)), out);
        }
        Value::Uuid(bytes) => {
            out.push(UUID);
            out.extend_from_slice(bytes);
        }
        Value::Array(elements) => {
            out.push(ARRAY);
            put_number(elements.len() as u128, out);
            elements.iter().for_each(|element| put_value(element, out));
        }
    }
}

fn put_tagged(tag: u8, number: i64, out: &mut Vec<u8>) {
    out.push(tag);
    put_number(zigzag(i128::from(number)), out);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u128> {
        let mut number = 0;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            number |= u128::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i128> {
        let number = self.number()?;
        Some((number >> 1) as i128 ^ -((number & 1) as i128))
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.size()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn schema(&mut self) -> Option<Schema> {
        sql::schema_from_sql(self.text()?).ok()
    }

    fn reform(&mut self, tables: &Tables) -> Option<Reform> {
        let old = self.size()?;
        let width = tables.get(old)?.schema.columns.len();
        let schema = self.schema()?;
        if self.size()? != schema.columns.len() || tables.number(&schema.name).is_some_and(|it| it != old) {
            return None;
        }
        let origin = |_| match self.byte()? {
            COLUMN => self.size().filter(|column| *column < width).map(Filling::Column),
            VALUE => self.value().map(Filling::Value),
            _ => None,
        };
        let origins = (0..schema.columns.len()).map(origin).collect::<Option<_>>()?;
        Some(Reform { old, schema, origins })
    }

    fn row(&mut self, width: usize) -> Option<Row> {
        if self.size()? != width {
            return None;
        }
        (0..width).map(|_| self.value()).collect()
    }

    fn value(&mut self) -> Option<Value> {
        Some(match self.byte()? {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            INT => Value::Int(i64::try_from(self.signed()?).ok()?),
            NUMERIC => {
                let scale = u32::from(self.byte()?);
                Value::Numeric(Decimal::try_from_i128_with_scale(self.signed()?, scale).ok()?)
            }
            TEXT => Value::Text(self.text()?.into()),
            TIMESTAMP => Value::Timestamp(i64::try_from(self.signed()?).ok()?),
            JSON => Value::Json(Arc::new(Json::parse(self.text()?).ok()?)),
            BYTES => Value::Bytes(self.bytes()?.into()),
            FLOAT4 => Value::Float4(Float(f64::from_bits(u64::from_le_bytes(self.fixed()?)))),
            FLOAT8 => Value::Float8(Float(f64::from_bits(u64::from_le_bytes(self.fixed()?)))),
            LOCAL_TIMESTAMP => Value::LocalTimestamp(i64::try_from(self.signed()?).ok()?),
            DATE => Value::Date(i32::try_from(self.signed()?).ok()?),
            TIME => Value::Time(i64::try_from(self.signed()?).ok()?),
            INTERVAL => Value::Interval(Interval {
                micros: i64::try_from(self.signed()?).ok()?,
                days: i32::try_from(self.signed()?).ok()?,
                months: i32::try_from(self.signed()?).ok()?,
            }),
            UUID => Value::Uuid(self.fixed()?),
            // Arrays do not nest; a malformed record must not exhaust the stack.
            ARRAY => {
                let count = self.size()?;
                let element = |_| if self.0.first() == Some(&ARRAY) { None } else { self.value() };
                Value::Array((0..count).map(element).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tables() -> Tables {
        let mut tables = Tables::default();
        let sql = "CREATE TABLE t (id BIGINT PRIMARY KEY, note TEXT, qty NUMERIC, doc JSONB, raw BYTEA)";
        let mut layer = Layer::new(TransactionId(0));
        tables.create_in(&mut layer, sql::schema_from_sql(sql).unwrap());
        tables.publish(&layer);
        tables
    }

    #[test]
    fn a_transaction_applies_elsewhere_as_it_happened_here() {
        let (mut here, mut layer) = (Tables::default(), Layer::new(TransactionId(1)));
        let sql = tables().table(0).schema.sql.clone();
        here.create_in(&mut layer, sql::schema_from_sql(&sql).unwrap());
        let row = |id: i64| -> Row {
            Arc::new([
                Value::Int(id),
                Value::from("é"),
                Value::Numeric(Decimal::new(-1_230, 3)),
                Value::Json(Arc::new(Json::parse("{\"a\": [1.10]}").unwrap())),
                Value::Bytes(Arc::new([0, 255])),
            ])
        };
        here.put_in(&mut layer, 0, 1, row(i64::MIN));
        here.put_in(&mut layer, 0, 2, row(i64::MAX));
        here.put_in(&mut layer, 0, 3, row(7));
        here.remove_in(&mut layer, 0, 3);
        let mut there = Tables::default();
        apply(&redo(&here, &layer), &mut there).unwrap();
        here.publish(&layer);
        let rows =
            |tables: &Tables| tables.table(0).rows().map(|(id, row)| (id, row.clone())).collect::<Vec<_>>();
        assert_eq!(rows(&there), rows(&here));
        assert_eq!(rows(&there).len(), 2, "a row that came and went leaves no trace");

        let mut layer = Layer::new(TransactionId(2));
        let before = layer.mark();
        here.remove_in(&mut layer, 0, 1);
        apply(&redo(&here, &layer), &mut there).unwrap();
        assert_eq!(rows(&there), rows(&here));
        here.undo(&mut layer, before);
        assert_eq!(rows(&here).len(), 2);
    }

    proptest! {
        #[test]
        fn no_payload_panics(payload in proptest::collection::vec(any::<u8>(), 0..64), tag in 1_u8..=7) {
            let mut tagged = vec![tag, 0];
            tagged.extend(payload);
            let _ = apply(&tagged, &mut tables());
        }
    }
}
