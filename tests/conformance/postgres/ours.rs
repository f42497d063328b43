//! The ledger in this process, on a loopback port and a directory of its own.

use std::thread::JoinHandle;

use ledger::{Config, Server};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A running ledger; it ends with the value.
pub struct Ledger {
    pub port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _data: TempDir,
}

impl Ledger {
    /// Starts one with nothing in it.
    pub fn start() -> Self {
        let data = tempfile::tempdir().expect("a directory for the ledger");
        let config = env::os::Config {
            listen_ip: "127.0.0.1".into(),
            data_dir: data.path().into(),
            ..Default::default()
        };
        let (stop, stopped) = oneshot::channel();
        let (bound, port) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let env = env::os::env(config).expect("a directory for the ledger");
                let server =
                    Server::bind(env, Config { port: 0, ..Config::default() }).await.expect("a port");
                bound.send(server.port().expect("a port")).expect("somebody waits for the port");
                tokio::select! {
                    biased;
                    _ = stopped => {}
                    ended = server.run() => panic!("the ledger ended: {:?}", ended.err()),
                }
            });
        });
        let port = port.recv().expect("the ledger starts");
        Self { port, stop: Some(stop), thread: Some(thread), _data: data }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there has been printed; a second one here would hide the test's own.
            let _ = thread.join();
        }
    }
}
