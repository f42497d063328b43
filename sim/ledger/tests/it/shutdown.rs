//! An orderly end.

use std::{pin::pin, sync::Arc};

use async_trait::async_trait;
use env::{BoxFuture, Env, ProcessError, ProcessState, Processes};
use ledger::{CHECKPOINT, Config, Server};
use tokio_util::sync::CancellationToken;

use crate::{
    disk::FaultyDisk,
    fixture::{connect, env_on, rows, told},
};

/// Someone who can ask the process to end.
struct Operator(CancellationToken);

#[async_trait]
impl Processes for Operator {
    async fn start(&self, name: &str) -> Result<(), ProcessError> {
        Err(ProcessError::Unknown(name.to_owned()))
    }

    async fn stop(&self, name: &str) -> Result<(), ProcessError> {
        Err(ProcessError::Unknown(name.to_owned()))
    }

    async fn kill(&self, name: &str) -> Result<(), ProcessError> {
        Err(ProcessError::Unknown(name.to_owned()))
    }

    fn state(&self, name: &str) -> Result<ProcessState, ProcessError> {
        Err(ProcessError::Unknown(name.to_owned()))
    }

    fn stop_requested(&self) -> BoxFuture<()> {
        Box::pin(self.0.clone().cancelled_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_connected_is_told_the_rest_is_committed_and_the_log_is_a_checkpoint() {
    let (disk, stop) = (FaultyDisk::default(), CancellationToken::new());
    let env = Env { processes: Arc::new(Operator(stop.clone())), ..env_on(&disk) };
    let server = Server::bind(env, Config { port: 0, ..Config::default() }).await.unwrap();
    let port = server.port().unwrap();
    let clients = async {
        let (idle, busy) = (connect(port).await.unwrap(), connect(port).await.unwrap());
        idle.batch_execute("CREATE TABLE t (id BIGINT PRIMARY KEY, note TEXT)").await.unwrap();
        idle.batch_execute("INSERT INTO t VALUES (1, 'kept')").await.unwrap();
        idle.batch_execute("BEGIN; INSERT INTO t VALUES (2, 'lost')").await.unwrap();
        let mut insert = pin!(busy.batch_execute("INSERT INTO t VALUES (2, 'waits')"));
        tokio::select! {
            biased;
            _ = &mut insert => panic!("it waits for the other transaction"),
            () = async { rows(&connect(port).await.unwrap(), "SELECT 1").await; } => {}
        }
        stop.cancel();
        let error = told(insert.await);
        assert_eq!((error.severity(), error.code().code()), ("FATAL", "57P01"));
        assert_eq!(error.message(), "terminating connection due to administrator command");
        while !idle.is_closed() {
            tokio::task::yield_now().await;
        }
    };
    let (ended, ()) = tokio::join!(server.run(), clients);
    ended.unwrap();
    assert_eq!(disk.names(), [CHECKPOINT, "wal.2"]);
    let again = crate::fixture::Ledger::on(FaultyDisk::with(disk.platter())).await;
    assert_eq!(rows(&again.client().await, "SELECT * FROM t").await, ["1|kept"]);
}
