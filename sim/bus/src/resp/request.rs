//! Reads requests: arrays of bulk strings, found in place in the connection's buffer.
//!
//! Not `redis-protocol`: its decoder begins anew with every chunk that arrives, allocates a frame per argument, recurses
//! into nested arrays as deeply as a client likes, and knows no limits. A server needs only one shape of frame; this reader
//! goes on where it stopped, allocates nothing per request and bounds what it waits for.
//!
//! Deliberately absent: inline commands, which no client library sends.

use std::ops::Index;

use thiserror::Error;

use super::parse_i64;

/// A length line longer than this is refused (`PROTO_INLINE_MAX_SIZE`, Redis `server.h`).
const LINE_MAX: usize = 64 * 1024;
/// More arguments than this are refused, as Redis before 7.0 did.
const COUNT_MAX: i64 = 1024 * 1024;
/// What a client may send that has not said the password (`processMultibulkBuffer`, Redis `networking.c`).
const STRANGER_COUNT_MAX: i64 = 10;
const STRANGER_BULK_MAX: usize = 16_384;
/// Room for spans that outlives a request; more is given back.
const SPANS_KEPT: usize = 1024;

/// How large a request may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// One argument.
    pub(crate) bulk: usize,
    /// All of it, as it is on the wire.
    pub(crate) request: usize,
}

/// What a client sent that is no request. The connection cannot go on: where the next request begins is unknown.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    /// A request begins with something else than an array.
    #[error("ERR Protocol error: expected '*', got '{}'", .0.escape_ascii())]
    ExpectedArray(u8),
    /// An argument is something else than a bulk string.
    #[error("ERR Protocol error: expected '$', got '{}'", .0.escape_ascii())]
    ExpectedBulk(u8),
    /// The array's length is no number or too large.
    #[error("ERR Protocol error: invalid multibulk length")]
    ArrayLength,
    /// The array's length does not end.
    #[error("ERR Protocol error: too big mbulk count string")]
    ArrayLine,
    /// An argument's length is no number, negative or too large.
    #[error("ERR Protocol error: invalid bulk length")]
    BulkLength,
    /// An argument's length does not end.
    #[error("ERR Protocol error: too big bulk count string")]
    BulkLine,
    /// Too many arguments for somebody who has not said the password.
    #[error("ERR Protocol error: unauthenticated multibulk length")]
    StrangerArray,
    /// Too large an argument for somebody who has not said the password.
    #[error("ERR Protocol error: unauthenticated bulk length")]
    StrangerBulk,
    /// The arguments together are too large. Redis closes the connection without a word (`client-query-buffer-limit`).
    #[error("ERR Protocol error: too big request")]
    Request,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
}

/// The arguments of one request, the command's name first; there is at least that one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Args<'a> {
    wire: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// How many arguments there are, the command's name included.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The argument at `index`, if there are so many.
    pub(crate) fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| &self.wire[span.start..span.end])
    }

    /// The arguments from `index` on.
    pub(crate) fn from(&self, index: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let wire = self.wire;
        self.spans[index..].iter().map(move |span| &wire[span.start..span.end])
    }

    /// What stands from `index` on, as if it were a request; there must be so many.
    pub(crate) fn tail(&self, index: usize) -> Self {
        Self { wire: self.wire, spans: &self.spans[index..] }
    }

    /// How many bytes the request takes on the wire.
    pub(crate) fn wire_len(&self) -> usize {
        self.wire.len()
    }
}

/// A request that is kept for later.
#[derive(Clone, Debug)]
pub(crate) struct OwnedArgs {
    wire: Box<[u8]>,
    spans: Box<[Span]>,
}

impl OwnedArgs {
    /// A request made of these words, the command's name first.
    pub(crate) fn from_words(words: &[Vec<u8>]) -> Self {
        let mut start = 0;
        let spans = words.iter().map(|word| {
            let span = Span { start, end: start + word.len() };
            start = span.end;
            span
        });
        Self { spans: spans.collect(), wire: words.concat().into() }
    }

    /// The request again.
    pub(crate) fn args(&self) -> Args<'_> {
        Args { wire: &self.wire, spans: &self.spans }
    }
}

impl From<Args<'_>> for OwnedArgs {
    fn from(args: Args<'_>) -> Self {
        Self { wire: args.wire.into(), spans: args.spans.into() }
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    /// # Panics
    /// When there is no such argument; a command's table entry says how many it can rely on.
    fn index(&self, index: usize) -> &[u8] {
        let span = self.spans[index];
        &self.wire[span.start..span.end]
    }
}

/// Finds requests in a buffer that grows at its end and is consumed from its start.
#[derive(Debug)]
pub(crate) struct RequestReader {
    limits: Limits,
    /// The arguments found so far, as offsets from the request's start.
    spans: Vec<Span>,
    /// How far the current request has been read.
    position: usize,
    /// Arguments that are still missing.
    missing: usize,
    /// The length of the argument being waited for, once it is known.
    bulk: Option<usize>,
}

impl RequestReader {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, spans: Vec::new(), position: 0, missing: 0, bulk: None }
    }

    /// The request at the start of `buffer`, or `None` when its end has not arrived.
    ///
    /// Until a request is found, call again with the same bytes and more behind them; then with what follows its
    /// [`Args::wire_len`] bytes. A client that is not `trusted` may send only little.
    ///
    /// # Errors
    /// The connection must be closed.
    pub(crate) fn next<'a>(
        &'a mut self,
        buffer: &'a [u8],
        trusted: bool,
    ) -> Result<Option<Args<'a>>, ProtocolError> {
        if self.missing == 0 {
            self.position = 0;
            self.spans.clear();
            self.spans.shrink_to(SPANS_KEPT);
            // An empty array is no request and is passed over without an answer.
            while self.missing == 0 {
                match self.array_length(buffer, trusted)? {
                    None => return Ok(None),
                    Some(count) => self.missing = count,
                }
            }
        }
        while self.missing > 0 {
            let Some(length) = self.bulk_length(buffer, trusted)? else {
                return Ok(None);
            };
            let start = self.position;
            if start + length + 2 > self.limits.request {
                return Err(ProtocolError::Request);
            }
            if buffer.len() < start + length + 2 {
                return Ok(None);
            }
            self.spans.push(Span { start, end: start + length });
            // Like Redis, the two bytes after an argument are not looked at.
            self.position = start + length + 2;
            self.bulk = None;
            self.missing -= 1;
        }
        Ok(Some(Args { wire: &buffer[..self.position], spans: &self.spans }))
    }

    fn array_length(&mut self, buffer: &[u8], trusted: bool) -> Result<Option<usize>, ProtocolError> {
        // An empty line is an empty inline command and is passed over: `redis-cli --pipe` sends one.
        while buffer[self.position.min(buffer.len())..].starts_with(b"\r\n") {
            self.position += 2;
        }
        match buffer.get(self.position) {
            None => return Ok(None),
            Some(b'*') => {}
            Some(b'\r') if buffer.len() == self.position + 1 => return Ok(None),
            Some(&other) => return Err(ProtocolError::ExpectedArray(other)),
        }
        let Some(line) = self.line(buffer, ProtocolError::ArrayLine)? else {
            return Ok(None);
        };
        match parse_i64(line) {
            Some(count) if count > STRANGER_COUNT_MAX && count <= COUNT_MAX && !trusted => {
                Err(ProtocolError::StrangerArray)
            }
            Some(count) if count <= COUNT_MAX => Ok(Some(usize::try_from(count).unwrap_or(0))),
            _ => Err(ProtocolError::ArrayLength),
        }
    }

    fn bulk_length(&mut self, buffer: &[u8], trusted: bool) -> Result<Option<usize>, ProtocolError> {
        if self.bulk.is_some() {
            return Ok(self.bulk);
        }
        match buffer.get(self.position) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(&other) => return Err(ProtocolError::ExpectedBulk(other)),
        }
        let Some(line) = self.line(buffer, ProtocolError::BulkLine)? else {
            return Ok(None);
        };
        self.bulk = parse_i64(line)
            .and_then(|length| usize::try_from(length).ok())
            .filter(|&length| length <= self.limits.bulk);
        if self.bulk.is_none() {
            return Err(ProtocolError::BulkLength);
        }
        if !trusted && self.bulk.is_some_and(|length| length > STRANGER_BULK_MAX) {
            return Err(ProtocolError::StrangerBulk);
        }
        Ok(self.bulk)
    }

    /// What stands between the type byte at the current position and the line's end; moves behind the line.
    fn line<'b>(
        &mut self,
        buffer: &'b [u8],
        too_long: ProtocolError,
    ) -> Result<Option<&'b [u8]>, ProtocolError> {
        let rest = &buffer[self.position + 1..];
        let Some(length) = rest.iter().take(LINE_MAX).position(|&byte| byte == b'\r') else {
            return if rest.len() < LINE_MAX { Ok(None) } else { Err(too_long) };
        };
        if rest.len() < length + 2 {
            return Ok(None);
        }
        self.position += 1 + length + 2;
        Ok(Some(&rest[..length]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const LIMITS: Limits = Limits { bulk: 64, request: 256 };

    /// Feeds `wire` in pieces that end at `cuts` and collects every request until the end or the first error.
    fn read(wire: &[u8], cuts: &[usize]) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
        let mut reader = RequestReader::new(LIMITS);
        let mut requests = Vec::new();
        let mut consumed = 0;
        let ends = cuts.iter().map(|cut| cut % (wire.len() + 1)).collect::<std::collections::BTreeSet<_>>();
        for end in ends.into_iter().chain([wire.len()]) {
            loop {
                if end < consumed {
                    break;
                }
                match reader.next(&wire[consumed..end], true) {
                    Ok(None) => break,
                    Ok(Some(args)) => {
                        requests.push(args.from(0).map(<[u8]>::to_vec).collect());
                        consumed += args.wire_len();
                    }
                    Err(error) => return (requests, Some(error)),
                }
            }
        }
        (requests, None)
    }

    fn encode(requests: &[Vec<Vec<u8>>]) -> Vec<u8> {
        let mut wire = Vec::new();
        for request in requests {
            wire.extend(format!("*{}\r\n", request.len()).bytes());
            for argument in request {
                wire.extend(format!("${}\r\n", argument.len()).bytes());
                wire.extend(argument);
                wire.extend(b"\r\n");
            }
        }
        wire
    }

    proptest! {
        #[test]
        fn a_pipeline_reads_the_same_however_it_is_cut(
            requests in vec(vec(vec(any::<u8>(), 0..20), 1..6), 0..6),
            cuts in vec(any::<usize>(), 0..20),
        ) {
            prop_assert_eq!(read(&encode(&requests), &cuts), (requests, None));
        }

        #[test]
        fn random_bytes_never_panic_and_fail_the_same_however_they_are_cut(
            wire in vec(prop_oneof![Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), b'0'..=b'9', any::<u8>()], 0..80),
            cuts in vec(any::<usize>(), 0..20),
        ) {
            prop_assert_eq!(read(&wire, &cuts), read(&wire, &[]));
        }
    }

    #[test]
    fn empty_arrays_are_passed_over() {
        let (requests, error) = read(b"*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n", &[2, 6, 9]);
        assert_eq!(requests, [[b"PING".to_vec()]]);
        assert_eq!(error, None);
    }

    #[test]
    fn malformed_requests_are_named_in_redis_words() {
        for (wire, text) in [
            (&b"PING\r\n"[..], "ERR Protocol error: expected '*', got 'P'"),
            (b"*1\r\n:1\r\n", "ERR Protocol error: expected '$', got ':'"),
            (b"*x\r\n", "ERR Protocol error: invalid multibulk length"),
            (b"*1048577\r\n", "ERR Protocol error: invalid multibulk length"),
            (b"*1\r\n$-1\r\n", "ERR Protocol error: invalid bulk length"),
            (b"*1\r\n$65\r\n", "ERR Protocol error: invalid bulk length"),
        ] {
            assert_eq!(read(wire, &[]).1.expect("an error").to_string(), text);
        }
    }

    #[test]
    fn endless_lines_and_requests_are_refused_before_they_are_buffered() {
        let digits = vec![b'1'; LINE_MAX + 1];
        assert_eq!(read(&[b"*", &digits[..]].concat(), &[]).1, Some(ProtocolError::ArrayLine));
        assert_eq!(read(&[b"*1\r\n$", &digits[..]].concat(), &[]).1, Some(ProtocolError::BulkLine));
        let large = encode(&[vec![vec![b'x'; 64]; 4]]);
        let until_fourth = large.len() - 66;
        assert_eq!(read(&large[..until_fourth], &[]).1, Some(ProtocolError::Request));
    }
}
