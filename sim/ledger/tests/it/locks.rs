//! Who waits for whom, and what is seen after a wait: row locks, keys, tables.

use std::pin::pin;

use crate::fixture::{Ledger, code, fault, rows, told, waits};

/// A server with the rows 1, 2 and 3, and two clients.
async fn pair() -> (Ledger, tokio_postgres::Client, tokio_postgres::Client) {
    let (ledger, first) = Ledger::with_table().await;
    first.batch_execute("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')").await.unwrap();
    let second = ledger.client().await;
    (ledger, first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_different_rows_do_not_wait() {
    let (_ledger, first, second) = pair().await;
    first
        .batch_execute("BEGIN; UPDATE t SET note = 'x' WHERE id = 1; INSERT INTO t VALUES (4, 'd')")
        .await
        .unwrap();
    second
        .batch_execute("UPDATE t SET note = 'y' WHERE id = 2; INSERT INTO t VALUES (5, 'e')")
        .await
        .unwrap();
    first.batch_execute("COMMIT").await.unwrap();
    assert_eq!(rows(&second, "SELECT * FROM t ORDER BY id").await, ["1|x", "2|y", "3|c", "4|d", "5|e"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_of_a_row_waits_and_builds_on_the_first() {
    let (ledger, first, second) = pair().await;
    first.batch_execute("BEGIN; UPDATE t SET note = note || 1 WHERE id = 1").await.unwrap();
    let mut update = pin!(second.batch_execute("UPDATE t SET note = note || 2 WHERE id = 1"));
    assert!(waits(&ledger, update.as_mut()).await);
    first.batch_execute("COMMIT").await.unwrap();
    update.await.unwrap();
    assert_eq!(rows(&first, "SELECT note FROM t WHERE id = 1").await, ["a12"]);

    first.batch_execute("BEGIN; UPDATE t SET note = 'lost' WHERE id = 1").await.unwrap();
    let mut update = pin!(second.batch_execute("UPDATE t SET note = note || 3 WHERE id = 1"));
    assert!(waits(&ledger, update.as_mut()).await);
    first.batch_execute("ROLLBACK").await.unwrap();
    update.await.unwrap();
    assert_eq!(rows(&first, "SELECT note FROM t WHERE id = 1").await, ["a123"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_is_checked_again_after_a_wait_and_new_rows_are_not_looked_for() {
    // The example of the PostgreSQL documentation (§13.2.1): the row that becomes 'b' meanwhile is not found, and the one
    // that was 'b' no longer is.
    let (ledger, first, second) = pair().await;
    first
        .batch_execute("BEGIN; UPDATE t SET note = 'b' WHERE id = 1; UPDATE t SET note = 'z' WHERE id = 2")
        .await
        .unwrap();
    let mut delete = pin!(second.execute("DELETE FROM t WHERE note = 'b'", &[]));
    assert!(waits(&ledger, delete.as_mut()).await);
    first.batch_execute("COMMIT").await.unwrap();
    assert_eq!(delete.await.unwrap(), 0);
    assert_eq!(rows(&first, "SELECT * FROM t ORDER BY id").await, ["1|b", "2|z", "3|c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_gone_after_a_wait_is_passed_over() {
    let (ledger, first, second) = pair().await;
    first.batch_execute("BEGIN; DELETE FROM t WHERE id = 1").await.unwrap();
    let mut update = pin!(second.execute("UPDATE t SET note = 'all'", &[]));
    assert!(waits(&ledger, update.as_mut()).await);
    first.batch_execute("COMMIT").await.unwrap();
    assert_eq!(update.await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_inserts_or_removes_is_waited_for() {
    let (ledger, first, second) = pair().await;
    first
        .batch_execute("BEGIN; INSERT INTO t VALUES (4, 'first'); DELETE FROM t WHERE id = 3")
        .await
        .unwrap();
    let mut insert = pin!(second.batch_execute("INSERT INTO t VALUES (4, 'second')"));
    assert!(waits(&ledger, insert.as_mut()).await);
    first.batch_execute("COMMIT").await.unwrap();
    assert_eq!(told(insert.await).code().code(), "23505");
    second.batch_execute("INSERT INTO t VALUES (3, 'free again')").await.unwrap();

    first.batch_execute("BEGIN; DELETE FROM t WHERE id = 3").await.unwrap();
    let mut insert = pin!(second.batch_execute("INSERT INTO t VALUES (3, 'too early')"));
    assert!(waits(&ledger, insert.as_mut()).await);
    first.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(told(insert.await).code().code(), "23505", "the key has come back");

    first.batch_execute("BEGIN; UPDATE t SET id = 30 WHERE id = 3").await.unwrap();
    let mut insert = pin!(second.batch_execute("INSERT INTO t VALUES (3, 'moved in')"));
    assert!(waits(&ledger, insert.as_mut()).await);
    first.batch_execute("COMMIT").await.unwrap();
    insert.await.unwrap();
    assert_eq!(
        rows(&first, "SELECT note FROM t WHERE id IN (3, 30) ORDER BY id").await,
        ["moved in", "free again"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn conflict_handlers_wait_for_the_outcome() {
    let (ledger, first, second) = pair().await;
    for (end, nothing, merged) in [("COMMIT", 0, "first+second"), ("ROLLBACK", 1, "second")] {
        let (id, key) = if end == "COMMIT" { (10, 11) } else { (20, 21) };
        first
            .batch_execute(&format!("BEGIN; INSERT INTO t VALUES ({id}, 'first'), ({key}, 'first')"))
            .await
            .unwrap();
        let insert = format!("INSERT INTO t VALUES ({id}, 'second') ON CONFLICT DO NOTHING");
        let mut insert = pin!(second.execute(insert.as_str(), &[]));
        assert!(waits(&ledger, insert.as_mut()).await, "{end}");
        first.batch_execute(end).await.unwrap();
        assert_eq!(insert.await.unwrap(), nothing, "{end}");

        first
            .batch_execute(&format!(
                "DELETE FROM t WHERE id = {key}; BEGIN; INSERT INTO t VALUES ({key}, 'first')"
            ))
            .await
            .unwrap();
        let upsert = format!(
            "INSERT INTO t VALUES ({key}, 'second') ON CONFLICT (id) DO UPDATE SET note = t.note || '+' || excluded.note"
        );
        let mut upsert = pin!(second.batch_execute(&upsert));
        assert!(waits(&ledger, upsert.as_mut()).await, "{end}");
        first.batch_execute(end).await.unwrap();
        upsert.await.unwrap();
        assert_eq!(rows(&first, &format!("SELECT note FROM t WHERE id = {key}")).await, [merged]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_locked_without_being_changed() {
    let (ledger, first, second) = pair().await;
    first.batch_execute("BEGIN").await.unwrap();
    assert_eq!(rows(&first, "SELECT note FROM t WHERE id = 1 FOR UPDATE").await, ["a"]);
    assert_eq!(rows(&second, "SELECT note FROM t WHERE id = 1").await, ["a"], "readers do not care");
    let error = fault(&second, "SELECT note FROM t WHERE id = 1 FOR UPDATE NOWAIT").await;
    assert_eq!(error.code().code(), "55P03");
    assert_eq!(error.message(), "could not obtain lock on row in relation \"t\"");
    let skip = "SELECT id FROM t ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";
    assert_eq!(rows(&second, skip).await, ["2"]);
    let mut lock = pin!(second.simple_query("SELECT note FROM t WHERE id = 1 AND note = 'a' FOR SHARE"));
    assert!(waits(&ledger, lock.as_mut()).await);
    first.batch_execute("UPDATE t SET note = 'changed' WHERE id = 1; COMMIT").await.unwrap();
    let rows_seen = lock
        .await
        .unwrap()
        .iter()
        .filter(|it| matches!(it, tokio_postgres::SimpleQueryMessage::Row(_)))
        .count();
    assert_eq!(rows_seen, 0, "the row no longer meets the condition");
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_of_rows_exclude_each_other_as_documented() {
    let (_ledger, first, second) = pair().await;
    let clauses = ["KEY SHARE", "SHARE", "NO KEY UPDATE", "UPDATE"];
    let excluded = ["...X", "..XX", ".XXX", "XXXX"];
    for (held, row) in clauses.iter().zip(excluded) {
        first.batch_execute(&format!("BEGIN; SELECT 1 FROM t WHERE id = 1 FOR {held}")).await.unwrap();
        for (wanted, mark) in clauses.iter().zip(row.chars()) {
            let sql = format!("SELECT 1 FROM t WHERE id = 1 FOR {wanted} OF t NOWAIT");
            assert_eq!(second.simple_query(&sql).await.is_err(), mark == 'X', "{wanted} beside {held}");
        }
        let update = "SET statement_timeout = '50ms'; UPDATE t SET note = note WHERE id = 1";
        assert_eq!(second.batch_execute(update).await.is_ok(), *held == "KEY SHARE", "{held}");
        second.batch_execute("RESET statement_timeout").await.unwrap();
        first.batch_execute("COMMIT").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_locked_until_the_transaction_ends() {
    let (ledger, first, second) = pair().await;
    assert_eq!(code(&first, "LOCK TABLE t").await, "25P01");
    first.batch_execute("BEGIN; LOCK TABLE t IN SHARE MODE").await.unwrap();
    assert_eq!(rows(&second, "SELECT count(*) FROM t").await, ["3"]);
    let mut insert = pin!(second.batch_execute("INSERT INTO t VALUES (9, 'i')"));
    assert!(waits(&ledger, insert.as_mut()).await);
    first.batch_execute("COMMIT").await.unwrap();
    insert.await.unwrap();
    first.batch_execute("BEGIN; LOCK TABLE t").await.unwrap();
    let error = fault(&second, "BEGIN; LOCK TABLE t IN ACCESS SHARE MODE NOWAIT").await;
    assert_eq!((error.code().code(), error.message()), ("55P03", "could not obtain lock on relation \"t\""));
    second.batch_execute("ROLLBACK").await.unwrap();
    let mut read = pin!(second.simple_query("SELECT count(*) FROM t"));
    assert!(waits(&ledger, read.as_mut()).await);
    first.batch_execute("ROLLBACK").await.unwrap();
    read.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_the_same_name_waits_for_the_first() {
    let (ledger, first, second) = pair().await;
    first.batch_execute("BEGIN; CREATE TABLE u (a INT)").await.unwrap();
    let mut create = pin!(second.batch_execute("CREATE TABLE u (a INT)"));
    assert!(waits(&ledger, create.as_mut()).await);
    first.batch_execute("COMMIT").await.unwrap();
    assert_eq!(told(create.await).code().code(), "42P07");
}
