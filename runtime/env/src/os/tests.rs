//! The seam on this machine.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{OpenMode, ProcessError, ProcessState, read_all, write_all_at};

fn on_this_machine(test: impl AsyncFnOnce(Env)) {
    let directory = tempfile::tempdir().expect("room for files");
    let command = |program: &str, args: &[&str]| Command {
        program: program.into(),
        args: args.iter().map(ToString::to_string).collect(),
    };
    let commands = BTreeMap::from([
        ("sleeper".to_string(), command("sleep", &["600"])),
        ("ghost".to_string(), command("/nowhere/ghost", &[])),
    ]);
    let config = Config {
        data_dir: directory.path().join("data"),
        listen_ip: "127.0.0.1".into(),
        // Port 1 is for root only, and 0 for any that is free.
        ports: BTreeMap::from([(1, 0)]),
        hosts: BTreeMap::new(),
        commands,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { test(env(config).expect("a directory and signals")).await });
}

#[test]
fn files_keep_what_is_written_and_names_are_as_in_posix() {
    on_this_machine(async |env| {
        let disk = &env.disk;
        disk.create_dir_all(Path::new("a/b")).await.expect("a new directory");
        let file = disk.open(Path::new("a/b/f"), OpenMode::CreateNew).await.expect("a new file");
        write_all_at(&*file, b"hello world", 0).await.expect("it writes");
        file.set_len(5).await.expect("it is cut");
        file.sync().await.expect("it syncs");
        disk.sync_dir(Path::new("a/b")).await.expect("the directory syncs");
        disk.rename(Path::new("a/b/f"), Path::new("a/g")).await.expect("it is renamed");
        let again = disk.open(Path::new("a/g"), OpenMode::Read).await.expect("it is there");
        assert_eq!(read_all(&*again).await.expect("it reads"), b"hello");
        assert!(again.write_at(b"x", 0).await.is_err(), "it was opened for reading");
        assert_eq!(disk.list(Path::new("a")).await.expect("a directory"), ["b", "g"]);
        disk.remove(Path::new("a/g")).await.expect("it is removed");
        let gone = disk.open(Path::new("a/g"), OpenMode::Read).await.err().map(|error| error.kind());
        assert_eq!(gone, Some(io::ErrorKind::NotFound));
        assert!(disk.free_space().await.expect("a file system") > 0);
    });
}

#[test]
fn a_stream_carries_bytes_and_a_taken_port_is_refused() {
    on_this_machine(async |env| {
        let listener = env.net.listen(0).await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let taken = env.net.listen(port).await.err().map(|error| error.kind());
        assert_eq!(taken, Some(io::ErrorKind::AddrInUse));
        let elsewhere = env.net.listen(1).await.expect("another port stands for it");
        assert_ne!(elsewhere.local_addr().expect("it is bound").port(), 1);
        let echo = env.spawn("echo", async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut byte = [0];
            stream.read_exact(&mut byte).await.expect("a byte");
            stream.write_all(&byte).await.expect("it is taken");
        });
        let mut stream = env.net.connect("127.0.0.1", port).await.expect("it listens");
        stream.write_all(b"!").await.expect("it is taken");
        let mut byte = [0];
        stream.read_exact(&mut byte).await.expect("it comes back");
        assert_eq!(byte, *b"!");
        echo.ended().await;
    });
}

#[test]
fn a_process_is_started_once_and_ends_when_told() {
    on_this_machine(async |env| {
        let processes = &env.processes;
        assert_eq!(processes.state("sleeper").expect("a known name"), ProcessState::Stopped);
        processes.start("sleeper").await.expect("it starts");
        assert_eq!(processes.state("sleeper").expect("a known name"), ProcessState::Running);
        assert!(matches!(processes.start("sleeper").await, Err(ProcessError::AlreadyRunning(_))));
        processes.stop("sleeper").await.expect("it ends by SIGTERM");
        assert_eq!(processes.state("sleeper").expect("a known name"), ProcessState::Stopped);
        processes.restart("sleeper").await.expect("it starts again");
        processes.kill("sleeper").await.expect("it ends by SIGKILL");
        processes.kill("sleeper").await.expect("nothing to do is no error");
        assert!(matches!(processes.start("ghost").await, Err(ProcessError::Os { .. })));
        assert!(matches!(processes.state("nobody"), Err(ProcessError::Unknown(_))));
        let asked = tokio::time::timeout(Duration::from_millis(10), processes.stop_requested()).await;
        assert!(asked.is_err(), "nobody has asked this process to end");
    });
}

#[test]
fn clock_entropy_and_gauges_tell_something_plausible() {
    on_this_machine(async |env| {
        assert!(env.clock.now() > WallTime::from_millis(1_700_000_000_000));
        assert_ne!(env.entropy.bits("test"), env.entropy.bits("test"));
        assert!((0..100).all(|_| env.entropy.below("test", 3) < 3));
        let memory = env.resources.memory().expect("Linux tells");
        assert!(memory.used > 0 && memory.used < memory.limit);
    });
}
