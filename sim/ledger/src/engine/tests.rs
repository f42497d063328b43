//! Who waits for whom, and which syncs that takes.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;

use super::*;
use crate::{error::state, sql::Progress, store::Log};

const GIVEN: Given<'static> = Given { params: &[], now: 0, process: 1 };

fn env() -> Env {
    env::os::env(env::os::Config { data_dir: std::env::temp_dir(), ..Default::default() }).unwrap()
}

fn engine() -> Arc<Engine> {
    Engine::new(Tables::default(), &env(), Board::new(), CancellationToken::new())
}

/// Takes everything and counts the syncs.
#[derive(Clone, Default)]
struct File(Arc<AtomicUsize>);

#[async_trait]
impl env::File for File {
    async fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Ok(0)
    }

    async fn write_at(&self, data: &[u8], _: u64) -> io::Result<usize> {
        Ok(data.len())
    }

    async fn set_len(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    async fn len(&self) -> io::Result<u64> {
        Ok(0)
    }

    async fn sync(&self) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

async fn write(engine: &Arc<Engine>, sql: &str) -> Ticket {
    let prepared = engine.prepare(sql, &[], true).unwrap().unwrap();
    let writer = engine.begin(1).unwrap();
    let ran = writer.run(&prepared, GIVEN, &mut Progress::default()).unwrap();
    assert!(matches!(ran, Ran::Done(_)));
    writer.commit().unwrap()
}

async fn count(engine: &Arc<Engine>) -> Vec<Vec<Value>> {
    let count = engine.prepare("SELECT count(*) FROM t", &[], false).unwrap().unwrap();
    match engine.read(&count, GIVEN, &Progress::default()).unwrap() {
        Ran::Done(answer) => answer.rows,
        _ => panic!("readers do not wait"),
    }
}

#[tokio::test]
async fn committers_that_wait_together_share_one_sync() {
    let file = File::default();
    let mut log = Log::in_file(env().disk, Box::new(file.clone()));
    let engine = engine();
    let table = write(&engine, "CREATE TABLE t (id INT PRIMARY KEY)").await;
    let unseen = engine.prepare("SELECT count(*) FROM t", &[], false).unwrap_err();
    assert_eq!(unseen.state, state::UNDEFINED_TABLE);
    let story = async {
        table.durable().await.unwrap();
        let mut tickets = Vec::new();
        for id in 0..7 {
            tickets.push(write(&engine, &format!("INSERT INTO t VALUES ({id})")).await);
        }
        assert_eq!(count(&engine).await, [[Value::Int(0)]], "nobody sees what is not durable");
        for ticket in tickets {
            assert!(ticket.durable().await.unwrap());
        }
    };
    tokio::select! {
        biased;
        over = engine.write_log(&mut log, u64::MAX, std::future::pending()) => panic!("{over:?}"),
        () = story => {}
    }
    assert_eq!(file.0.load(Ordering::Relaxed), 2, "one for the table, one for all rows");
    assert_eq!(count(&engine).await, [[Value::Int(7)]]);
}
