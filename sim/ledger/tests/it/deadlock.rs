//! Transactions that wait for each other.

use std::time::Duration;

use tokio::time::Instant;

use crate::fixture::{Ledger, rows};

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_that_wait_for_each_other_fails_and_the_other_goes_on() {
    let (ledger, first) = Ledger::with_table().await;
    let second = ledger.client().await;
    first.batch_execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')").await.unwrap();
    first.batch_execute("BEGIN; UPDATE t SET note = 'first' WHERE id = 1").await.unwrap();
    second
        .batch_execute("SET deadlock_timeout = '50ms'; BEGIN; UPDATE t SET note = 'second' WHERE id = 2")
        .await
        .unwrap();
    let begun = Instant::now();
    let (one, two) = tokio::join!(
        first.batch_execute("UPDATE t SET note = 'first' WHERE id = 2"),
        second.batch_execute("UPDATE t SET note = 'second' WHERE id = 1"),
    );
    assert!(begun.elapsed() < Duration::from_millis(900), "the impatient one looked");
    one.unwrap();
    let error = two.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.code().code(), error.message()), ("40P01", "deadlock detected"));
    assert_eq!(error.hint(), Some("See server log for query details."));
    assert!(error.detail().unwrap().contains("waits for ShareLock on transaction"));
    first.batch_execute("COMMIT").await.unwrap();
    second.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(rows(&second, "SELECT note FROM t").await, ["first", "first"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_in_a_circle_are_noticed() {
    let (ledger, client) = Ledger::with_table().await;
    client.batch_execute("INSERT INTO t VALUES (0, ''), (1, ''), (2, '')").await.unwrap();
    let mut clients = Vec::new();
    for id in 0..3 {
        let client = ledger.client().await;
        let sql = format!("SET deadlock_timeout = '60ms'; BEGIN; SELECT 1 FROM t WHERE id = {id} FOR UPDATE");
        client.batch_execute(&sql).await.unwrap();
        clients.push(client);
    }
    let next = |id: usize| format!("DELETE FROM t WHERE id = {}; COMMIT", (id + 1) % 3);
    let (a, b, c) = (next(0), next(1), next(2));
    let (a, b, c) = tokio::join!(
        clients[0].batch_execute(&a),
        clients[1].batch_execute(&b),
        clients[2].batch_execute(&c)
    );
    let failed = [&a, &b, &c].into_iter().filter(|it| it.is_err()).count();
    assert!((1..=2).contains(&failed), "somebody gives way and somebody goes on");
    for error in [a, b, c].into_iter().filter_map(Result::err) {
        assert_eq!(error.code().unwrap().code(), "40P01");
    }
}
