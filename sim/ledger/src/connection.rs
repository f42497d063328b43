//! A stream with its buffers, and how a client is let in.

use std::{io, pin::pin, time::Duration};

use crate::{
    error::{Result, Severity, SqlError, state},
    settings::Settings,
    startup,
    wire::{
        backend::{self, Status},
        frontend::{self, Frame, Opening},
    },
};
use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    select,
    time::{sleep, timeout},
};

/// `authentication_timeout` of PostgreSQL: a client that has not said who it is by then is cut off.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client that does not read may hold a connection after the server has ended.
const FAREWELL: Duration = Duration::from_secs(5);
const READ_BYTES: usize = 8 * 1024;
/// Longer answers are sent in pieces.
const FULL_BYTES: usize = 256 * 1024;

/// A client's stream.
pub(crate) struct Connection<S> {
    stream: S,
    input: BytesMut,
    /// What the client is to be sent with the next flush.
    pub(crate) out: BytesMut,
}

/// The key with which a client cancels a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) process: u32,
    pub(crate) secret: u32,
}

/// What becomes of a connection.
pub(crate) enum Admission {
    /// It was made only to cancel the statement of that session.
    Cancel(Key),
    /// It is over.
    None,
    Session(Key, Settings),
}

/// What a client opens a connection for.
enum Wish {
    Cancel(Key),
    Leave,
    Start(Vec<(String, String)>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, input: BytesMut::new(), out: BytesMut::new() }
    }

    /// Hears the client's opening. With a key it is let in, once it has given the `password` if there is one; with a refusal
    /// it is told that and the connection ends.
    ///
    /// # Errors
    /// Those of the stream; `TimedOut` when the client takes too long.
    pub(crate) async fn let_in(
        &mut self,
        place: std::result::Result<Key, Box<SqlError>>,
        password: Option<&str>,
    ) -> io::Result<Admission> {
        let admission = timeout(STARTUP_TIMEOUT, self.admit(place, password)).await??;
        let admission = admission.unwrap_or_else(|error| {
            backend::error(&error.severity(Severity::Fatal), &mut self.out);
            Admission::None
        });
        self.write_out().await?;
        Ok(admission)
    }

    async fn admit(
        &mut self,
        place: std::result::Result<Key, Box<SqlError>>,
        password: Option<&str>,
    ) -> io::Result<Result<Admission>> {
        let params = match self.opening().await? {
            Ok(Wish::Cancel(key)) => return Ok(Ok(Admission::Cancel(key))),
            Ok(Wish::Leave) => return Ok(Ok(Admission::None)),
            Ok(Wish::Start(params)) => params,
            Err(error) => return Ok(Err(error)),
        };
        let (key, settings) = match place.and_then(|key| Ok((key, startup::settings(params)?))) {
            Ok(accepted) => accepted,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(password) = password
            && let Err(error) = self.authenticate(startup::user(&settings), password).await?
        {
            return Ok(Err(error));
        }
        Ok(Ok(self.greet(key, settings)))
    }

    /// Asks for the password, in clear text as over a Unix socket: there is no network to listen on.
    async fn authenticate(&mut self, user: &str, password: &str) -> io::Result<Result<()>> {
        backend::ask_for_password(&mut self.out);
        self.write_out().await?;
        let frame = loop {
            match self.buffered_frame() {
                Err(error) => return Ok(Err(error)),
                Ok(Some(frame)) => break frame,
                Ok(None) if self.fill().await? == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(None) => {}
            }
        };
        Ok(match frontend::password(&frame) {
            Ok(given) if given == password => Ok(()),
            Ok(_) => Err(SqlError::new(
                state::INVALID_PASSWORD,
                format!("password authentication failed for user \"{user}\""),
            )),
            Err(error) => Err(error),
        })
    }

    async fn opening(&mut self) -> io::Result<Result<Wish>> {
        loop {
            let (major, minor, params) = match frontend::opening(&mut self.input) {
                Err(error) => return Ok(Err(error)),
                Ok(None) if self.fill().await? == 0 => return Ok(Ok(Wish::Leave)),
                Ok(None) => continue,
                Ok(Some(Opening::Cancel { process, secret })) => {
                    return Ok(Ok(Wish::Cancel(Key { process, secret })));
                }
                Ok(Some(Opening::Encryption)) => {
                    self.out.extend_from_slice(b"N");
                    self.write_out().await?;
                    continue;
                }
                Ok(Some(Opening::Startup { major, minor, params })) => (major, minor, params),
            };
            if major != 3 {
                let message =
                    format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0");
                return Ok(Err(SqlError::new(state::FEATURE_NOT_SUPPORTED, message)));
            }
            let (options, params): (Vec<_>, Vec<_>) =
                params.into_iter().partition(|(name, _)| name.starts_with("_pq_."));
            if minor > 0 || !options.is_empty() {
                let options: Vec<&str> = options.iter().map(|(name, _)| name.as_str()).collect();
                backend::negotiate_version(&options, &mut self.out);
            }
            return Ok(Ok(Wish::Start(params)));
        }
    }

    fn greet(&mut self, key: Key, mut settings: Settings) -> Admission {
        backend::authentication_ok(&mut self.out);
        for (name, value) in settings.reports() {
            backend::parameter_status(name, &value, &mut self.out);
        }
        backend::backend_key(key.process, key.secret, &mut self.out);
        backend::ready(Status::Idle, &mut self.out);
        Admission::Session(key, settings)
    }

    /// The next message that has come whole already.
    pub(crate) fn buffered_frame(&mut self) -> Result<Option<Frame>> {
        frontend::frame(&mut self.input)
    }

    /// The next message; none when the client has left.
    ///
    /// # Errors
    /// Outer: those of the stream. Inner: bytes that are no message, or what `dismissed` resolves with.
    pub(crate) async fn next_frame(
        &mut self,
        dismissed: impl Future<Output = Box<SqlError>>,
    ) -> io::Result<Result<Option<Frame>>> {
        let mut dismissed = pin!(dismissed);
        loop {
            match self.buffered_frame() {
                Ok(None) => {}
                complete => return Ok(complete),
            }
            select! {
                biased;
                error = &mut dismissed => return Ok(Err(error)),
                read = self.fill() => if read? == 0 { return Ok(Ok(None)) },
            }
        }
    }

    /// Sends what is in [`Connection::out`]; `over` resolves when the server ends.
    ///
    /// # Errors
    /// Those of the stream; `TimedOut` when the server ends and the client does not read.
    pub(crate) async fn flush(&mut self, over: impl Future<Output = ()>) -> io::Result<()> {
        let too_late = async {
            over.await;
            sleep(FAREWELL).await;
        };
        select! {
            biased;
            written = self.write_out() => written,
            () = too_late => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Whether so much is to be sent that it should be before there is more.
    pub(crate) fn is_full(&self) -> bool {
        self.out.len() >= FULL_BYTES
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.input.reserve(READ_BYTES);
        self.stream.read_buf(&mut self.input).await
    }

    async fn write_out(&mut self) -> io::Result<()> {
        self.stream.write_all_buf(&mut self.out).await?;
        self.stream.flush().await
    }
}

/// What a session is told when another's commit, or nobody's in particular, brought the engine down.
pub(crate) fn crash_of_another() -> Box<SqlError> {
    SqlError::new(state::ADMIN_CRASH, "terminating connection because of crash of another server process")
        .detail("The log failed and is being recovered; transactions that were not reported as committed may be lost.")
        .severity(Severity::Fatal)
}
