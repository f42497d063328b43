//! Both sides of a comparison as running servers: real Redis and PostgreSQL, and ours through `tradewind serve`. Each
//! listens on a free port of 127.0.0.1, keeps its files in a temporary directory and ends when dropped, also by a panic.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether it has.
const GLANCE: Duration = Duration::from_millis(10);
/// PostgreSQL's superuser; the system's user of that name also runs it when the tests run as root, which it refuses.
const POSTGRES: &str = "postgres";

/// The programs that `prepare` provides, by name; made available at the first call.
///
/// # Panics
/// With the script's message when it cannot.
pub fn program(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        let directory = tests::target().join("conformance");
        let output = Command::new(tests::root().join("tests/conformance/prepare")).arg(&directory).output();
        let output = output.expect("tests/conformance/prepare runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        directory
    });
    directory.join("bin").join(name)
}

/// The version that a program of `prepare` says it has: the first word with a dot in what `--version` prints.
pub fn version(name: &str) -> String {
    let output = Command::new(program(name)).arg("--version").output().expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let word =
        text.split_whitespace().find(|word| word.contains('.')).unwrap_or_else(|| panic!("{name}: {text}"));
    word.trim_start_matches("v=").to_owned()
}

/// A server that listens.
pub struct Server {
    /// On 127.0.0.1.
    pub port: u16,
    child: Child,
    /// What ends it gracefully and soon.
    end: Signal,
    _files: TempDir,
}

impl Server {
    /// Redis with its defaults, without persistence. `settings` are words as on its command line: `--requirepass x`.
    pub fn redis(settings: &[&str]) -> Self {
        let files = files();
        let port = free_port();
        let mut command = tied(&program("redis-server"), None);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--dir"]);
        command.arg(files.path()).args(settings);
        Self::start(command, port, Signal::TERM, files, |port| {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
    }

    /// PostgreSQL: database, user and superuser `postgres`, no password, encoding UTF-8, locale C.UTF-8, time zone UTC.
    /// `settings` are `name=value`.
    pub fn postgres(settings: &[&str]) -> Self {
        let files = files();
        let user = rustix::process::geteuid().is_root().then_some(POSTGRES);
        if user.is_some() {
            let (uid, gid) = (id("-u"), id("-g"));
            chown(files.path(), Some(uid), Some(gid)).expect("root may give its files away");
        }
        let data = files.path().join("data");
        let mut initdb = tied(&program("initdb"), user);
        initdb.args(["--username", POSTGRES, "--encoding", "UTF8", "--locale", "C.UTF-8", "--auth", "trust"]);
        initdb.args(["--no-sync", "--no-instructions", "--pgdata"]).arg(&data);
        let output = initdb.current_dir(files.path()).output().expect("initdb runs");
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let port = free_port();
        let mut command = tied(&program("postgres"), user);
        command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""]);
        for setting in ["fsync=off", "timezone=UTC", "log_timezone=UTC"].iter().chain(settings) {
            command.args(["-c", setting]);
        }
        let psql = program("psql");
        // SIGINT is its fast shutdown; it listens before it lets anybody in.
        Self::start(command, port, Signal::INT, files, |port| {
            let mut ask = Command::new(&psql);
            ask.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", POSTGRES, "-c", "SELECT 1"]);
            ask.output().is_ok_and(|output| output.status.success())
        })
    }

    /// Ours, as `tradewind serve PEER ARGUMENTS` serves it.
    pub fn ours(peer: &str, arguments: &[&str]) -> Self {
        let files = files();
        let mut command = tied(tests::tradewind(), None);
        command.args(["serve", peer, "--port", "0", "--data"]).arg(files.path()).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("tradewind runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
        let port = line
            .strip_prefix(&format!("{peer} listening on 127.0.0.1:"))
            .and_then(|rest| rest.split_once(','))
            .and_then(|(port, _)| port.parse().ok())
            .unwrap_or_else(|| panic!("`tradewind serve {peer}` says {line:?}"));
        Self { port, child, end: Signal::TERM, _files: files }
    }

    fn start(
        mut command: Command,
        port: u16,
        end: Signal,
        files: TempDir,
        ready: impl Fn(u16) -> bool,
    ) -> Self {
        let log = files.path().join("log");
        let output = File::create(&log).expect("a writable directory");
        command.stdout(output.try_clone().expect("a file")).stderr(output).current_dir(files.path());
        let child = command.spawn().expect("the server's program runs");
        let mut server = Self { port, child, end, _files: files };
        let deadline = Instant::now() + PATIENCE;
        while !ready(port) {
            let alive = server.child.try_wait().expect("a child can be asked").is_none();
            assert!(
                alive && Instant::now() < deadline,
                "{command:?} does not serve:\n{}",
                fs::read_to_string(&log).unwrap_or_default()
            );
            sleep(GLANCE);
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where something fails here, the process has ended or will be killed.
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, self.end);
        }
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            sleep(GLANCE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn files() -> TempDir {
    tempfile::Builder::new().prefix("tradewind-conformance-").tempdir().expect("room for a server's files")
}

/// A command whose process ends with the test that started it, under the name of another user if there is one.
fn tied(program: &Path, user: Option<&str>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(user) = user {
        command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
    }
    command.arg("--").arg(program);
    command
}

/// The number of PostgreSQL's user (`-u`) or group (`-g`).
fn id(which: &str) -> u32 {
    let output = Command::new("id").args([which, POSTGRES]).output().expect("id runs");
    let number = String::from_utf8_lossy(&output.stdout).trim().parse();
    number.expect("Debian's package of PostgreSQL creates its user")
}

/// A port that nobody had a moment ago: a program that cannot choose one itself must be told.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

#[test]
fn real_servers_and_ours_start_and_end() {
    let bus = [Server::redis(&[]), Server::ours("bus", &[])];
    let ledger = [Server::postgres(&[]), Server::ours("ledger", &[])];
    let ports: Vec<u16> = bus.iter().chain(&ledger).map(|server| server.port).collect();
    for port in &ports {
        TcpStream::connect(("127.0.0.1", *port)).expect("the server listens");
    }
    drop((bus, ledger));
    for port in ports {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "a server outlived its test");
    }
}
