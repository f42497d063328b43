//! The log does not grow for ever, and whenever the machine dies, exactly what was committed comes back.

use std::{collections::BTreeMap, time::Duration};

use ledger::{CHECKPOINT, Config, OpenError, Replica, ServeError, Server};

use crate::{
    disk::{FaultyDisk, Files},
    fixture::{Ledger, code, env_on, fault, rows},
};

fn replica(files: &Files) -> Replica {
    let mut replica = Replica::default();
    replica.catch_up(|name, look| look(files.get(name).map(Vec::as_slice)));
    replica
}

fn ids(replica: &Replica) -> Vec<String> {
    replica.rows("t").map(|row| row.text("id").unwrap()).collect()
}

/// Checkpoints each `bytes` bytes of log.
async fn checkpointing(disk: &FaultyDisk, bytes: u64) -> Ledger {
    Ledger::with(disk.clone(), Config { checkpoint_bytes: bytes, ..Config::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_replaces_the_log_and_nothing_is_lost() {
    let (ledger, client) = Ledger::with_table().await;
    client
        .batch_execute("INSERT INTO t VALUES (1, 'a'), (2, 'b'); DELETE FROM t WHERE id = 1")
        .await
        .unwrap();
    client.batch_execute("CHECKPOINT").await.unwrap();
    assert_eq!(ledger.disk.names(), [CHECKPOINT, "wal.2"]);
    client.batch_execute("INSERT INTO t VALUES (3, 'c')").await.unwrap();
    client.batch_execute("checkpoint").await.unwrap();
    assert_eq!(ledger.disk.names(), [CHECKPOINT, "wal.3"]);
    client.batch_execute("INSERT INTO t VALUES (4, 'd')").await.unwrap();
    assert_eq!(ids(&replica(&ledger.disk.platter())), ["2", "3", "4"]);
    let again = ledger.after_power_loss().await;
    let client = again.client().await;
    assert_eq!(rows(&client, "SELECT * FROM t").await, ["2|b", "3|c", "4|d"]);
    assert_eq!(code(&client, "INSERT INTO t VALUES (2, 'twice')").await, "23505");
    client.batch_execute("CREATE TABLE u (a INT); INSERT INTO u VALUES (7)").await.unwrap();
    assert_eq!(rows(&again.after_power_loss().await.client().await, "SELECT a FROM u").await, ["7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_holds_only_what_is_committed() {
    let (ledger, client) = Ledger::with_table().await;
    let open = ledger.client().await;
    client.batch_execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')").await.unwrap();
    open.batch_execute("BEGIN; UPDATE t SET note = 'x' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (3, 'c'); CREATE TABLE u (a INT)").await.unwrap();
    client.batch_execute("CHECKPOINT").await.unwrap();
    let lost = ledger.after_power_loss().await;
    assert_eq!(rows(&lost.client().await, "SELECT * FROM t").await, ["1|a", "2|b"]);
    open.batch_execute("INSERT INTO u VALUES (1); COMMIT").await.unwrap();
    let again = ledger.after_power_loss().await;
    let kept = again.client().await;
    assert_eq!(rows(&kept, "SELECT * FROM t").await, ["1|x", "3|c"]);
    assert_eq!(rows(&kept, "SELECT a FROM u").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_stays_small_by_itself() {
    let disk = FaultyDisk::default();
    let ledger = checkpointing(&disk, 2_000).await;
    let client = ledger.client().await;
    client.batch_execute("CREATE TABLE t (id BIGINT PRIMARY KEY, note TEXT)").await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (1, '')").await.unwrap();
    for round in 0..300 {
        client.batch_execute(&format!("UPDATE t SET note = '{round}' WHERE id = 1")).await.unwrap();
    }
    client.batch_execute("CHECKPOINT").await.unwrap();
    let size: usize = disk.platter().values().map(Vec::len).sum();
    assert!(size < 1_000, "{size} bytes are left");
    assert_eq!(replica(&disk.platter()).find("t", "id", "1").unwrap().text("note").as_deref(), Some("299"));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_moment_a_crash_leaves_exactly_what_was_committed() {
    let disk = FaultyDisk::default();
    let ledger = checkpointing(&disk, 400).await;
    let client = ledger.client().await;
    client.batch_execute("CREATE TABLE t (id BIGINT PRIMARY KEY, note TEXT)").await.unwrap();
    disk.keep_history();
    for id in 1..=25 {
        client.batch_execute(&format!("INSERT INTO t VALUES ({id}, 'a note of some length')")).await.unwrap();
        disk.note(id);
        if id % 10 == 0 {
            client.batch_execute("CHECKPOINT").await.unwrap();
        }
    }
    let mut follower = Replica::default();
    let history = disk.history();
    assert!(history.len() > 200);
    let mut states: BTreeMap<Files, usize> = BTreeMap::new();
    for (acknowledged, files) in history {
        // What follows the files from state to state sees what one sees that begins with this state.
        follower.catch_up(|name, look| look(files.get(name).map(Vec::as_slice)));
        assert_eq!(ids(&follower), ids(&replica(&files)));
        let least = states.entry(files).or_insert(acknowledged);
        *least = (*least).max(acknowledged);
    }
    for (files, acknowledged) in states {
        let expected = ids(&replica(&files));
        assert!((acknowledged..=acknowledged + 1).contains(&expected.len()), "{acknowledged}: {expected:?}");
        let recovered = Ledger::on(FaultyDisk::with(files)).await;
        assert_eq!(rows(&recovered.client().await, "SELECT id FROM t").await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_the_checkpoint_and_nothing_else_at_every_byte() {
    let (ledger, client) = Ledger::with_table().await;
    client.batch_execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')").await.unwrap();
    client.batch_execute("CHECKPOINT").await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (3, 'c')").await.unwrap();
    let needed = ledger.disk.durable(CHECKPOINT).len();
    for room in (0..needed).step_by(7) {
        ledger.disk.full_after(room);
        let error = fault(&client, "CHECKPOINT").await;
        assert_eq!((error.code().code(), error.message()), ("XX000", "checkpoint request failed"), "{room}");
        assert_eq!(ids(&replica(&ledger.disk.platter())), ["1", "2", "3"]);
        ledger.disk.free();
        assert_eq!(
            rows(&ledger.after_power_loss().await.client().await, "SELECT id FROM t").await,
            ["1", "2", "3"]
        );
    }
    client.batch_execute("INSERT INTO t VALUES (4, 'd')").await.unwrap();
    client.batch_execute("CHECKPOINT").await.unwrap();
    assert_eq!(ledger.disk.names().len(), 2);
    assert_eq!(
        rows(&ledger.after_power_loss().await.client().await, "SELECT id FROM t").await,
        ["1", "2", "3", "4"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_go_on_while_a_checkpoint_is_written() {
    let (ledger, client) = Ledger::with_table().await;
    client.batch_execute("INSERT INTO t VALUES (1, 'before')").await.unwrap();
    let other = ledger.client().await;
    let gate = ledger.disk.hold_syncs();
    let work = async {
        // The new segment, then the commit that goes into it; the checkpoint's own sync is still held.
        gate.add_permits(1);
        while !ledger.disk.names().contains(&"checkpoint.new".to_owned()) {
            tokio::task::yield_now().await;
        }
        let insert = other.batch_execute("INSERT INTO t VALUES (2, 'meanwhile')");
        let release = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            gate.add_permits(1_000);
        };
        tokio::join!(insert, release).0.unwrap();
    };
    let (checkpointed, ()) = tokio::join!(client.batch_execute("CHECKPOINT"), work);
    checkpointed.unwrap();
    assert_eq!(rows(&ledger.after_power_loss().await.client().await, "SELECT id FROM t").await, ["1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_or_corrupt_is_an_error() {
    let (ledger, client) = Ledger::with_table().await;
    client.batch_execute("CHECKPOINT").await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (1, 'a')").await.unwrap();
    let whole = ledger.disk.platter();
    let open = async |files: Files| {
        let config = Config { port: 0, ..Config::default() };
        let server = Server::bind(env_on(&FaultyDisk::with(files)), config).await.unwrap();
        match server.run().await {
            Err(ServeError::Open(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let mut missing = whole.clone();
    missing.remove("wal.2");
    assert!(matches!(open(missing).await, OpenError::Missing { segment: 2 }));
    for byte in 0..whole[CHECKPOINT].len() {
        let mut corrupt = whole.clone();
        corrupt.get_mut(CHECKPOINT).unwrap()[byte] ^= 0x10;
        assert!(matches!(open(corrupt).await, OpenError::BadCheckpoint), "byte {byte}");
    }
}
