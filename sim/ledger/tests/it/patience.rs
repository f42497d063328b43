//! What ends a statement or a session early: timeouts, cancellation.

use std::{pin::pin, time::Duration};

use tokio_postgres::NoTls;

use crate::fixture::{Ledger, code, fault, rows, told, waits};

async fn blocked() -> (Ledger, tokio_postgres::Client, tokio_postgres::Client) {
    let (ledger, first) = Ledger::with_table().await;
    let second = ledger.client().await;
    first.batch_execute("INSERT INTO t VALUES (1, 'a')").await.unwrap();
    first.batch_execute("BEGIN; DELETE FROM t").await.unwrap();
    (ledger, first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_the_patience_of_the_lock_or_of_the_statement() {
    let (_ledger, first, second) = blocked().await;
    let error = fault(&second, "SET lock_timeout = '20ms'; UPDATE t SET note = 'b'").await;
    assert_eq!((error.code().code(), error.message()), ("55P03", "canceling statement due to lock timeout"));
    second.batch_execute("SET lock_timeout = 0; SET statement_timeout = 20").await.unwrap();
    let error = fault(&second, "UPDATE t SET note = 'b'").await;
    assert_eq!(
        (error.code().code(), error.message()),
        ("57014", "canceling statement due to statement timeout")
    );
    second.batch_execute("RESET statement_timeout").await.unwrap();
    first.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(second.execute("UPDATE t SET note = 'b'", &[]).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_ends_the_statement_and_not_the_session() {
    let (ledger, _first, second) = blocked().await;
    let cancel = second.cancel_token();
    let mut update = pin!(second.batch_execute("UPDATE t SET note = 'b'"));
    assert!(waits(&ledger, update.as_mut()).await);
    cancel.cancel_query_raw(ledger.socket().await, NoTls).await.unwrap();
    let error = told(update.await);
    assert_eq!((error.code().code(), error.message()), ("57014", "canceling statement due to user request"));
    // One that comes while nothing runs has no effect.
    cancel.cancel_query_raw(ledger.socket().await, NoTls).await.unwrap();
    assert!(!waits(&ledger, pin!(async {})).await);
    assert_eq!(rows(&second, "SELECT 1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_cancels_the_statement_of_another_or_ends_it() {
    let (ledger, first, second) = blocked().await;
    let process = rows(&second, "SELECT pg_backend_pid()").await.remove(0);
    let operator = ledger.client().await;
    let mut update = pin!(second.batch_execute("UPDATE t SET note = 'b'"));
    assert!(waits(&ledger, update.as_mut()).await);
    let ask = async |what: &str| rows(&operator, &format!("SELECT pg_{what}_backend({process})")).await;
    assert_eq!(ask("cancel").await, ["t"]);
    assert_eq!(told(update.await).code().code(), "57014");
    assert_eq!(ask("terminate").await, ["t"]);
    while !second.is_closed() {
        tokio::task::yield_now().await;
    }
    assert_eq!(rows(&operator, "SELECT pg_terminate_backend(-1), pg_cancel_backend(9999)").await, ["f|f"]);
    assert_eq!(rows(&first, "SELECT count(*) FROM t").await, ["0"], "nobody else is concerned");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_idles_in_a_transaction_is_sent_away_and_its_locks_with_it() {
    let (_ledger, first, second) = blocked().await;
    first.batch_execute("ROLLBACK").await.unwrap();
    let block = "SET idle_in_transaction_session_timeout = '30ms'; BEGIN; DELETE FROM t";
    first.batch_execute(block).await.unwrap();
    assert_eq!(
        second.execute("UPDATE t SET note = 'b'", &[]).await.unwrap(),
        1,
        "the wait is over by itself"
    );
    while !first.is_closed() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn timeouts_are_shown_as_postgresql_shows_them_and_live_as_long_as_they_should() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    let shown = async |sql: &str| rows(&client, sql).await;
    assert_eq!(shown("SHOW statement_timeout").await, ["0"]);
    assert_eq!(shown("SET statement_timeout = 90000; SHOW statement_timeout").await, ["90s"]);
    assert_eq!(shown("BEGIN; SET LOCAL statement_timeout = '2min'; SHOW statement_timeout").await, ["2min"]);
    assert_eq!(shown("COMMIT; SHOW statement_timeout").await, ["90s"]);
    assert_eq!(shown("BEGIN; SET statement_timeout = 5; ROLLBACK; SHOW statement_timeout").await, ["90s"]);
    assert_eq!(shown("RESET ALL; SHOW statement_timeout").await, ["0"]);
    assert_eq!(code(&client, "SET statement_timeout = 'soon'").await, "22023");
    assert_eq!(code(&client, "BEGIN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").await, "0A000");
    client
        .batch_execute("ROLLBACK; BEGIN; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; COMMIT")
        .await
        .unwrap();
}
