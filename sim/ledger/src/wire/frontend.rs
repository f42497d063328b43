//! What a client sends.
//!
//! Decoding has two steps: [`frame`] cuts a whole message off the input, the `parse` functions read its fields without
//! copying them. Neither panics, whatever the bytes.

use bytes::{Buf, Bytes, BytesMut};

use crate::{
    data::binary::utf8,
    error::{Result, SqlError},
};

/// Longest message that is accepted; PostgreSQL allows 1 GiB.
const MAX_FRAME: usize = 16 * 1024 * 1024;
/// `MAX_STARTUP_PACKET_LENGTH` of PostgreSQL.
const MAX_STARTUP: usize = 10_000;

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;

/// A message as it came: its type and its fields.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) body: Bytes,
}

/// Cuts the next message off `input`; none until it is complete.
pub(crate) fn frame(input: &mut BytesMut) -> Result<Option<Frame>> {
    let Some(header) = input.first_chunk::<5>() else {
        return Ok(None);
    };
    let kind = header[0];
    let length = length(&header[1..], MAX_FRAME)?;
    if input.len() < 1 + length {
        input.reserve(1 + length - input.len());
        return Ok(None);
    }
    let mut frame = input.split_to(1 + length).freeze();
    frame.advance(5);
    Ok(Some(Frame { kind, body: frame }))
}

/// The length in a header, which counts itself.
fn length(bytes: &[u8], most: usize) -> Result<usize> {
    let length = bytes.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    if (4..=most).contains(&length) { Ok(length) } else { Err(SqlError::protocol("invalid message length")) }
}

/// The first message of a connection, which has no type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    Cancel { process: u32, secret: u32 },
    Encryption,
    Startup { major: u16, minor: u16, params: Vec<(String, String)> },
}

/// Cuts an opening message off `input`; none until it is complete.
pub(crate) fn opening(input: &mut BytesMut) -> Result<Option<Opening>> {
    let Some(header) = input.first_chunk::<4>() else {
        return Ok(None);
    };
    let length =
        length(header, MAX_STARTUP).map_err(|_| SqlError::protocol("invalid length of startup packet"))?;
    if input.len() < length {
        return Ok(None);
    }
    let message = input.split_to(length);
    let mut fields = Fields(&message[4..]);
    let code = fields.u32()?;
    Ok(Some(match code {
        SSL_REQUEST | GSS_REQUEST => Opening::Encryption,
        CANCEL_REQUEST => Opening::Cancel { process: fields.u32()?, secret: fields.u32()? },
        version => {
            let mut params = Vec::new();
            loop {
                let name = fields.text()?;
                if name.is_empty() {
                    break;
                }
                params.push((name.to_owned(), fields.text()?.to_owned()));
            }
            Opening::Startup { major: (version >> 16) as u16, minor: version as u16, params }
        }
    }))
}

/// The password in the answer to a request for one.
pub(crate) fn password(frame: &Frame) -> Result<&str> {
    if frame.kind != b'p' {
        let message = format!("expected password response, got message type {}", frame.kind);
        return Err(SqlError::protocol(message));
    }
    Fields(&frame.body).text()
}

/// A message of a running session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    Bind(Bind<'a>),
    Close(Target<'a>),
    Describe(Target<'a>),
    Execute { portal: &'a str, max_rows: usize },
    Flush,
    Parse { name: &'a str, sql: &'a str, types: Vec<u32> },
    Query(&'a str),
    Sync,
    Terminate,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bind<'a> {
    pub(crate) portal: &'a str,
    pub(crate) statement: &'a str,
    pub(crate) param_formats: Vec<i16>,
    pub(crate) params: Vec<Option<&'a [u8]>>,
    pub(crate) result_formats: Vec<i16>,
}

/// A prepared statement or a portal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    Portal(&'a str),
    Statement(&'a str),
}

/// Whether a message belongs to the extended protocol: after an error, everything up to a `Sync` is skipped.
pub(crate) fn is_extended(kind: u8) -> bool {
    matches!(kind, b'B' | b'C' | b'D' | b'E' | b'H' | b'P')
}

/// Whether `kind` is a message type at all; after another the connection cannot go on.
pub(crate) fn is_known(kind: u8) -> bool {
    is_extended(kind) || matches!(kind, b'Q' | b'S' | b'X' | b'F' | b'd' | b'c' | b'f' | b'p')
}

impl<'a> Message<'a> {
    /// Reads the fields of a frame.
    pub(crate) fn parse(frame: &'a Frame) -> Result<Self> {
        let mut fields = Fields(&frame.body);
        let message = match frame.kind {
            b'B' => Self::Bind(Bind {
                portal: fields.text()?,
                statement: fields.text()?,
                param_formats: fields.list(Fields::i16)?,
                params: fields.list(Fields::value)?,
                result_formats: fields.list(Fields::i16)?,
            }),
            b'C' => Self::Close(fields.target()?),
            b'D' => Self::Describe(fields.target()?),
            b'E' => Self::Execute {
                portal: fields.text()?,
                // Zero and less mean all rows.
                max_rows: usize::try_from(fields.u32()? as i32)
                    .ok()
                    .filter(|rows| *rows > 0)
                    .unwrap_or(usize::MAX),
            },
            b'H' => Self::Flush,
            b'P' => {
                Self::Parse { name: fields.text()?, sql: fields.text()?, types: fields.list(Fields::u32)? }
            }
            b'Q' => Self::Query(fields.text()?),
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            b'F' => return Err(SqlError::unsupported("the function call protocol")),
            b'd' | b'c' | b'f' => return Err(SqlError::unsupported("COPY")),
            kind => {
                return Err(SqlError::protocol(format!("invalid frontend message type {kind}")));
            }
        };
        if fields.0.is_empty() { Ok(message) } else { Err(SqlError::protocol("invalid message format")) }
    }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| SqlError::protocol("insufficient data left in message"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(self.take(4)?.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
    }

    fn i16(&mut self) -> Result<i16> {
        Ok(self.take(2)?.iter().fold(0, |number, byte| (number << 8) | i16::from(*byte)))
    }

    fn text(&mut self) -> Result<&'a str> {
        let end = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| SqlError::protocol("invalid string in message"))?;
        let text = utf8(&self.0[..end])?;
        self.0 = &self.0[end + 1..];
        Ok(text)
    }

    fn value(&mut self) -> Result<Option<&'a [u8]>> {
        match self.u32()? as i32 {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => self.take(length).map(Some),
                Err(_) => Err(SqlError::protocol("invalid argument size in bind message")),
            },
        }
    }

    /// A count of 16 bits and as many items.
    fn list<T>(&mut self, item: fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let count = self.i16()? as u16;
        (0..count).map(|_| item(self)).collect()
    }

    fn target(&mut self) -> Result<Target<'a>> {
        match self.take(1)? {
            b"S" => Ok(Target::Statement(self.text()?)),
            b"P" => Ok(Target::Portal(self.text()?)),
            other => Err(SqlError::protocol(format!("invalid message subtype {}", other[0]))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_is_taken_only_when_it_is_complete() {
        let mut input = BytesMut::from(&b"Q\0\0\0\x0dSELECT 1\0S\0\0\0\x04"[..]);
        let tail = input.split_off(9);
        assert!(frame(&mut input).unwrap().is_none());
        input.unsplit(tail);
        let query = frame(&mut input).unwrap().unwrap();
        assert_eq!(Message::parse(&query).unwrap(), Message::Query("SELECT 1"));
        let sync = frame(&mut input).unwrap().unwrap();
        assert_eq!(Message::parse(&sync).unwrap(), Message::Sync);
        assert!(input.is_empty());
    }

    #[test]
    fn lengths_that_cannot_be_are_refused_before_anything_is_reserved() {
        assert!(frame(&mut BytesMut::from(&b"Q\xff\xff\xff\xff"[..])).is_err());
        assert!(frame(&mut BytesMut::from(&b"Q\0\0\0\x03"[..])).is_err());
        assert!(opening(&mut BytesMut::from(&b"\0\0\xff\xff"[..])).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(kind in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Message::parse(&Frame { kind, body: body.clone().into() });
            let _ = opening(&mut BytesMut::from(&body[..]));
            let _ = frame(&mut BytesMut::from(&body[..]));
        }
    }
}
