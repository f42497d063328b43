//! Who sees what when.

use tokio_postgres::types::Type;

use crate::fixture::{Ledger, code, rows};

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_seen_by_others_only_when_it_has_committed() {
    let (ledger, client) = Ledger::with_table().await;
    client.batch_execute("INSERT INTO t VALUES (1, 'old'), (2, 'gone')").await.unwrap();
    let reader = ledger.client().await;
    let changes = "BEGIN; UPDATE t SET note = 'new' WHERE id = 1; DELETE FROM t WHERE id = 2;
        INSERT INTO t VALUES (3, 'born'); UPDATE t SET id = 5 WHERE id = 3; CREATE TABLE u (a INT)";
    client.batch_execute(changes).await.unwrap();
    assert_eq!(rows(&client, "SELECT * FROM t ORDER BY id").await, ["1|new", "5|born"]);
    assert_eq!(rows(&reader, "SELECT * FROM t ORDER BY id").await, ["1|old", "2|gone"]);
    for (id, seen) in [(1, &["old"][..]), (2, &["gone"]), (3, &[]), (5, &[])] {
        assert_eq!(rows(&reader, &format!("SELECT note FROM t WHERE id = {id}")).await, seen);
    }
    assert_eq!(code(&reader, "SELECT * FROM u").await, "42P01");
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(rows(&reader, "SELECT * FROM t ORDER BY id").await, ["1|new", "5|born"]);
    assert_eq!(rows(&reader, "SELECT * FROM u").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_takes_everything_back_even_tables_and_swapped_keys() {
    let (_ledger, client) = Ledger::with_table().await;
    client.batch_execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')").await.unwrap();
    client
        .batch_execute(
            "BEGIN; CREATE TABLE u (a INT); INSERT INTO u VALUES (1);
             UPDATE t SET id = 9 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = 9; ROLLBACK",
        )
        .await
        .unwrap();
    assert_eq!(rows(&client, "SELECT * FROM t ORDER BY id").await, ["1|a", "2|b"]);
    assert_eq!(rows(&client, "SELECT note FROM t WHERE id = 1").await, ["a"]);
    assert_eq!(code(&client, "SELECT * FROM u").await, "42P01");
    client.batch_execute("CREATE TABLE u (b TEXT); INSERT INTO u VALUES ('fresh')").await.unwrap();
    assert_eq!(rows(&client, "SELECT * FROM u").await, ["fresh"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_aborts_the_block_until_it_ends() {
    let (_ledger, client) = Ledger::with_table().await;
    client.batch_execute("BEGIN; INSERT INTO t VALUES (1, 'a')").await.unwrap();
    assert!(
        client.query_typed("SELECT nothing FROM t", &[]).await.is_err(),
        "an error while binding counts too"
    );
    assert_eq!(code(&client, "SELECT 1").await, "25P02");
    let error = client.query_typed("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "25P02");
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(rows(&client, "SELECT count(*) FROM t").await, ["0"], "COMMIT of an aborted block rolls back");
    assert_eq!(code(&client, "INSERT INTO t VALUES (1, 'a'); SELECT 1 / 0").await, "22012");
    assert_eq!(rows(&client, "SELECT count(*) FROM t").await, ["0"], "a text is one transaction");
    assert_eq!(code(&client, "BEGIN READ ONLY; DELETE FROM t").await, "25006");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(code(&client, "BEGIN ISOLATION LEVEL SERIALIZABLE").await, "0A000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_inserter_of_a_key_waits_for_the_first_and_a_lost_client_rolls_back() {
    let (ledger, first) = Ledger::with_table().await;
    let second = ledger.client().await;
    first.batch_execute("BEGIN; INSERT INTO t VALUES (1, 'first')").await.unwrap();
    let insert =
        second.query_typed("INSERT INTO t VALUES ($1, 'second') RETURNING note", &[(&1_i64, Type::INT8)]);
    let (answer, ()) = tokio::join!(insert, async {
        // The reader's answer proves that the server has had the chance to run the insert.
        assert_eq!(rows(&ledger.client().await, "SELECT count(*) FROM t").await, ["0"]);
        drop(first);
    });
    assert_eq!(answer.unwrap()[0].get::<_, &str>(0), "second");
    assert_eq!(rows(&second, "SELECT * FROM t").await, ["1|second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_prepared_before_a_table_changes_still_run() {
    let (_ledger, client) = Ledger::with_table().await;
    let statement = client.prepare("INSERT INTO t VALUES ($1, $2) ON CONFLICT DO NOTHING").await.unwrap();
    assert_eq!(statement.params(), [Type::INT8, Type::TEXT]);
    client.batch_execute("CREATE TABLE u (a INT)").await.unwrap();
    for expected in [1, 0] {
        assert_eq!(client.execute(&statement, &[&1_i64, &"a"]).await.unwrap(), expected);
    }
}
