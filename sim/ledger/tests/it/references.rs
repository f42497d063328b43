//! Foreign keys: what they refuse, what they pass on, whom they keep waiting, and that they outlive the process.
//!
//! Messages are those of PostgreSQL 15.

use std::pin::pin;

use tokio_postgres::Client;

use crate::fixture::{Ledger, code, fault, rows, waits};

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// Orders, and fills that refer to them.
async fn with_orders(action: &str) -> (Ledger, Client) {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    let fills =
        format!("CREATE TABLE fills (id INT PRIMARY KEY, o BIGINT DEFAULT 2 REFERENCES orders {action})");
    run(&client, "CREATE TABLE orders (id BIGINT PRIMARY KEY, note TEXT)").await;
    run(&client, &fills).await;
    run(
        &client,
        "INSERT INTO orders VALUES (1), (2), (3); INSERT INTO fills VALUES (10, 1), (11, 1), (12, NULL)",
    )
    .await;
    (ledger, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_refers_to_what_is_there_and_keeps_it_there() {
    let (ledger, client) = with_orders("").await;
    let orphan = fault(&client, "INSERT INTO fills VALUES (13, 7)").await;
    assert_eq!(
        (orphan.code().code(), orphan.message(), orphan.detail(), orphan.constraint()),
        (
            "23503",
            "insert or update on table \"fills\" violates foreign key constraint \"fills_o_fkey\"",
            Some("Key (o)=(7) is not present in table \"orders\"."),
            Some("fills_o_fkey"),
        )
    );
    let needed = fault(&client, "DELETE FROM orders WHERE id = 1").await;
    assert_eq!(
        (needed.code().code(), needed.message(), needed.detail()),
        (
            "23503",
            "update or delete on table \"orders\" violates foreign key constraint \"fills_o_fkey\" on table \"fills\"",
            Some("Key (id)=(1) is still referenced from table \"fills\"."),
        )
    );
    assert_eq!(code(&client, "UPDATE orders SET id = 9 WHERE id = 1").await, "23503");
    assert_eq!(code(&client, "UPDATE fills SET o = 9 WHERE id = 12").await, "23503");
    run(
        &client,
        "UPDATE orders SET note = 'x'; UPDATE fills SET o = 3 WHERE o = 1; DELETE FROM orders WHERE id = 1",
    )
    .await;

    let after = ledger.after_power_loss().await;
    let client = after.client().await;
    assert_eq!(code(&client, "DELETE FROM orders").await, "23503");
    assert_eq!(code(&client, "INSERT INTO fills VALUES (13, 7)").await, "23503");
    run(&client, "CHECKPOINT; INSERT INTO fills VALUES (13, NULL)").await;
    let after = after.after_power_loss().await;
    assert_eq!(code(&after.client().await, "DELETE FROM orders").await, "23503");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_passed_on_as_the_foreign_key_says() {
    for (action, deleted, updated) in [
        ("ON DELETE CASCADE ON UPDATE CASCADE", ["12|-"; 1].as_slice(), ["10|9", "11|9", "12|-"].as_slice()),
        ("ON DELETE SET NULL ON UPDATE SET NULL", &["10|-", "11|-", "12|-"], &["10|-", "11|-", "12|-"]),
        ("ON DELETE SET DEFAULT ON UPDATE SET DEFAULT", &["10|2", "11|2", "12|-"], &["10|2", "11|2", "12|-"]),
    ] {
        let (_ledger, client) = with_orders(action).await;
        run(&client, "BEGIN; DELETE FROM orders WHERE id = 1").await;
        assert_eq!(rows(&client, "SELECT * FROM fills ORDER BY id").await, deleted, "{action}");
        run(&client, "ROLLBACK; UPDATE orders SET id = 9 WHERE id = 1").await;
        assert_eq!(rows(&client, "SELECT * FROM fills ORDER BY id").await, updated, "{action}");
    }
    let (_ledger, client) = with_orders("ON DELETE RESTRICT").await;
    assert_eq!(code(&client, "DELETE FROM orders WHERE id = 1").await, "23503");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_may_refer_to_itself_and_by_several_columns() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    run(
        &client,
        "CREATE TABLE n (id INT PRIMARY KEY, up INT REFERENCES n ON DELETE CASCADE); \
         CREATE TABLE p (a INT, b TEXT, UNIQUE (b, a)); \
         CREATE TABLE c (x TEXT, y INT, FOREIGN KEY (y, x) REFERENCES p (a, b) ON DELETE CASCADE)",
    )
    .await;
    run(&client, "INSERT INTO n VALUES (1, NULL), (2, 1), (3, 2), (5, 6), (6, 5)").await;
    run(&client, "DELETE FROM n WHERE id = 1").await;
    assert_eq!(rows(&client, "SELECT id FROM n").await, ["5", "6"]);
    run(&client, "INSERT INTO p VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES ('a', 1), (NULL, 9)").await;
    assert_eq!(code(&client, "INSERT INTO c VALUES ('a', 2)").await, "23503");
    run(&client, "DELETE FROM p WHERE a = 1").await;
    assert_eq!(rows(&client, "SELECT y FROM c").await, ["9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_refers_and_who_deletes_wait_for_each_other() {
    let (ledger, client) = with_orders("").await;
    let other = ledger.client().await;
    run(&client, "BEGIN; INSERT INTO fills VALUES (20, 3)").await;
    run(&other, "UPDATE orders SET note = 'still free' WHERE id = 3").await;
    {
        let delete = other.simple_query("DELETE FROM orders WHERE id = 3");
        let mut delete = pin!(delete);
        assert!(waits(&ledger, delete.as_mut()).await);
        run(&client, "COMMIT").await;
        assert!(delete.await.is_err(), "the order has a fill now");
    }
    run(&client, "BEGIN; DELETE FROM orders WHERE id = 2").await;
    let insert = other.simple_query("INSERT INTO fills VALUES (21, 2)");
    let mut insert = pin!(insert);
    assert!(waits(&ledger, insert.as_mut()).await);
    run(&client, "ROLLBACK").await;
    assert!(insert.await.is_ok(), "the order is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_respect_foreign_keys() {
    let (_ledger, client) = with_orders("").await;
    for (sql, expected) in [
        ("CREATE TABLE bad (x INT REFERENCES nowhere)", "42P01"),
        ("CREATE TABLE bad (x TEXT REFERENCES orders (note))", "42830"),
        ("CREATE TABLE bad (x INT REFERENCES orders (nothing))", "42703"),
        ("CREATE TABLE bad (x TEXT REFERENCES orders)", "42804"),
        ("CREATE TABLE bad (x NUMERIC REFERENCES orders)", "0A000"),
        ("CREATE TABLE bad (x INT REFERENCES orders DEFERRABLE)", "0A000"),
        ("DROP TABLE orders", "2BP01"),
        ("TRUNCATE orders", "0A000"),
        ("ALTER TABLE orders DROP CONSTRAINT orders_pkey", "2BP01"),
        ("ALTER TABLE orders RENAME TO others", "0A000"),
    ] {
        assert_eq!(code(&client, sql).await, expected, "{sql}");
    }
    run(&client, "ALTER TABLE fills DROP CONSTRAINT fills_o_fkey; INSERT INTO fills VALUES (30, 99)").await;
    assert_eq!(code(&client, "ALTER TABLE fills ADD FOREIGN KEY (o) REFERENCES orders").await, "23503");
    run(&client, "DELETE FROM fills WHERE id = 30; ALTER TABLE fills ADD FOREIGN KEY (o) REFERENCES orders")
        .await;
    assert_eq!(code(&client, "INSERT INTO fills VALUES (30, 99)").await, "23503");
    let shown = "SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'";
    assert_eq!(rows(&client, shown).await, ["fills_o_fkey|f|FOREIGN KEY (o) REFERENCES orders(id)"]);
    run(&client, "TRUNCATE orders CASCADE").await;
    assert_eq!(rows(&client, "SELECT count(*) FROM fills").await, ["0"]);
    run(&client, "DROP TABLE orders CASCADE; INSERT INTO fills VALUES (30, 99)").await;
}
