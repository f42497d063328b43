//! One client: reads what has arrived, answers all of it, writes once.
//!
//! What was answered is written only when the append-only file has taken in all that was done until then: nobody ever
//! sees data that a crash would take back, as far as `appendfsync` promises it.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Buf, BytesMut};
use env::BoxStream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Notify, oneshot},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    blocking::{Blocked, Ticket},
    clients::ClientId,
    command::{self, Call, Origin, Transaction},
    pubsub::Subscriptions,
    resp::{Args, Protocol, ProtocolError, Reply, RequestReader},
    server::{Shared, State},
};

/// How much is read at once (`PROTO_IOBUF_LEN`, Redis `server.h`).
const READ_CHUNK: usize = 16 * 1024;
/// What an idle client's buffer takes: thousands of them must fit.
const READ_IDLE: usize = 1024;
/// Answers are written when they reach this size, even if requests are left: a client that reads slowly is slowed down.
const WRITE_CHUNK: usize = 256 * 1024;
/// Buffers that grew larger are given back.
const BUFFER_KEPT: usize = 64 * 1024;
/// A client that waits for a key may send this many bytes ahead; the rest stays in the network.
const AHEAD_MAX: usize = 1024 * 1024;

/// What the server knows of a client.
#[derive(Debug)]
pub(crate) struct Session {
    /// Counts connections from 1.
    pub(crate) id: ClientId,
    /// The client's end of the connection; none for what the server does itself.
    pub(crate) peer: Option<SocketAddr>,
    /// What CLIENT SETNAME said; empty without a name.
    pub(crate) name: Vec<u8>,
    /// What HELLO chose.
    pub(crate) protocol: Protocol,
    /// The commands between MULTI and EXEC.
    pub(crate) transaction: Option<Transaction>,
    /// Whether it knows the password, or needs none.
    pub(crate) authenticated: bool,
    /// What SUBSCRIBE and PSUBSCRIBE asked for.
    pub(crate) subscriptions: Subscriptions,
    /// What CLIENT REPLY chose.
    pub(crate) replies: Replies,
    /// What CLIENT NO-EVICT chose; listed, and without effect where nobody is evicted.
    pub(crate) no_evict: bool,
    /// The command that came last, and its subcommand.
    pub(crate) last_command: (&'static str, Option<&'static str>),
    pub(crate) connected_at: Instant,
    /// When it last sent something.
    pub(crate) active_at: Instant,
    /// The connection ends when what is written is out.
    pub(crate) closing: bool,
}

impl Default for Session {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            id: 0,
            peer: None,
            name: Vec::new(),
            protocol: Protocol::default(),
            transaction: None,
            authenticated: true,
            subscriptions: Subscriptions::default(),
            replies: Replies::default(),
            no_evict: false,
            last_command: ("NULL", None),
            connected_at: now,
            active_at: now,
            closing: false,
        }
    }
}

/// Whether a client wants to be answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Replies {
    #[default]
    On,
    Off,
    /// Not to the next command.
    SkipNext,
    /// Not to this command, which said so, nor to the next.
    SkipThisAndNext,
}

impl Replies {
    /// Whether the reply to the command that was just executed is withheld; moves on to the next command.
    pub(crate) fn withhold(&mut self) -> bool {
        let (withheld, next) = match self {
            Self::On => return false,
            Self::Off => (true, Self::Off),
            Self::SkipThisAndNext => (true, Self::SkipNext),
            Self::SkipNext => (true, Self::On),
        };
        *self = next;
        withheld
    }
}

/// A client's socket and what is on its way in and out.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    stream: BoxStream,
    id: ClientId,
    /// Rings when somebody else wants something of this connection.
    bell: Arc<Notify>,
    reader: RequestReader,
    input: BytesMut,
    output: Vec<u8>,
    /// How much must have been recorded before the output is written.
    recorded: u64,
    /// The next request has been slowed down already.
    delayed: bool,
}

/// Why [`Connection::answer`] stopped.
enum Pause {
    /// The rest of the input is no complete request; the client may be silent until then.
    NeedsInput(Option<Instant>),
    /// Enough was written for now.
    OutputFull,
    /// A command waits for a key.
    Waits(Waiting),
    /// The next command waits because the server is slow.
    Slow(Duration),
    /// The next command waits because CLIENT PAUSE said so.
    Held(Instant),
    /// The client said QUIT or sent what is no request.
    Ends,
    /// The client is being sent away.
    Dismissed,
}

/// A place in the queue, left when dropped: a client that has gone must not be fed.
struct Waiting {
    shared: Arc<Shared>,
    ticket: Ticket,
    answer: oneshot::Receiver<Vec<u8>>,
    timeout: Option<Duration>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.state().waiters.withdraw(self.ticket);
    }
}

impl Connection {
    /// Takes the client in and gives it its id; tells it when there are too many, and takes none in then.
    pub(crate) fn new(shared: Arc<Shared>, stream: BoxStream, peer: SocketAddr) -> Result<Self, BoxStream> {
        let (id, bell) = {
            let state = &mut *shared.state();
            if state.clients.len() >= state.config.max_clients {
                state.statistics.rejected += 1;
                return Err(stream);
            }
            let statistics = &mut state.statistics;
            statistics.connections += 1;
            statistics.issued_ids += 1;
            let id = statistics.issued_ids;
            let authenticated = state.config.password.is_none();
            let session = Session { id, peer: Some(peer), authenticated, ..Session::default() };
            (id, state.clients.enter(session))
        };
        env::detail!("bus.connected", client = id);
        let reader = RequestReader::new(shared.limits);
        Ok(Self {
            shared,
            stream,
            id,
            bell,
            reader,
            input: BytesMut::new(),
            output: Vec::new(),
            recorded: 0,
            delayed: false,
        })
    }

    /// Answers the client until it goes, or is sent away.
    pub(crate) async fn serve(mut self) {
        let client = self.id;
        match self.converse().await {
            Ok(()) => env::detail!("bus.disconnected", client),
            Err(error) => env::detail!("bus.disconnected", client, error = %error),
        }
    }

    async fn converse(&mut self) -> io::Result<()> {
        loop {
            let pause = self.answer();
            self.write().await?;
            let goes_on = match pause {
                Pause::OutputFull => true,
                Pause::NeedsInput(until) => self.rest(until).await?,
                Pause::Waits(waiting) => self.wait(waiting).await?,
                Pause::Slow(delay) => {
                    sleep(delay).await;
                    self.delayed = true;
                    true
                }
                Pause::Held(until) => {
                    tokio::select! {
                        biased;
                        () = self.bell.notified() => {}
                        () = sleep_until(until) => {}
                    }
                    true
                }
                Pause::Ends => return self.stream.shutdown().await,
                Pause::Dismissed => false,
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// Executes the complete requests in the input, one after the other without anyone in between.
    fn answer(&mut self) -> Pause {
        let shared = &*self.shared;
        let state = &mut *shared.state();
        let Some(mut session) = state.clients.take(self.id) else {
            return Pause::Dismissed;
        };
        let limit = state.config.pubsub_limit;
        let more = state.clients.collect(self.id, limit, &mut self.output, WRITE_CHUNK);
        let now = shared.env.clock.now();
        let mut consumed = 0;
        let pause = loop {
            if session.closing {
                break Pause::Ends;
            }
            if more || self.output.len() >= WRITE_CHUNK {
                break Pause::OutputFull;
            }
            let args = match self.reader.next(&self.input[consumed..], session.authenticated) {
                Ok(Some(args)) => args,
                Ok(None) => break Pause::NeedsInput(silent_until(state, &session)),
                Err(error) => {
                    refuse(&session, &error, &mut self.output);
                    break Pause::Ends;
                }
            };
            if let Some(pause) = hold_back(shared, state, &args, &mut self.delayed) {
                break pause;
            }
            consumed += args.wire_len();
            let reply = Reply::new(&mut self.output, session.protocol);
            let origin = Origin::Client;
            let mut call =
                Call { args, now, shared, state, session: &mut session, reply, origin, blocked: None };
            command::execute(&mut call);
            let blocked = call.blocked.take();
            if let Some(Blocked { keys, pending, timeout }) = blocked {
                let (ticket, answer) = state.waiters.enter(keys, pending, session.protocol);
                state.clients.waits(self.id, ticket);
                break Pause::Waits(Waiting { shared: self.shared.clone(), ticket, answer, timeout });
            }
        };
        if consumed > 0 {
            session.active_at = Instant::now();
        }
        state.statistics.input_bytes += consumed as u64;
        state.clients.put(session);
        shared.evict(state);
        self.recorded = shared.record(state);
        shared.check_timer(state);
        self.input.advance(consumed);
        pause
    }

    /// Writes the output once what it tells of is recorded. Does not outlast the client's being sent away. Whoever rings
    /// meanwhile is still to be heard afterwards: it may have been for a message.
    async fn write(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        self.shared.recorded(self.recorded).await;
        let Self { shared, stream, id, bell, output, .. } = self;
        let id = *id;
        let mut writing = std::pin::pin!(async {
            stream.write_all(output).await?;
            stream.flush().await
        });
        let mut rung = false;
        loop {
            let deadline = {
                let state = &mut *shared.state();
                if state.clients.is_doomed(id) {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                state.clients.soft_deadline(id, state.config.pubsub_limit)
            };
            tokio::select! {
                biased;
                written = &mut writing => {
                    written?;
                    break;
                }
                () = bell.notified() => rung = true,
                () = reached(deadline) => shared.state().clients.send_away(id, "output buffer limit"),
            }
        }
        if rung {
            bell.notify_one();
        }
        self.shared.state().statistics.output_bytes += self.output.len() as u64;
        self.output.clear();
        self.output.shrink_to(BUFFER_KEPT);
        Ok(())
    }

    /// Waits until the client sends something or somebody rings; `false` when it is gone or has been silent too long.
    async fn rest(&mut self, until: Option<Instant>) -> io::Result<bool> {
        let bell = self.bell.clone();
        tokio::select! {
            biased;
            () = bell.notified() => Ok(true),
            read = self.read() => Ok(read? > 0),
            () = reached(until) => {
                self.shared.state().clients.send_away(self.id, "idle");
                Ok(false)
            }
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        if self.input.is_empty() && self.input.capacity() > BUFFER_KEPT {
            self.input = BytesMut::new();
        }
        self.input.reserve(if self.input.is_empty() { READ_IDLE } else { READ_CHUNK });
        self.stream.read_buf(&mut self.input).await
    }

    /// Waits for the answer, the timeout or the client's end; `false` is the latter.
    async fn wait(&mut self, mut waiting: Waiting) -> io::Result<bool> {
        let mut timeout = std::pin::pin!(reached(waiting.timeout.map(|timeout| Instant::now() + timeout)));
        let mut timed_out = false;
        let bell = self.bell.clone();
        loop {
            let may_read = self.input.len() < AHEAD_MAX;
            tokio::select! {
                biased;
                answer = &mut waiting.answer => {
                    // The sender is dropped unused only by a panic while answering, which is reported there.
                    self.output = answer.map_err(|_| io::ErrorKind::BrokenPipe)?;
                    self.recorded = self.shared.appended();
                    return Ok(true);
                }
                () = &mut timeout, if !timed_out => {
                    // The answer follows at once, unless it came just now.
                    self.shared.state().waiters.release(waiting.ticket, None);
                    timed_out = true;
                }
                () = bell.notified() => {
                    if !self.hear_out().await? {
                        return Ok(false);
                    }
                }
                read = self.read(), if may_read => {
                    if read? == 0 {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Passes on messages that came while the client waits for a key; `false` when it is being sent away.
    async fn hear_out(&mut self) -> io::Result<bool> {
        loop {
            {
                let state = &mut *self.shared.state();
                if state.clients.is_doomed(self.id) {
                    return Ok(false);
                }
                let limit = state.config.pubsub_limit;
                state.clients.collect(self.id, limit, &mut self.output, WRITE_CHUNK);
            }
            if self.output.is_empty() {
                return Ok(true);
            }
            self.write().await?;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let state = &mut *self.shared.state();
        state.db.watches.forget(self.id);
        if let Some(session) = state.clients.leave(self.id) {
            state.pubsub.leave(self.id, &session.subscriptions);
        }
    }
}

/// Whether the next request must wait: because the server is slow, once for each; or because clients are paused.
fn hold_back(shared: &Shared, state: &State, args: &Args<'_>, delayed: &mut bool) -> Option<Pause> {
    if let Some(until) = state.paused_until(args) {
        return Some(Pause::Held(until));
    }
    if std::mem::take(delayed) {
        return None;
    }
    shared.slowness(state).map(Pause::Slow)
}

/// When a client that stays silent is sent away (`clientsCronHandleTimeout`, Redis `timeout.c`).
fn silent_until(state: &State, session: &Session) -> Option<Instant> {
    let timeout = state.config.idle_timeout;
    let exempt = timeout.is_zero() || session.subscriptions.len() > 0;
    if exempt { None } else { session.active_at.checked_add(timeout) }
}

/// Resolves at a moment, or never without one.
async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn refuse(session: &Session, error: &ProtocolError, output: &mut Vec<u8>) {
    env::fact!("bus.protocol_error", client = session.id, error = %error);
    Reply::new(output, session.protocol).error(error);
}
