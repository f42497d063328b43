//! A client that reads answers as they are on the wire, type by type, and hides nothing.

use std::{
    fmt,
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// An answer that takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// One answer. Two are equal exactly when their bytes on the wire are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// `+`, `-`, `:`, `,`, `#`, `(` or `_`, and the line.
    Line(u8, Vec<u8>),
    /// `$`, `=` or `!`, and the bytes.
    Bytes(u8, Vec<u8>),
    /// `$-1` or `*-1`.
    Nothing(u8),
    /// `*`, `~` or `>`, and the elements; `%`, and keys and values by turns.
    Values(u8, Vec<Value>),
    /// The server closed the connection.
    Closed,
    /// Nothing came, although the client did not have to wait.
    Silence,
}

impl Value {
    pub fn text(text: &str) -> Self {
        Self::Bytes(b'$', text.into())
    }

    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Line(b':', line) => std::str::from_utf8(line).ok()?.parse().ok(),
            _ => None,
        }
    }

    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(_, bytes) => Some(bytes),
            _ => None,
        }
    }

    pub fn elements(&mut self) -> &mut [Value] {
        match self {
            Self::Values(_, elements) => elements,
            _ => &mut [],
        }
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Self::Line(b'-', _) | Self::Bytes(b'!', _))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(kind, line) => write!(f, "{}{}", char::from(*kind), line.escape_ascii()),
            Self::Bytes(kind, bytes) => write!(f, "{}\"{}\"", char::from(*kind), bytes.escape_ascii()),
            Self::Nothing(kind) => write!(f, "{}-1", char::from(*kind)),
            Self::Values(kind, elements) => {
                write!(f, "{}[", char::from(*kind))?;
                for (index, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if index == 0 { "" } else { " " })?;
                }
                f.write_str("]")
            }
            Self::Closed => f.write_str("closed"),
            Self::Silence => f.write_str("silence"),
        }
    }
}

pub struct Client(BufReader<TcpStream>);

impl Client {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a TCP option");
        Self(BufReader::new(stream))
    }

    /// Sends commands with one write. A server that has closed the connection says so when it is read from.
    pub fn send(&mut self, commands: &[&[Vec<u8>]]) {
        let mut wire = Vec::new();
        for arguments in commands {
            wire.extend(format!("*{}\r\n", arguments.len()).bytes());
            for argument in *arguments {
                wire.extend(format!("${}\r\n", argument.len()).bytes());
                wire.extend(argument);
                wire.extend(b"\r\n");
            }
        }
        self.send_raw(&wire);
    }

    pub fn send_raw(&mut self, wire: &[u8]) {
        let _ = self.0.get_mut().write_all(wire);
    }

    /// The next answer.
    ///
    /// # Panics
    /// When what comes is no RESP.
    pub fn read(&mut self) -> Value {
        match self.try_read() {
            Ok(value) => value,
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                Value::Closed
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Value::Silence,
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// Whether an answer begins to arrive within `patience`.
    pub fn answers_within(&mut self, patience: Duration) -> bool {
        self.0.get_ref().set_read_timeout(Some(patience)).expect("a TCP option");
        let arrived = self.0.fill_buf().is_ok();
        self.0.get_ref().set_read_timeout(Some(PATIENCE)).expect("a TCP option");
        arrived
    }

    fn try_read(&mut self) -> io::Result<Value> {
        let line = self.line()?;
        let (&kind, rest) = line.split_first().ok_or(ErrorKind::InvalidData)?;
        let length = || -> io::Result<i64> {
            let text = std::str::from_utf8(rest).ok().and_then(|text| text.parse().ok());
            text.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, line.escape_ascii().to_string()))
        };
        match kind {
            b'+' | b'-' | b':' | b',' | b'#' | b'(' | b'_' => Ok(Value::Line(kind, rest.into())),
            b'$' | b'=' | b'!' | b'*' if rest == b"-1" => Ok(Value::Nothing(kind)),
            b'$' | b'=' | b'!' => {
                let mut bytes = vec![0; usize::try_from(length()?).map_err(io::Error::other)?];
                self.0.read_exact(&mut bytes)?;
                let mut end = [0; 2];
                self.0.read_exact(&mut end)?;
                if end != *b"\r\n" {
                    return Err(io::Error::new(
                        ErrorKind::InvalidData,
                        "a string that is longer than it says",
                    ));
                }
                Ok(Value::Bytes(kind, bytes))
            }
            b'*' | b'~' | b'>' | b'%' => {
                let count = length()? * if kind == b'%' { 2 } else { 1 };
                let elements = (0..count).map(|_| self.try_read()).collect::<io::Result<_>>()?;
                Ok(Value::Values(kind, elements))
            }
            _ => Err(io::Error::new(ErrorKind::InvalidData, line.escape_ascii().to_string())),
        }
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(line.to_vec()),
            None if line.is_empty() => Err(ErrorKind::UnexpectedEof.into()),
            None => Err(io::Error::new(ErrorKind::InvalidData, line.escape_ascii().to_string())),
        }
    }
}
