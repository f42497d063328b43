//! One client: reads what has arrived, answers all of it, writes once.

use std::{io, sync::Arc, time::Duration};

use bytes::{Buf, BytesMut};
use env::BoxStream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
    time::sleep,
};

use crate::{
    blocking::{Blocked, Ticket},
    command::{self, Call, Origin, Transaction},
    resp::{Protocol, ProtocolError, Reply, RequestReader},
    server::Shared,
};

/// How much is read at once (`PROTO_IOBUF_LEN`, Redis `server.h`).
const READ_CHUNK: usize = 16 * 1024;
/// Answers are written when they reach this size, even if requests are left: a client that reads slowly is slowed down.
const WRITE_CHUNK: usize = 256 * 1024;
/// Buffers that grew larger are given back.
const BUFFER_KEPT: usize = 64 * 1024;
/// A client that waits for a key may send this many bytes ahead; the rest stays in the network.
const AHEAD_MAX: usize = 1024 * 1024;

/// What the server knows of a client.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Counts connections from 1.
    pub(crate) id: i64,
    /// What CLIENT SETNAME said; empty without a name.
    pub(crate) name: Vec<u8>,
    /// What HELLO chose.
    pub(crate) protocol: Protocol,
    /// The commands between MULTI and EXEC.
    pub(crate) transaction: Option<Transaction>,
    /// The connection ends when what is written is out.
    pub(crate) closing: bool,
}

/// A client's socket and what is on its way in and out.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    stream: BoxStream,
    session: Session,
    reader: RequestReader,
    input: BytesMut,
    output: Vec<u8>,
}

/// Why [`Connection::answer`] stopped.
enum Pause {
    /// The rest of the input is no complete request.
    NeedsInput,
    /// Enough was written for now.
    OutputFull,
    /// A command waits for a key.
    Waits(Waiting),
    /// The client said QUIT or sent what is no request.
    Ends,
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
    /// Counts the client and gives it its id.
    pub(crate) fn new(shared: Arc<Shared>, stream: BoxStream) -> Self {
        let id = {
            let statistics = &mut shared.state().statistics;
            statistics.connections += 1;
            statistics.connected += 1;
            statistics.connections
        };
        env::detail!("bus.connected", client = id);
        let reader = RequestReader::new(shared.limits);
        let session = Session { id, ..Session::default() };
        Self { shared, stream, session, reader, input: BytesMut::new(), output: Vec::new() }
    }

    /// Answers the client until it goes, or is sent away.
    pub(crate) async fn serve(mut self) {
        let client = self.session.id;
        match self.converse().await {
            Ok(()) => env::detail!("bus.disconnected", client),
            Err(error) => env::detail!("bus.disconnected", client, error = %error),
        }
    }

    async fn converse(&mut self) -> io::Result<()> {
        loop {
            let pause = self.answer();
            self.write().await?;
            match pause {
                Pause::OutputFull => {}
                Pause::NeedsInput => {
                    if self.read().await? == 0 {
                        return Ok(());
                    }
                }
                Pause::Waits(waiting) => {
                    if !self.wait(waiting).await? {
                        return Ok(());
                    }
                }
                Pause::Ends => return self.stream.shutdown().await,
            }
        }
    }

    /// Executes the complete requests in the input, one after the other without anyone in between.
    fn answer(&mut self) -> Pause {
        let shared = &*self.shared;
        let state = &mut *shared.state();
        let now = shared.env.clock.now();
        let mut consumed = 0;
        let pause = loop {
            if self.session.closing {
                break Pause::Ends;
            }
            if self.output.len() >= WRITE_CHUNK {
                break Pause::OutputFull;
            }
            let args = match self.reader.next(&self.input[consumed..]) {
                Ok(Some(args)) => args,
                Ok(None) => break Pause::NeedsInput,
                Err(error) => {
                    refuse(&self.session, &error, &mut self.output);
                    break Pause::Ends;
                }
            };
            consumed += args.wire_len();
            let reply = Reply::new(&mut self.output, self.session.protocol);
            let session = &mut self.session;
            let origin = Origin::Client;
            let mut call = Call { args, now, shared, state, session, reply, origin, blocked: None };
            command::execute(&mut call);
            let blocked = call.blocked.take();
            if let Some(Blocked { keys, pending, timeout }) = blocked {
                let (ticket, answer) = state.waiters.enter(keys, pending, self.session.protocol);
                break Pause::Waits(Waiting { shared: self.shared.clone(), ticket, answer, timeout });
            }
        };
        shared.check_timer(state);
        self.input.advance(consumed);
        pause
    }

    async fn write(&mut self) -> io::Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await?;
            self.output.clear();
            self.output.shrink_to(BUFFER_KEPT);
        }
        Ok(())
    }

    async fn read(&mut self) -> io::Result<usize> {
        if self.input.is_empty() && self.input.capacity() > BUFFER_KEPT {
            self.input = BytesMut::new();
        }
        self.input.reserve(READ_CHUNK);
        self.stream.read_buf(&mut self.input).await
    }

    /// Waits for the answer, the timeout or the client's end; `false` is the latter.
    async fn wait(&mut self, mut waiting: Waiting) -> io::Result<bool> {
        let timeout = waiting.timeout;
        let mut timeout = std::pin::pin!(async move {
            match timeout {
                Some(timeout) => sleep(timeout).await,
                None => std::future::pending().await,
            }
        });
        loop {
            let may_read = self.input.len() < AHEAD_MAX;
            tokio::select! {
                biased;
                answer = &mut waiting.answer => {
                    // The sender is dropped unused only by a panic while answering, which is reported there.
                    self.output = answer.map_err(|_| io::ErrorKind::BrokenPipe)?;
                    return Ok(true);
                }
                () = &mut timeout => {
                    self.give_up(&mut waiting);
                    return Ok(true);
                }
                read = self.read(), if may_read => {
                    if read? == 0 {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Answers a client whose time is up, unless its answer came just now.
    fn give_up(&mut self, waiting: &mut Waiting) {
        self.shared.state().waiters.withdraw(waiting.ticket);
        match waiting.answer.try_recv() {
            Ok(answer) => self.output = answer,
            Err(_) => Reply::new(&mut self.output, self.session.protocol).null_array(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let state = &mut *self.shared.state();
        state.statistics.connected -= 1;
        state.db.watches.forget(self.session.id);
    }
}

fn refuse(session: &Session, error: &ProtocolError, output: &mut Vec<u8>) {
    env::fact!("bus.protocol_error", client = session.id, error = %error);
    Reply::new(output, session.protocol).error(error);
}
