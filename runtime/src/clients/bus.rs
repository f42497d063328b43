//! The bus: a Redis connection that reconnects, and a view of stream entries without copies.
//!
//! Deliberately absent: knowledge of what the streams carry, and pub/sub.

use std::time::Duration;

use env::{Env, fact};
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, RedisConnectionInfo, RedisError, Value,
    aio::MultiplexedConnection,
};

use super::{BUS, backoff::Backoff, connect};

/// How long an answer may take. Commands here are O(1) or bounded by a count, so a healthy bus answers within milliseconds.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a blocking read waits for entries before it is renewed; bounds how long a silently lost connection is believed in,
/// and how long a reader that has nothing to read shows no sign of life (heartbeats are to be younger than 5 s).
const BLOCK: Duration = Duration::from_secs(2);

/// Before the first entry of a stream.
const FIRST: &str = "0-0";

/// How many entries one read returns at most, which bounds the memory of a reply.
const READ_COUNT: u32 = 100;

/// A connection to the bus that re-establishes itself.
///
/// Reports `bus.down` when it is lost and `bus.up` when it stands, with `link` as the name of this connection.
pub struct Bus {
    env: Env,
    link: &'static str,
    response_timeout: Duration,
    session: Option<Session>,
    backoff: Backoff,
    down: bool,
}

struct Session {
    connection: MultiplexedConnection,
    /// Ends the connection's background task, and with it the connection, together with the session.
    _driver: Box<dyn Send + Sync>,
}

impl Bus {
    /// A connection for commands that are answered at once. `link` tells this connection from others in facts.
    pub fn for_commands(env: Env, link: &'static str) -> Self {
        Self::new(env, link, RESPONSE_TIMEOUT)
    }

    /// A connection for blocking reads, which would hold up every other command.
    pub fn for_reading(env: Env, link: &'static str) -> Self {
        Self::new(env, link, BLOCK + RESPONSE_TIMEOUT)
    }

    /// A connection for a question that is of no use when its answer is not there within `patience`.
    pub fn for_polling(env: Env, link: &'static str, patience: Duration) -> Self {
        Self::new(env, link, patience)
    }

    fn new(env: Env, link: &'static str, response_timeout: Duration) -> Self {
        let backoff = Backoff::reconnect("bus.reconnect");
        Self { env, link, response_timeout, session: None, backoff, down: false }
    }

    /// Runs a command until the bus has answered it. May run it several times: only for what may be repeated.
    pub async fn insist(&mut self, command: &Cmd) -> Value {
        loop {
            let outcome = match self.session().await {
                Ok(session) => session.connection.send_packed_command(command).await.and_then(refuse_error),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(value) => return value,
                Err(error) => self.lost(&error).await,
            }
        }
    }

    /// Runs commands in one round trip until the bus has answered them all, as [`Bus::insist`].
    pub async fn insist_all(&mut self, commands: &Pipeline) {
        loop {
            let outcome = match self.session().await {
                Ok(session) => session.connection.send_packed_commands(commands, 0, commands.len()).await,
                Err(error) => Err(error),
            };
            match outcome
                .and_then(|values| values.into_iter().try_for_each(|value| refuse_error(value).map(drop)))
            {
                Ok(()) => return,
                Err(error) => self.lost(&error).await,
            }
        }
    }

    /// Runs commands in one round trip, once, and returns their answers.
    ///
    /// # Errors
    /// The bus is not reachable, or has not answered them all, or one with an error. They may have been carried out.
    pub async fn ask_all(&mut self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let outcome = match self.session().await {
            Ok(session) => session.connection.send_packed_commands(commands, 0, commands.len()).await,
            Err(error) => Err(error),
        };
        let outcome = outcome.and_then(|values| values.into_iter().map(refuse_error).collect());
        outcome.inspect_err(|error| self.report_loss(error))
    }

    async fn session(&mut self) -> Result<&mut Session, RedisError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                let session = self.connect().await?;
                fact!("bus.up", link = self.link);
                self.down = false;
                self.backoff.reset();
                session
            }
        };
        Ok(self.session.insert(session))
    }

    async fn connect(&self) -> Result<Session, RedisError> {
        let stream = connect(&self.env, BUS).await?;
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(self.response_timeout));
        let greeting = MultiplexedConnection::new_with_config(&info, stream, config);
        let (connection, driver) = tokio::time::timeout(RESPONSE_TIMEOUT, greeting)
            .await
            .unwrap_or_else(|_| Err(RedisError::from((ErrorKind::Io, "the bus does not greet"))))?;
        let driver = self.env.spawn("bus.connection", driver);
        Ok(Session { connection, _driver: Box::new(driver.abort_on_drop()) })
    }

    async fn lost(&mut self, error: &RedisError) {
        self.report_loss(error);
        self.backoff.wait(&self.env).await;
    }

    fn report_loss(&mut self, error: &RedisError) {
        self.session = None;
        if !self.down {
            fact!("bus.down", link = self.link, reason = %error);
            self.down = true;
        }
    }
}

fn refuse_error(value: Value) -> Result<Value, RedisError> {
    match value {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}

/// A position in streams: for each the id of the last entry that was processed.
#[derive(Clone, Debug)]
pub struct Cursor {
    streams: Vec<(String, String)>,
}

impl Cursor {
    /// Before the first entry of each stream.
    pub fn at_start(streams: impl IntoIterator<Item = String>) -> Self {
        Self { streams: streams.into_iter().map(|stream| (stream, FIRST.to_owned())).collect() }
    }

    /// In each stream behind the entry with this id, or before the first one.
    pub fn behind<'a>(streams: impl IntoIterator<Item = (&'a str, Option<String>)>) -> Self {
        let position =
            |(stream, id): (&str, Option<String>)| (stream.to_owned(), id.unwrap_or_else(|| FIRST.into()));
        Self { streams: streams.into_iter().map(position).collect() }
    }

    /// The command that waits for entries after this position. For [`Bus::for_reading`] connections.
    pub fn read(&self) -> Cmd {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(READ_COUNT);
        read.arg("BLOCK").arg(u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX));
        read.arg("STREAMS");
        for (stream, _) in &self.streams {
            read.arg(stream);
        }
        for (_, id) in &self.streams {
            read.arg(id);
        }
        read
    }

    /// Moves behind the entries of a reply.
    pub fn pass(&mut self, reply: &Value) {
        for (stream, entries) in streams(reply) {
            let position = self.streams.iter_mut().find(|(name, _)| name == stream);
            if let (Some((_, id)), Some(last)) = (position, entries.last()) {
                id.clear();
                id.push_str(last.id);
            }
        }
    }
}

/// One entry of a stream, borrowed from a reply.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The bus's id of the entry.
    pub id: &'a str,
    fields: &'a [Value],
}

impl<'a> Entry<'a> {
    /// An entry with alternating field names and values.
    pub const fn new(id: &'a str, fields: &'a [Value]) -> Self {
        Self { id, fields }
    }

    /// The value of a field; `None` when there is no such field or its value is no text.
    pub fn get(&self, field: &str) -> Option<&'a str> {
        self.fields.chunks_exact(2).find(|pair| text(&pair[0]) == Some(field)).and_then(|pair| text(&pair[1]))
    }
}

/// The streams of an `XREAD` reply (RESP2) with their entries. A reply that is none has no streams.
pub fn streams(reply: &Value) -> impl Iterator<Item = (&str, impl DoubleEndedIterator<Item = Entry<'_>>)> {
    items(reply).iter().filter_map(|stream| match items(stream) {
        [name, list] => Some((text(name)?, entries(list))),
        _ => None,
    })
}

/// The entries of an `XRANGE` or `XREVRANGE` reply; what is no entry is skipped.
pub fn entries(reply: &Value) -> impl DoubleEndedIterator<Item = Entry<'_>> {
    items(reply).iter().filter_map(|entry| match items(entry) {
        [id, fields] => Some(Entry { id: text(id)?, fields: items(fields) }),
        _ => None,
    })
}

/// The fields of an `HGETALL` reply (RESP2) with their values; a reply that is none has no fields.
pub fn fields(reply: &Value) -> impl Iterator<Item = (&str, &str)> {
    items(reply).chunks_exact(2).filter_map(|pair| Some((text(&pair[0])?, text(&pair[1])?)))
}

/// The elements of a reply; none when it is no array.
pub fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        _ => &[],
    }
}

/// The text of a reply; `None` when it is none.
pub fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn reply() -> Value {
        let entry = |id: &str, n: &str| {
            Value::Array(vec![bulk(id), Value::Array(vec![bulk("n"), bulk(n), bulk("odd")])])
        };
        Value::Array(vec![Value::Array(vec![
            bulk("md:BTCUSDT"),
            Value::Array(vec![entry("1-0", "one"), entry("1-1", "two"), Value::Nil]),
        ])])
    }

    #[test]
    fn entries_are_read_in_order_and_garbage_between_them_is_skipped() {
        let reply = reply();
        let seen: Vec<_> = streams(&reply)
            .flat_map(|(stream, entries)| {
                entries.map(move |entry| (stream, entry.id, entry.get("n"), entry.get("odd")))
            })
            .collect();
        assert_eq!(
            seen,
            [("md:BTCUSDT", "1-0", Some("one"), None), ("md:BTCUSDT", "1-1", Some("two"), None)]
        );
        assert_eq!(streams(&Value::Nil).count(), 0);
        assert_eq!(streams(&Value::Array(vec![Value::Int(1)])).count(), 0);
    }

    #[test]
    fn a_cursor_moves_only_in_the_streams_that_had_entries() {
        let mut cursor = Cursor::at_start(["md:BTCUSDT".to_owned(), "md:ETHUSDT".to_owned()]);
        cursor.pass(&reply());
        assert_eq!(cursor.streams[0].1, "1-1");
        assert_eq!(cursor.streams[1].1, "0-0");
        let read = cursor.read();
        let last = read.args_iter().last();
        assert!(matches!(last, Some(redis::Arg::Simple(b"0-0"))));
    }
}
