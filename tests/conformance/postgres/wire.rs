//! A PostgreSQL client that speaks the bare protocol (version 3.0) and hands over every message as it came.
//!
//! Blocking on purpose: which of two statements waits for the other must be seen from outside. Deliberately absent:
//! authentication, encryption, COPY.

use std::{
    io::{self, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// Longer than anything here takes: only a server that hangs is given up on.
const PATIENCE: Duration = Duration::from_secs(30);

/// SQLSTATE of a server that is still starting.
const CANNOT_CONNECT_NOW: &str = "57P03";

/// How a statement is sent, and in which format rows come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One `Query` message.
    Simple,
    /// `Parse`, `Describe`, `Bind`, `Describe`, `Execute`, `Sync`; rows as text.
    Text,
    /// The same; rows in binary form.
    Binary,
}

/// A column of an answer. The table it comes from is left out: object ids are each server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub oid: u32,
    pub width: i16,
    pub modifier: i32,
    pub binary: bool,
}

/// An error or a notice: its fields by their letter (PostgreSQL docs, "Error and Notice Message Fields").
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(u8, String)>);

impl Fields {
    /// The field with this letter, empty when it is missing.
    pub fn get(&self, letter: u8) -> &str {
        self.0.iter().find(|(key, _)| *key == letter).map_or("", |(_, value)| value)
    }
}

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    Columns(Vec<Column>),
    Complete(String),
    Empty,
    Error(Fields),
    NoData,
    Notice(Fields),
    Params(Vec<u32>),
    /// The session's state: idle, in a transaction, in a failed one.
    Ready(u8),
    Row(Vec<Option<Vec<u8>>>),
    /// A message that only acknowledges, by its letter.
    Done(u8),
    /// A message with a letter that this client does not read.
    Other(u8),
}

/// One session.
pub struct Client {
    input: BufReader<TcpStream>,
    output: TcpStream,
}

impl Client {
    /// Connects and waits until the session is ready, also while the server is still starting.
    ///
    /// # Errors
    /// When there is no server, or when it does not let us in.
    pub fn connect(port: u16, user: &str, database: &str) -> io::Result<Self> {
        loop {
            match Self::try_connect(port, user, database)? {
                Ok(client) => return Ok(client),
                Err(refusal) if refusal.get(b'C') == CANNOT_CONNECT_NOW => std::thread::yield_now(),
                Err(refusal) => return Err(io::Error::other(refusal.get(b'M'))),
            }
        }
    }

    fn try_connect(port: u16, user: &str, database: &str) -> io::Result<Result<Self, Fields>> {
        let output = TcpStream::connect(("127.0.0.1", port))?;
        output.set_nodelay(true)?;
        output.set_read_timeout(Some(PATIENCE))?;
        let mut client = Self { input: BufReader::new(output.try_clone()?), output };
        let mut startup = Vec::from(196_608_u32.to_be_bytes());
        for word in ["user", user, "database", database, ""] {
            startup.extend_from_slice(word.as_bytes());
            startup.push(0);
        }
        let length = (startup.len() + 4) as u32;
        client.output.write_all(&[&length.to_be_bytes(), startup.as_slice()].concat())?;
        let refusal = client.answer()?.into_iter().find_map(|message| match message {
            Message::Error(fields) => Some(fields),
            _ => None,
        });
        Ok(refusal.map_or(Ok(client), Err))
    }

    /// Sends a statement, with the text form of its parameters.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn send(&mut self, sql: &str, params: &[Option<String>], mode: Mode) -> io::Result<()> {
        let mut out = Vec::new();
        if mode == Mode::Simple {
            frame(&mut out, b'Q', |body| text(body, sql));
            return self.output.write_all(&out);
        }
        frame(&mut out, b'P', |body| {
            text(body, "");
            text(body, sql);
            body.extend_from_slice(&0_u16.to_be_bytes());
        });
        frame(&mut out, b'D', |body| text(body, "S"));
        frame(&mut out, b'B', |body| {
            text(body, "");
            text(body, "");
            body.extend_from_slice(&0_u16.to_be_bytes());
            body.extend_from_slice(&(params.len() as u16).to_be_bytes());
            for param in params {
                let length = param.as_ref().map_or(-1, |param| param.len() as i32);
                body.extend_from_slice(&length.to_be_bytes());
                body.extend_from_slice(param.as_deref().unwrap_or_default().as_bytes());
            }
            body.extend_from_slice(&1_u16.to_be_bytes());
            body.extend_from_slice(&u16::from(mode == Mode::Binary).to_be_bytes());
        });
        frame(&mut out, b'D', |body| text(body, "P"));
        frame(&mut out, b'E', |body| {
            text(body, "");
            body.extend_from_slice(&0_u32.to_be_bytes());
        });
        frame(&mut out, b'S', |_| ());
        self.output.write_all(&out)
    }

    /// Everything up to the next `ReadyForQuery`, inclusive; or up to the end of the connection.
    ///
    /// # Errors
    /// When the connection breaks, or when the server is silent for long.
    pub fn answer(&mut self) -> io::Result<Vec<Message>> {
        let mut messages = Vec::new();
        loop {
            let message = match self.message() {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !messages.is_empty() => {
                    return Ok(messages);
                }
                message => message?,
            };
            let end = matches!(message, Message::Ready(_));
            // Settings and keys are each server's own.
            if !matches!(message, Message::Done(b'S' | b'K' | b'R')) {
                messages.push(message);
            }
            if end {
                return Ok(messages);
            }
        }
    }

    /// Whether an answer has begun within `span`.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn answers_within(&mut self, span: Duration) -> io::Result<bool> {
        if !self.input.buffer().is_empty() {
            return Ok(true);
        }
        self.output.set_read_timeout(Some(span))?;
        let peeked = self.output.peek(&mut [0]);
        self.output.set_read_timeout(Some(PATIENCE))?;
        match peeked {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends a statement and waits for its answer.
    ///
    /// # Errors
    /// As [`Client::send`] and [`Client::answer`].
    pub fn ask(&mut self, sql: &str, params: &[Option<String>], mode: Mode) -> io::Result<Vec<Message>> {
        self.send(sql, params, mode)?;
        self.answer()
    }

    fn message(&mut self) -> io::Result<Message> {
        let mut head = [0; 5];
        self.input.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length - 4];
        self.input.read_exact(&mut body)?;
        let mut reader = Reader(&body);
        Ok(match head[0] {
            b'T' => Message::Columns((0..reader.u16()).map(|_| reader.column()).collect()),
            b'D' => Message::Row((0..reader.u16()).map(|_| reader.value()).collect()),
            b'C' => Message::Complete(reader.text()),
            b'E' => Message::Error(reader.fields()),
            b'N' => Message::Notice(reader.fields()),
            b't' => Message::Params((0..reader.u16()).map(|_| reader.u32()).collect()),
            b'I' => Message::Empty,
            b'n' => Message::NoData,
            b'Z' => Message::Ready(body[0]),
            letter @ (b'1' | b'2' | b'3' | b'S' | b'K' | b'R') => Message::Done(letter),
            letter => Message::Other(letter),
        })
    }
}

fn frame(out: &mut Vec<u8>, letter: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    fill(&mut body);
    out.push(letter);
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.append(&mut body);
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(text.as_bytes());
    body.push(0);
}

/// Reads a message's body; a server that breaks the framing fails the test by a panic.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes(&mut self, count: usize) -> &[u8] {
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.bytes(2).try_into().expect("two bytes"))
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.bytes(4).try_into().expect("four bytes"))
    }

    fn text(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == 0).expect("a text ends with a zero byte");
        let text = String::from_utf8_lossy(self.bytes(end)).into_owned();
        self.bytes(1);
        text
    }

    fn fields(&mut self) -> Fields {
        let mut fields = Vec::new();
        loop {
            match self.bytes(1)[0] {
                0 => return Fields(fields),
                letter => fields.push((letter, self.text())),
            }
        }
    }

    fn column(&mut self) -> Column {
        let name = self.text();
        self.bytes(6);
        Column {
            name,
            oid: self.u32(),
            width: self.u16() as i16,
            modifier: self.u32() as i32,
            binary: self.u16() == 1,
        }
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let length = self.u32() as i32;
        usize::try_from(length).ok().map(|length| self.bytes(length).to_vec())
    }
}
