//! A server in memory, under a clock that the test moves.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use env::{BoxListener, BoxStream, Disk, Env, Listener, Net, WallClock, WallTime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::{Mutex, mpsc, oneshot},
    time::Instant,
};

use crate::{Config, Error, Server, server::Shared};

/// The wall clock begins here: 2023-11-14T22:13:20Z in milliseconds.
pub(super) const START_MS: i64 = 1_700_000_000_000;

/// Runs with tokio's clock, plus whatever the test sets it ahead or back.
struct TestClock {
    started: Instant,
    ahead_ms: Arc<AtomicI64>,
}

impl WallClock for TestClock {
    fn now(&self) -> WallTime {
        let elapsed = i64::try_from(self.started.elapsed().as_millis()).expect("a test is short");
        WallTime::from_millis(START_MS + elapsed + self.ahead_ms.load(Ordering::Relaxed))
    }
}

/// A network with one listener.
struct OneListener(std::sync::Mutex<Option<mpsc::UnboundedReceiver<DuplexStream>>>);

struct Accepting(Mutex<mpsc::UnboundedReceiver<DuplexStream>>);

#[async_trait]
impl Net for OneListener {
    async fn connect(&self, _: &str, _: u16) -> io::Result<BoxStream> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn listen(&self, _: u16) -> io::Result<BoxListener> {
        let incoming = self.0.lock().expect("no test panics here").take();
        Ok(Box::new(Accepting(Mutex::new(incoming.ok_or(io::ErrorKind::AddrInUse)?))))
    }
}

#[async_trait]
impl Listener for Accepting {
    async fn accept(&self) -> io::Result<(BoxStream, SocketAddr)> {
        match self.0.lock().await.recv().await {
            Some(stream) => Ok((Box::new(stream), self.local_addr()?)),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok((Ipv4Addr::LOCALHOST, 6379).into())
    }
}

/// A running server. Use inside a runtime with a paused clock.
pub(super) struct World {
    pub(super) shared: Arc<Shared>,
    connect: mpsc::UnboundedSender<DuplexStream>,
    ahead_ms: Arc<AtomicI64>,
    _files: tempfile::TempDir,
    outcome: oneshot::Receiver<Result<(), Error>>,
}

impl World {
    pub(super) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    pub(super) async fn with(config: Config) -> Self {
        Self::build(None, config, 0).await.expect("the server starts")
    }

    async fn build(disk: Option<Arc<dyn Disk>>, config: Config, ahead_ms: i64) -> Result<Self, Error> {
        let files = tempfile::tempdir().expect("a temporary directory");
        let (connect, incoming) = mpsc::unbounded_channel();
        let ahead_ms = Arc::new(AtomicI64::new(ahead_ms));
        let os = env::os::Config { data_dir: files.path().to_owned(), ..env::os::Config::default() };
        let real = env::os::env(os).expect("an environment");
        let env = Env {
            net: Arc::new(OneListener(std::sync::Mutex::new(Some(incoming)))),
            clock: Arc::new(TestClock { started: Instant::now(), ahead_ms: ahead_ms.clone() }),
            disk: disk.unwrap_or_else(|| real.disk.clone()),
            ..real
        };
        let server = Server::bind(env.clone(), config).await?;
        let shared = server.shared.clone();
        let (ended, outcome) = oneshot::channel();
        env.spawn("bus", async {
            // Most tests do not ask how the server ended.
            let _ = ended.send(server.run().await);
        });
        Ok(Self { shared, connect, ahead_ms, _files: files, outcome })
    }

    /// Waits until the server has ended, and tells how.
    pub(super) async fn ended(self) -> Result<(), Error> {
        self.outcome.await.expect("the server does not panic")
    }

    /// Sets the wall clock ahead, or back when negative.
    pub(super) fn jump(&self, ms: i64) {
        self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// What the wall clock shows.
    pub(super) fn now_ms(&self) -> i64 {
        self.shared.env.clock.now().as_millis()
    }

    pub(super) fn client(&self) -> Client {
        let (near, far) = duplex(64 * 1024);
        self.connect.send(far).expect("the server runs");
        Client(near)
    }

    /// The answers of a new client's pipeline, line by line; the client then says QUIT.
    pub(super) async fn answers(&self, commands: &[&str]) -> Vec<String> {
        let mut client = self.client();
        client.send(commands).await;
        client.send(&["QUIT"]).await;
        let mut lines = client.rest().await;
        assert_eq!(lines.pop().as_deref(), Some("+OK"), "the answer to QUIT");
        lines
    }
}

/// A server on a disk of the test's.
pub(super) async fn try_world(disk: Arc<dyn Disk>, config: Config) -> Result<World, Error> {
    World::build(Some(disk), config, 0).await
}

/// The same with a wall clock that is ahead.
pub(super) async fn try_world_at(disk: Arc<dyn Disk>, config: Config, ahead_ms: i64) -> Result<World, Error> {
    World::build(Some(disk), config, ahead_ms).await
}

/// A client that writes commands as words and reads lines.
pub(super) struct Client(DuplexStream);

impl Client {
    /// Sends all commands with one write. Words are separated by spaces.
    pub(super) async fn send(&mut self, commands: &[&str]) {
        let mut wire = String::new();
        for command in commands {
            let words: Vec<&str> = command.split(' ').collect();
            wire += &format!("*{}\r\n", words.len());
            words.iter().for_each(|word| wire += &format!("${}\r\n{word}\r\n", word.len()));
        }
        self.send_raw(wire.as_bytes()).await;
    }

    pub(super) async fn send_raw(&mut self, wire: &[u8]) {
        self.0.write_all(wire).await.expect("the server reads");
    }

    /// The next lines.
    pub(super) async fn lines(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = Vec::new();
        while lines.len() < count {
            line.push(self.0.read_u8().await.expect("the server answers"));
            if line.ends_with(b"\r\n") {
                lines.push(String::from_utf8_lossy(&line[..line.len() - 2]).into_owned());
                line.clear();
            }
        }
        lines
    }

    /// Every line until the server closes the connection.
    pub(super) async fn rest(&mut self) -> Vec<String> {
        let mut wire = Vec::new();
        self.0.read_to_end(&mut wire).await.expect("the server closes");
        let text = String::from_utf8_lossy(&wire);
        text.split_terminator("\r\n").map(str::to_owned).collect()
    }
}
