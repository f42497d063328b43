//! Writes replies straight into the connection's output buffer, in the protocol version that the client chose.

use std::fmt::Display;

use crate::{error::line, stream::StreamId};

/// The protocol version of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// RESP2: every connection begins with it.
    #[default]
    Resp2,
    /// RESP3, after `HELLO 3`.
    Resp3,
}

impl Protocol {
    /// The number as in `HELLO`.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// The end of an output buffer, where one reply is being written.
pub(crate) struct Reply<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
}

impl<'a> Reply<'a> {
    /// Writes behind what `out` holds.
    pub(crate) fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        Self { out, protocol }
    }

    /// The version being written.
    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Writes the rest in another version.
    pub(crate) fn switch_to(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Writes part of this reply, in a version of its own.
    pub(crate) fn reborrow(&mut self, protocol: Protocol) -> Reply<'_> {
        Reply { out: &mut *self.out, protocol }
    }

    /// Where the next byte goes; see [`Reply::rewind`].
    pub(crate) fn mark(&self) -> usize {
        self.out.len()
    }

    /// Takes back everything written since `mark`.
    pub(crate) fn rewind(&mut self, mark: usize) {
        self.out.truncate(mark);
    }

    /// `+OK`.
    pub(crate) fn ok(&mut self) {
        self.simple("OK");
    }

    /// A simple string, whose line breaks become spaces, as in Redis.
    pub(crate) fn simple(&mut self, text: impl AsRef<[u8]>) {
        self.out.push(b'+');
        let unbroken = |byte: &u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte };
        self.out.extend(text.as_ref().iter().map(unbroken));
        self.line_end();
    }

    /// An error, whose text may quote the client as [`quoted`](crate::error::quoted) does.
    pub(crate) fn error(&mut self, error: &dyn Display) {
        self.out.push(b'-');
        self.out.extend_from_slice(&line(error));
        self.line_end();
    }

    /// An integer.
    pub(crate) fn integer(&mut self, value: i64) {
        self.header(b':', value);
    }

    /// A count; what does not fit an integer does not fit memory either.
    pub(crate) fn count(&mut self, value: usize) {
        self.header(b':', value);
    }

    /// A bulk string.
    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.header(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.line_end();
    }

    /// A bulk string that holds a decimal integer.
    pub(crate) fn bulk_integer(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A bulk string that holds the id of a stream entry.
    pub(crate) fn id(&mut self, id: StreamId) {
        let (mut ms, mut seq) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (ms, seq) = (ms.format(id.ms).as_bytes(), seq.format(id.seq).as_bytes());
        self.header(b'$', ms.len() + 1 + seq.len());
        self.out.extend_from_slice(ms);
        self.out.push(b'-');
        self.out.extend_from_slice(seq);
        self.line_end();
    }

    /// Text for people: a verbatim string in RESP3, a bulk string in RESP2.
    pub(crate) fn verbatim(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => {
                self.header(b'=', text.len() + 4);
                self.out.extend_from_slice(b"txt:");
                self.out.extend_from_slice(text.as_bytes());
                self.line_end();
            }
        }
    }

    /// Nothing where a bulk string could be.
    pub(crate) fn null(&mut self) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// Nothing where an array could be.
    pub(crate) fn null_array(&mut self) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// The head of an array; `len` replies follow.
    pub(crate) fn array(&mut self, len: usize) {
        self.header(b'*', len);
    }

    /// The head of a set; `len` replies follow.
    pub(crate) fn set(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', len),
            Protocol::Resp3 => self.header(b'~', len),
        }
    }

    /// The head of a message that answers no request, in RESP2 an array like any other; `len` replies follow.
    pub(crate) fn push(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', len),
            Protocol::Resp3 => self.header(b'>', len),
        }
    }

    /// The head of a map; `len` keys with their values follow.
    pub(crate) fn map(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', 2 * len),
            Protocol::Resp3 => self.header(b'%', len),
        }
    }

    /// A reply that was encoded before and is the same in both versions.
    pub(crate) fn encoded(&mut self, reply: &[u8]) {
        self.out.extend_from_slice(reply);
    }

    fn header(&mut self, kind: u8, value: impl itoa::Integer) {
        self.out.push(kind);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self.line_end();
    }

    fn line_end(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, write: impl FnOnce(&mut Reply<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut Reply::new(&mut out, protocol));
        String::from_utf8(out).expect("the test writes text")
    }

    #[test]
    fn the_versions_differ_in_nulls_maps_and_verbatim_text() {
        let all = |reply: &mut Reply<'_>| {
            reply.null();
            reply.null_array();
            reply.map(1);
            reply.verbatim("a");
            reply.id(StreamId { ms: 12, seq: 3 });
        };
        assert_eq!(written(Protocol::Resp2, all), "$-1\r\n*-1\r\n*2\r\n$1\r\na\r\n$4\r\n12-3\r\n");
        assert_eq!(written(Protocol::Resp3, all), "_\r\n_\r\n%1\r\n=5\r\ntxt:a\r\n$4\r\n12-3\r\n");
    }

    #[test]
    fn an_error_that_quotes_line_breaks_stays_on_one_line() {
        assert_eq!(written(Protocol::Resp2, |reply| reply.error(&"ERR 'a\r\nb'")), "-ERR 'a  b'\r\n");
        assert_eq!(written(Protocol::Resp2, |reply| reply.error(&"ERR a \r\n\r\n")), "-ERR a \r\n");
    }
}
