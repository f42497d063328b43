//! Who waits for whom, and which syncs that takes.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use env::WallTime;

use super::*;
use crate::error::state;

struct Clock;

impl WallClock for Clock {
    fn now(&self) -> WallTime {
        WallTime::from_micros(0)
    }
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
    let writer = engine.writer(true).await.unwrap();
    assert!(writer.run(&prepared, &[], 0).unwrap().is_some());
    writer.commit()
}

#[tokio::test]
async fn committers_that_wait_together_share_one_sync() {
    let engine = Engine::new(Tables::default(), Arc::new(Clock));
    let mut tickets = vec![write(&engine, "CREATE TABLE t (id INT PRIMARY KEY)").await];
    for id in 0..7 {
        tickets.push(write(&engine, &format!("INSERT INTO t VALUES ({id})")).await);
    }
    let unseen = engine.prepare("SELECT count(*) FROM t", &[], false).unwrap_err();
    assert_eq!(unseen.state, state::UNDEFINED_TABLE);

    let file = File::default();
    let mut log = Log::in_file(Box::new(file.clone()));
    let durable = async {
        for ticket in tickets {
            ticket.durable().await.unwrap();
        }
    };
    tokio::select! {
        biased;
        error = engine.write_log(&mut log) => panic!("{error}"),
        () = durable => {}
    }
    assert_eq!(file.0.load(Ordering::Relaxed), 1);

    let count = engine.prepare("SELECT count(*) FROM t", &[], false).unwrap().unwrap();
    assert_eq!(engine.read(&count, &[], 0).unwrap().unwrap().rows, [[Value::Int(7)]]);
}
