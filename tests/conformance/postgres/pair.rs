//! Our server and the real one, side by side, asked the same.

use std::io;

use crate::servers::Server;

use super::{
    compare::{Difference, differences},
    ours::Ledger,
    wire::{Client, Message, Mode},
};

/// A statement and how to send it.
#[derive(Clone, Debug)]
pub struct Statement {
    pub sql: String,
    /// In text form; none for NULL.
    pub params: Vec<Option<String>>,
    pub mode: Mode,
    /// Whether the order of the rows is part of the answer.
    pub ordered: bool,
}

impl Statement {
    /// A statement without parameters, in one `Query` message.
    pub fn simple(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), params: Vec::new(), mode: Mode::Simple, ordered: true }
    }

    /// The statement, its parameters, its mode.
    pub fn show(&self) -> String {
        let params = self.params.iter().map(|param| match param {
            Some(text) => format!("'{text}'"),
            None => "NULL".to_owned(),
        });
        let params: Vec<_> = params.collect();
        let with = if params.is_empty() { String::new() } else { format!(" with {}", params.join(", ")) };
        format!("{};{with}  -- {:?}", self.sql, self.mode)
    }
}

/// The role and the database on both servers.
pub const NAME: &str = "postgres";

/// The real server.
pub struct Real(Server);

impl Real {
    pub fn start() -> Self {
        Self(Server::postgres(&["full_page_writes=off", "synchronous_commit=off"]))
    }

    /// As it says itself, without the name of the distribution.
    pub fn version(&self) -> String {
        let mut client = self.connect().expect("the server lets us in");
        let answer = client.ask("SHOW server_version", &[], Mode::Simple).expect("the server answers");
        let version = answer.into_iter().find_map(|message| match message {
            Message::Row(mut row) => row.pop().flatten(),
            _ => None,
        });
        let version = String::from_utf8(version.expect("one row")).expect("text");
        version.split(' ').next().unwrap_or_default().to_owned()
    }

    fn connect(&self) -> io::Result<Client> {
        Client::connect(self.0.port, NAME, NAME)
    }
}

/// Two empty databases. Ours is a server of its own; the real one's is emptied.
pub struct Pair<'a> {
    ours: Ledger,
    real: &'a Real,
}

impl<'a> Pair<'a> {
    /// Starts our server and empties the real one's database.
    ///
    /// # Errors
    /// When one of them does not let us in.
    pub fn new(real: &'a Real) -> io::Result<Self> {
        let mut client = real.connect()?;
        let sql = "SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public";
        let answer = client.ask(sql, &[], Mode::Simple)?;
        assert!(!answer.iter().any(|message| matches!(message, Message::Error(_))), "{answer:?}");
        Ok(Self { ours: Ledger::start(), real })
    }

    /// A session with both.
    ///
    /// # Errors
    /// When one of them does not let us in.
    pub fn session(&self) -> io::Result<Session> {
        Ok(Session { ours: Client::connect(self.ours.port, NAME, NAME)?, real: self.real.connect()? })
    }
}

/// A session with our server and one with the real one.
pub struct Session {
    pub ours: Client,
    pub real: Client,
}

impl Session {
    /// Asks both.
    ///
    /// # Errors
    /// When a server closes the connection or does not answer.
    pub fn ask(&mut self, statement: &Statement) -> io::Result<Vec<Difference>> {
        self.send(statement)?;
        self.answers(statement.ordered)
    }

    /// Asks both what they must agree on for anything else to make sense.
    ///
    /// # Errors
    /// As [`Session::ask`].
    ///
    /// # Panics
    /// When they do not.
    pub fn must_agree(&mut self, statement: &Statement) -> io::Result<()> {
        let differences = self.ask(statement)?;
        assert!(differences.is_empty(), "{}: {differences:?}", statement.sql);
        Ok(())
    }

    /// Sends a statement to both.
    ///
    /// # Errors
    /// When a server has closed the connection.
    pub fn send(&mut self, statement: &Statement) -> io::Result<()> {
        let Statement { sql, params, mode, .. } = statement;
        self.real.send(sql, params, *mode)?;
        self.ours.send(sql, params, *mode)
    }

    /// Waits for both answers to what was sent.
    ///
    /// # Errors
    /// When a server closes the connection or does not answer.
    pub fn answers(&mut self, ordered: bool) -> io::Result<Vec<Difference>> {
        let theirs = self.real.answer()?;
        let ours = self.ours.answer()?;
        Ok(differences(&ours, &theirs, ordered))
    }
}
