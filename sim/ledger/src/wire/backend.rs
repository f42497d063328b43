//! What a server sends: every function appends one message to a buffer.

use bytes::{BufMut, BytesMut};

use crate::{
    data::{Type, Value, binary, text},
    error::{Place, Severity, SqlError},
    sql::Output,
};

/// The transaction status that a `ReadyForQuery` carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Failed,
    Idle,
    Open,
}

/// The form of a column in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Binary,
    Text,
}

/// Appends a message of type `kind` whose fields `fill` writes.
fn message(kind: u8, out: &mut BytesMut, fill: impl FnOnce(&mut BytesMut)) {
    out.put_u8(kind);
    sized(out, true, fill);
}

/// Appends a length and what it measures; a message's length counts itself, a value's does not.
fn sized(out: &mut BytesMut, counts_itself: bool, fill: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    fill(out);
    let length = out.len() - start - if counts_itself { 0 } else { 4 };
    out[start..start + 4].copy_from_slice(&(length as u32).to_be_bytes());
}

fn cstring(text: &str, out: &mut BytesMut) {
    out.put_slice(text.as_bytes());
    out.put_u8(0);
}

pub(crate) fn authentication_ok(out: &mut BytesMut) {
    message(b'R', out, |out| out.put_u32(0));
}

/// Asks for a password in clear text.
pub(crate) fn ask_for_password(out: &mut BytesMut) {
    message(b'R', out, |out| out.put_u32(3));
}

pub(crate) fn parameter_status(name: &str, value: &str, out: &mut BytesMut) {
    message(b'S', out, |out| {
        cstring(name, out);
        cstring(value, out);
    });
}

pub(crate) fn backend_key(process: u32, secret: u32, out: &mut BytesMut) {
    message(b'K', out, |out| {
        out.put_u32(process);
        out.put_u32(secret);
    });
}

/// The newest minor version is 0; `options` are protocol extensions that are not known here.
pub(crate) fn negotiate_version(options: &[&str], out: &mut BytesMut) {
    message(b'v', out, |out| {
        out.put_u32(3 << 16);
        out.put_u32(options.len() as u32);
        options.iter().for_each(|option| cstring(option, out));
    });
}

pub(crate) fn ready(status: Status, out: &mut BytesMut) {
    message(b'Z', out, |out| {
        out.put_u8(match status {
            Status::Idle => b'I',
            Status::Open => b'T',
            Status::Failed => b'E',
        });
    });
}

pub(crate) fn parse_complete(out: &mut BytesMut) {
    message(b'1', out, |_| {});
}

pub(crate) fn bind_complete(out: &mut BytesMut) {
    message(b'2', out, |_| {});
}

pub(crate) fn close_complete(out: &mut BytesMut) {
    message(b'3', out, |_| {});
}

pub(crate) fn no_data(out: &mut BytesMut) {
    message(b'n', out, |_| {});
}

pub(crate) fn empty_query(out: &mut BytesMut) {
    message(b'I', out, |_| {});
}

pub(crate) fn portal_suspended(out: &mut BytesMut) {
    message(b's', out, |_| {});
}

pub(crate) fn command_complete(tag: &str, out: &mut BytesMut) {
    message(b'C', out, |out| cstring(tag, out));
}

pub(crate) fn parameter_description(types: &[Type], out: &mut BytesMut) {
    message(b't', out, |out| {
        out.put_u16(types.len() as u16);
        types.iter().for_each(|ty| out.put_u32(ty.oid()));
    });
}

/// Describes rows. Which table a column comes from is not told: table id and column number are 0.
pub(crate) fn row_description(columns: &[Output], format: impl Fn(usize) -> Format, out: &mut BytesMut) {
    message(b'T', out, |out| {
        out.put_u16(columns.len() as u16);
        for (index, column) in columns.iter().enumerate() {
            cstring(&column.name, out);
            out.put_u32(0);
            out.put_u16(0);
            out.put_u32(column.ty.oid());
            out.put_i16(column.ty.width());
            out.put_i32(column.modifier.wire());
            out.put_u16(u16::from(format(index) == Format::Binary));
        }
    });
}

/// One row; `scratch` is a buffer to format text in.
pub(crate) fn data_row(
    row: &[Value],
    columns: &[Output],
    format: impl Fn(usize) -> Format,
    scratch: &mut String,
    out: &mut BytesMut,
) {
    message(b'D', out, |out| {
        out.put_u16(row.len() as u16);
        for (index, (value, column)) in row.iter().zip(columns).enumerate() {
            match (value, format(index)) {
                (Value::Null, _) => out.put_i32(-1),
                (value, Format::Binary) => sized(out, false, |out| binary::write(value, column.ty, out)),
                (value, Format::Text) => {
                    scratch.clear();
                    text::write(value, scratch);
                    sized(out, false, |out| out.put_slice(scratch.as_bytes()));
                }
            }
        }
    });
}

/// An `ErrorResponse` (field codes: PostgreSQL 16 docs, §55.8).
pub(crate) fn error(error: &SqlError, out: &mut BytesMut) {
    report(b'E', error.severity.name(), error, out);
}

/// A `NoticeResponse` with severity WARNING.
pub(crate) fn warning(warning: &SqlError, out: &mut BytesMut) {
    debug_assert_eq!(warning.severity, Severity::Error, "a warning carries no severity of its own");
    report(b'N', "WARNING", warning, out);
}

/// A `NoticeResponse` with severity NOTICE.
pub(crate) fn notice(notice: &SqlError, out: &mut BytesMut) {
    report(b'N', "NOTICE", notice, out);
}

fn report(kind: u8, severity: &str, error: &SqlError, out: &mut BytesMut) {
    message(kind, out, |out| {
        let schema = error.table.as_ref().map(|_| "public");
        let fields = [
            (b'S', Some(severity)),
            (b'V', Some(severity)),
            (b'C', Some(error.state)),
            (b'M', Some(error.message.as_str())),
            (b'D', error.detail.as_deref()),
            (b'H', error.hint.as_deref()),
            (b's', schema),
            (b't', error.table.as_deref()),
            (b'c', error.column.as_deref()),
            (b'n', error.constraint.as_deref()),
        ];
        let position = match &error.place {
            Some(Place::At(position)) => Some(position.to_string()),
            _ => None,
        };
        let position = (b'P', position.as_deref());
        for (code, field) in fields.into_iter().chain([position]) {
            if let Some(field) = field {
                out.put_u8(code);
                // A text from a client may hold anything but NUL, which ends a field.
                cstring(field, out);
            }
        }
        out.put_u8(0);
    });
}
