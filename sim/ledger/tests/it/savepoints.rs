//! Parts of a transaction that are taken back.

use crate::fixture::{Ledger, code, fault, rows};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_since_a_savepoint_is_taken_back() {
    let (_ledger, client) = Ledger::with_table().await;
    client
        .batch_execute(
            "BEGIN; INSERT INTO t VALUES (1, 'a'); SAVEPOINT one;
             UPDATE t SET note = 'b', id = 9 WHERE id = 1; INSERT INTO t VALUES (2, 'x'); CREATE TABLE u (a INT);
             SAVEPOINT two; DELETE FROM t; ROLLBACK TO two",
        )
        .await
        .unwrap();
    assert_eq!(rows(&client, "SELECT * FROM t ORDER BY id").await, ["2|x", "9|b"]);
    client.batch_execute("ROLLBACK TO SAVEPOINT one; INSERT INTO t VALUES (9, 'again')").await.unwrap();
    assert_eq!(code(&client, "SELECT * FROM u").await, "42P01");
    client.batch_execute("ROLLBACK TO one; RELEASE one; COMMIT").await.unwrap();
    assert_eq!(rows(&client, "SELECT * FROM t").await, ["1|a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_costs_only_what_came_after_the_last_savepoint() {
    let (ledger, client) = Ledger::with_table().await;
    client
        .batch_execute("BEGIN; INSERT INTO t VALUES (1, 'a'); SAVEPOINT s; INSERT INTO t VALUES (2, 'b')")
        .await
        .unwrap();
    assert_eq!(code(&client, "INSERT INTO t VALUES (1, 'twice')").await, "23505");
    assert_eq!(code(&client, "SELECT 1").await, "25P02");
    assert_eq!(code(&client, "SAVEPOINT other").await, "25P02");
    client.batch_execute("ROLLBACK TO s; INSERT INTO t VALUES (3, 'c'); COMMIT").await.unwrap();
    assert_eq!(rows(&client, "SELECT * FROM t").await, ["1|a", "3|c"]);
    assert_eq!(
        rows(&ledger.after_power_loss().await.client().await, "SELECT * FROM t").await,
        ["1|a", "3|c"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_savepoint_gives_back_the_locks_taken_since() {
    let (ledger, first) = Ledger::with_table().await;
    let second = ledger.client().await;
    first.batch_execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')").await.unwrap();
    first
        .batch_execute(
            "BEGIN; SELECT 1 FROM t WHERE id = 1 FOR UPDATE; SAVEPOINT s; UPDATE t SET note = 'x' WHERE id = 2",
        )
        .await
        .unwrap();
    let lock = |id: i32| format!("SELECT note FROM t WHERE id = {id} FOR UPDATE NOWAIT");
    assert_eq!(code(&second, &lock(2)).await, "55P03");
    first.batch_execute("ROLLBACK TO s").await.unwrap();
    assert_eq!(rows(&second, &lock(2)).await, ["b"]);
    assert_eq!(code(&second, &lock(1)).await, "55P03");
}

#[tokio::test(flavor = "multi_thread")]
async fn savepoints_belong_in_a_block_and_have_names() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    for (sql, command) in [
        ("SAVEPOINT s", "SAVEPOINT"),
        ("RELEASE s", "RELEASE SAVEPOINT"),
        ("ROLLBACK TO s", "ROLLBACK TO SAVEPOINT"),
    ] {
        let error = fault(&client, sql).await;
        assert_eq!(error.code().code(), "25P01");
        assert_eq!(error.message(), format!("{command} can only be used in transaction blocks"));
    }
    let error = fault(&client, "BEGIN; SAVEPOINT s; RELEASE s; ROLLBACK TO s").await;
    assert_eq!((error.code().code(), error.message()), ("3B001", "savepoint \"s\" does not exist"));
}
