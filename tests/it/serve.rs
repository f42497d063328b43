//! `tradewind serve`: the peers answer on real sockets, say where they are, and end when they are asked to.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a client outside the system, as any client is"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// A served peer; killed when a test fails before it ends the peer.
struct Served {
    child: Child,
    stdout: BufReader<ChildStdout>,
    port: u16,
    data: String,
}

impl Served {
    /// Starts `tradewind serve` and reads the line with which it says that it is ready.
    fn start(peer: &str, args: &[&str]) -> Self {
        let mut command = Command::new(tests::tradewind());
        command.args(["serve", peer, "--port", "0"]).args(args).stdout(Stdio::piped());
        let mut child = command.spawn().expect("tradewind runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line of text");
        let place = line.trim_end().strip_prefix(&format!("{peer} listening on 127.0.0.1:"));
        let (port, data) = place.and_then(|place| place.split_once(", data in ")).expect(&line);
        let (port, data) = (port.parse().expect("a port"), data.to_owned());
        Self { child, stdout, port, data }
    }

    /// What the peer answers to `request` until it has answered `answer` – or closes, which is a failure.
    fn answers(&self, request: &[u8], answer: &[u8]) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the peer listens");
        stream.write_all(request).expect("the peer reads");
        let mut got = Vec::new();
        while !got.windows(answer.len()).any(|window| window == answer) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap_or_else(|_| panic!("{:?}", String::from_utf8_lossy(&got)));
            got.push(byte[0]);
        }
    }

    /// Ends the peer as a user or an init system does; returns what it said after its first line.
    fn stop(mut self, signal: Signal) -> String {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process has an id");
        kill_process(pid, signal).expect("the peer runs");
        assert_eq!(self.child.wait().expect("the peer ends").code(), Some(0));
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        rest
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has usually ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn refused(args: &[&str]) -> String {
    let Output { status, stdout, stderr } =
        Command::new(tests::tradewind()).arg("serve").args(args).output().expect("tradewind runs");
    assert_eq!((status.code(), stdout.as_slice()), (Some(2), &b""[..]), "{args:?}");
    let text = String::from_utf8(stderr).expect("text");
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().strip_prefix("tradewind: ").expect("the program says who it is").to_owned()
}

#[test]
fn each_peer_answers_in_its_protocol_and_ends_when_asked() {
    let bus = Served::start("bus", &[]);
    bus.answers(b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n");
    let ledger = Served::start("ledger", &[]);
    // An SSLRequest (PostgreSQL protocol, "Message Formats"), which a server without encryption answers with N.
    ledger.answers(&[0, 0, 0, 8, 4, 210, 22, 47], b"N");
    let broker = Served::start("broker", &[]);
    broker.answers(b"GET /fapi/v1/ping HTTP/1.1\r\nHost: localhost\r\n\r\n", b"200 OK");
    let temporary = bus.data.clone();
    assert!(Path::new(&temporary).is_dir());
    for (peer, signal) in [(bus, Signal::TERM), (ledger, Signal::INT), (broker, Signal::TERM)] {
        assert_eq!(peer.stop(signal), "", "nothing is said at the end");
    }
    assert!(!Path::new(&temporary).exists(), "a temporary directory is removed");
}

#[test]
fn files_are_kept_where_the_user_wants_them() {
    let directory = tempfile::tempdir().expect("room for files");
    let data = directory.path().join("deep/ledger");
    let ledger = Served::start("ledger", &["--data", data.to_str().expect("a path of text")]);
    assert_eq!(Path::new(&ledger.data), data);
    // It listens before it has opened its log.
    let log = data.join(ledger::WAL);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !log.is_file() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    ledger.stop(Signal::TERM);
    assert!(log.is_file());
}

#[test]
fn a_broker_plays_the_tape_it_is_given() {
    let directory = tempfile::tempdir().expect("room for a file");
    let tape = directory.path().join("one.csv");
    // One trade, over and over.
    fs::write(&tape, "1,12345.60,0.003,1,1,1498793709153,true\n").expect("a writable file");
    let broker = Served::start("broker", &["--tape", tape.to_str().expect("a path of text")]);
    let request =
        b"GET /ws/btcusdt@aggTrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    broker.answers(request, b"\"p\":\"12345.60\"");
    broker.stop(Signal::TERM);
}

#[test]
fn what_cannot_be_served_is_refused_in_one_line_that_names_it() {
    let bus = Served::start("bus", &[]);
    let taken = refused(&["bus", "--port", &bus.port.to_string()]);
    assert!(taken.starts_with(&format!("cannot serve the bus on 127.0.0.1:{}: ", bus.port)), "{taken}");
    assert!(taken.contains("Address already in use"), "{taken}");

    let directory = tempfile::tempdir().expect("room for files");
    let file = directory.path().join("file");
    fs::write(&file, "1,x,1,1,1,1,true\n").expect("a writable file");
    let file = file.to_str().expect("a path of text");
    assert!(refused(&["bus", "--data", file]).starts_with(&format!("cannot write in {file}: ")));
    let tape = format!("{file}:1:3: expected a price above zero, found \"x\"");
    assert_eq!(refused(&["broker", "--tape", file]), tape);
    assert!(refused(&["broker", "--tape", "/nowhere/tape.csv"]).starts_with("/nowhere/tape.csv: No such"));
    assert!(refused(&["bus", "--tape", file]).contains("unexpected argument '--tape'"));
    let port = "invalid value '65536' for '--port <P>': a port is a whole number from 0 to 65535";
    assert_eq!(refused(&["ledger", "--port", "65536"]), port);
    assert!(refused(&["exchange"]).contains("unrecognized subcommand 'exchange'"));
}
