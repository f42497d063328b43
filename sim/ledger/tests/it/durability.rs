//! What survives, and what a client is told when the disk fails.

use crate::fixture::{Ledger, WAL, code, fault, rows, waits};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_power_loss() {
    let (ledger, client) = Ledger::with_table().await;
    client.batch_execute("INSERT INTO t VALUES (1, 'kept')").await.unwrap();
    client.batch_execute("BEGIN; INSERT INTO t VALUES (2, 'open')").await.unwrap();
    let again = ledger.after_power_loss().await;
    let client = again.client().await;
    assert_eq!(rows(&client, "SELECT * FROM t").await, ["1|kept"]);
    assert_eq!(code(&client, "INSERT INTO t VALUES (1, 'twice')").await, "23505");
    client.batch_execute("INSERT INTO t VALUES (3, 'later')").await.unwrap();
    assert_eq!(rows(&again.after_power_loss().await.client().await, "SELECT id FROM t").await, ["1", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_at_every_byte_of_a_record_and_recovers_when_there_is_room() {
    let (ledger, client) = Ledger::with_table().await;
    client.batch_execute("INSERT INTO t VALUES (1, 'before')").await.unwrap();
    let before = ledger.disk.cached(WAL);
    client.batch_execute("INSERT INTO t VALUES (2, 'probe')").await.unwrap();
    let record = ledger.disk.cached(WAL).len() - before.len();
    for room in 0..record {
        let size = ledger.disk.cached(WAL).len();
        ledger.disk.full_after(room);
        let error = fault(&client, "INSERT INTO t VALUES (3, 'probe')").await;
        assert_eq!(error.code().code(), "53100", "with room for {room} bytes");
        assert_eq!(error.message(), "could not extend file \"wal.1\": No space left on device");
        assert_eq!(error.hint(), Some("Check free disk space."));
        assert_eq!(ledger.disk.cached(WAL).len(), size, "the log is cut back to whole records");
        assert_eq!(rows(&client, "SELECT id FROM t").await, ["1", "2"], "it stays readable");
    }
    ledger.disk.full_after(9);
    assert_eq!(code(&client, "BEGIN; INSERT INTO t VALUES (4, 'block'); COMMIT").await, "53100");
    ledger.disk.free();
    client.batch_execute("INSERT INTO t VALUES (3, 'after')").await.unwrap();
    assert_eq!(
        rows(&ledger.after_power_loss().await.client().await, "SELECT id FROM t").await,
        ["1", "2", "3"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_is_a_panic_and_only_what_is_durable_comes_back() {
    let (ledger, client) = Ledger::with_table().await;
    let bystander = ledger.client().await;
    client.batch_execute("INSERT INTO t VALUES (1, 'durable')").await.unwrap();
    ledger.disk.fail_next_sync();
    let error = fault(&client, "INSERT INTO t VALUES (2, 'lost')").await;
    assert_eq!((error.severity(), error.code().code()), ("PANIC", "58030"));
    assert_eq!(error.message(), "could not fsync file \"wal.1\": Input/output error");
    assert!(client.simple_query("SELECT 1").await.is_err(), "the connection is closed");
    assert!(bystander.simple_query("SELECT 1").await.is_err(), "and so are the others");
    let client = ledger.client().await;
    assert_eq!(rows(&client, "SELECT * FROM t").await, ["1|durable"]);
    client.batch_execute("INSERT INTO t VALUES (2, 'again')").await.unwrap();
    assert_eq!(
        rows(&ledger.after_power_loss().await.client().await, "SELECT note FROM t").await,
        ["durable", "again"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_a_commit_before_it_is_durable() {
    let (ledger, client) = Ledger::with_table().await;
    let reader = ledger.client().await;
    let gate = ledger.disk.hold_syncs();
    let release = async {
        while ledger.disk.cached(WAL) == ledger.disk.durable(WAL) {
            tokio::task::yield_now().await;
        }
        assert_eq!(rows(&reader, "SELECT count(*) FROM t").await, ["0"]);
        gate.add_permits(1);
    };
    let (inserted, ()) = tokio::join!(client.batch_execute("INSERT INTO t VALUES (1, 'held')"), release);
    inserted.unwrap();
    assert_eq!(rows(&reader, "SELECT count(*) FROM t").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_commit_to_be_durable_goes_on_when_it_is_refused() {
    let (ledger, client) = Ledger::with_table().await;
    let second = ledger.client().await;
    let gate = ledger.disk.hold_syncs();
    let first = client.batch_execute("INSERT INTO t VALUES (1, 'first')");
    let rest = async {
        // The second waits for the first, whose sync is held; then the disk is full for it.
        while ledger.disk.cached(WAL) == ledger.disk.durable(WAL) {
            tokio::task::yield_now().await;
        }
        let insert = "INSERT INTO t VALUES (1, 'second') ON CONFLICT (id) DO UPDATE SET note = t.note || ' then second'";
        let mut upsert = std::pin::pin!(second.batch_execute(insert));
        assert!(waits(&ledger, upsert.as_mut()).await);
        assert_eq!(rows(&ledger.client().await, "SELECT count(*) FROM t").await, ["0"]);
        ledger.disk.full_after(0);
        gate.add_permits(1_000);
        upsert.await
    };
    let (first, second) = tokio::join!(first, rest);
    first.unwrap();
    assert_eq!(second.unwrap_err().code().unwrap().code(), "53100");
    assert_eq!(rows(&client, "SELECT * FROM t").await, ["1|first"]);
}
