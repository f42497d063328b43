//! Changes of the schema: what they do, whom they keep waiting, and that they outlive the process.
//!
//! Messages and names are those of PostgreSQL 15.

use std::pin::pin;

use ledger::Replica;

use crate::{
    disk::FaultyDisk,
    fixture::{Ledger, code, fault, rows, waits},
};

/// Runs `sql` where nothing must go wrong.
async fn run(client: &tokio_postgres::Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// What a replica makes of the files on a disk.
fn replica(disk: &FaultyDisk) -> Replica {
    let mut replica = Replica::default();
    replica.catch_up(|name, look| {
        let image = disk.durable(name);
        look(Some(image.as_slice()).filter(|image| !image.is_empty()));
    });
    replica
}

const SOME: &str =
    "CREATE TABLE t (id BIGINT PRIMARY KEY, note TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL)";

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_dropped_is_gone_for_everybody_and_its_name_is_free() {
    let (ledger, client) = Ledger::with_table().await;
    run(&client, "CREATE TABLE u (id INT); DROP TABLE t, u").await;
    let gone = fault(&client, "SELECT * FROM t").await;
    assert_eq!((gone.code().code(), gone.message()), ("42P01", "relation \"t\" does not exist"));
    let missing = fault(&client, "DROP TABLE t").await;
    assert_eq!((missing.code().code(), missing.message()), ("42P01", "table \"t\" does not exist"));
    run(&client, "DROP TABLE IF EXISTS t, u").await;
    run(&client, "CREATE TABLE t (other INT); INSERT INTO t VALUES (7)").await;
    let after = ledger.after_power_loss().await;
    assert_eq!(rows(&after.client().await, "SELECT * FROM t").await, ["7"]);
    assert_eq!(replica(&after.disk).find("t", "other", "7").unwrap().text("other").as_deref(), Some("7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rollback_takes_back_was_never_seen_by_others() {
    let ledger = Ledger::start().await;
    let (client, other) = (ledger.client().await, ledger.client().await);
    run(&client, SOME).await;
    run(&client, "BEGIN; ALTER TABLE t ADD COLUMN more INT DEFAULT 5; UPDATE t SET more = 6 WHERE id = 1")
        .await;
    assert_eq!(rows(&client, "SELECT * FROM t").await, ["1|a|6", "2|b|5", "3|-|5"]);
    {
        let mut read = pin!(rows(&other, "SELECT * FROM t"));
        assert!(waits(&ledger, read.as_mut()).await, "who reads waits for the change");
        run(&client, "ROLLBACK").await;
        assert_eq!(read.await, ["1|a", "2|b", "3|-"]);
    }
    run(&client, "BEGIN; SAVEPOINT s; DROP TABLE t; CREATE TABLE t (x INT); ROLLBACK TO s; TRUNCATE t").await;
    assert_eq!(rows(&client, "SELECT * FROM t").await, [""; 0]);
    run(&client, "ROLLBACK").await;
    assert_eq!(rows(&other, "SELECT id FROM t").await, ["1", "2", "3"]);
    run(&client, "CREATE TABLE later (id INT); INSERT INTO later VALUES (1)").await;
    let after = ledger.after_power_loss().await;
    assert_eq!(rows(&after.client().await, "SELECT count(*) FROM t, later").await, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_made_before_a_change_are_made_anew() {
    let ledger = Ledger::start().await;
    let (client, other) = (ledger.client().await, ledger.client().await);
    run(&client, SOME).await;
    let insert = other.prepare("INSERT INTO t (id) VALUES ($1)").await.unwrap();
    let select = other.prepare("SELECT * FROM t WHERE id = $1").await.unwrap();
    run(&client, "ALTER TABLE t ADD COLUMN kind TEXT NOT NULL DEFAULT 'new', DROP COLUMN note").await;
    other.execute(&insert, &[&9_i64]).await.unwrap();
    assert_eq!(rows(&client, "SELECT * FROM t WHERE id IN (1, 9)").await, ["1|new", "9|new"]);
    let changed = other.query(&select, &[&9_i64]).await.unwrap_err();
    assert_eq!(changed.code().unwrap().code(), "0A000", "cached plan must not change result type");
    run(&client, "DROP TABLE t").await;
    let gone = other.execute(&insert, &[&10_i64]).await.unwrap_err();
    assert_eq!(gone.code().unwrap().code(), "42P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn truncate_empties_tables_at_once() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    run(&client, SOME).await;
    run(&client, "BEGIN; INSERT INTO t VALUES (4, 'd'); TRUNCATE t; INSERT INTO t VALUES (1, 'z'); COMMIT")
        .await;
    assert_eq!(rows(&client, "SELECT * FROM t").await, ["1|z"]);
    assert_eq!(code(&client, "INSERT INTO t VALUES (1, 'y')").await, "23505");
    assert_eq!(code(&client, "TRUNCATE nowhere").await, "42P01");
    let after = ledger.after_power_loss().await;
    assert_eq!(rows(&after.client().await, "SELECT * FROM t").await, ["1|z"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_serves_and_guards_and_survives() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    run(&client, "CREATE TABLE t (id INT PRIMARY KEY, kind TEXT, qty INT)").await;
    run(&client, "INSERT INTO t SELECT n, 'k' || (n % 3), n / 2 FROM generate_series(1, 30) AS g(n)").await;
    run(&client, "CREATE INDEX ON t (kind, qty); CREATE INDEX ON t (kind, qty)").await;
    let ask = "SELECT id FROM t WHERE kind = 'k1' AND qty BETWEEN 3 AND 8 ORDER BY id";
    assert_eq!(rows(&client, ask).await, ["7", "10", "13", "16"]);
    run(&client, "UPDATE t SET qty = 100 WHERE id = 10; DELETE FROM t WHERE id = 13").await;
    assert_eq!(rows(&client, ask).await, ["7", "16"]);
    let twice = fault(&client, "CREATE UNIQUE INDEX u ON t (kind)").await;
    assert_eq!((twice.code().code(), twice.message()), ("23505", "could not create unique index \"u\""));
    assert!(twice.detail().unwrap().ends_with("is duplicated."), "{:?}", twice.detail());
    run(&client, "DELETE FROM t WHERE id > 3; CREATE UNIQUE INDEX u ON t (kind)").await;
    run(&client, "CREATE INDEX IF NOT EXISTS u ON t (qty)").await;
    assert_eq!(code(&client, "CREATE INDEX u ON t (qty)").await, "42P07");
    assert_eq!(code(&client, "CREATE INDEX ON t (nothing)").await, "42703");
    assert_eq!(code(&client, "CREATE INDEX ON t ((qty + 1))").await, "0A000");
    assert_eq!(code(&client, "CREATE INDEX ON t (qty) WHERE qty > 1").await, "0A000");
    assert_eq!(code(&client, "DROP INDEX t_pkey").await, "2BP01");

    let after = ledger.after_power_loss().await;
    let client = after.client().await;
    let taken = fault(&client, "INSERT INTO t VALUES (40, 'k1', 1)").await;
    assert_eq!(taken.message(), "duplicate key value violates unique constraint \"u\"");
    run(&client, "INSERT INTO t VALUES (40, 'k1', 1) ON CONFLICT (kind) DO UPDATE SET qty = 77").await;
    assert_eq!(rows(&client, "SELECT qty FROM t WHERE kind = 'k1'").await, ["77"]);
    run(&client, "DROP INDEX t_kind_qty_idx; DROP INDEX t_kind_qty_idx1; DROP INDEX u").await;
    let missing = fault(&client, "DROP INDEX u").await;
    assert_eq!((missing.code().code(), missing.message()), ("42704", "index \"u\" does not exist"));
    run(&client, "DROP INDEX IF EXISTS u; INSERT INTO t VALUES (40, 'k1', 1)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_whose_keys_repeat_shows_each_reader_its_rows() {
    let ledger = Ledger::start().await;
    let (client, other) = (ledger.client().await, ledger.client().await);
    run(&client, "CREATE TABLE t (id INT PRIMARY KEY, kind TEXT); CREATE INDEX ON t (kind)").await;
    run(&client, "INSERT INTO t VALUES (1, 'a'), (2, 'a'), (3, NULL)").await;
    run(&client, "BEGIN; UPDATE t SET kind = 'b' WHERE id = 1; INSERT INTO t VALUES (4, 'a')").await;
    let ask = "SELECT id FROM t WHERE kind = 'a' ORDER BY id";
    assert_eq!(rows(&client, ask).await, ["2", "4"]);
    assert_eq!(rows(&other, ask).await, ["1", "2"]);
    run(&client, "SAVEPOINT s; UPDATE t SET kind = 'a'; ROLLBACK TO s").await;
    assert_eq!(rows(&client, ask).await, ["2", "4"]);
    run(&client, "COMMIT").await;
    assert_eq!(rows(&other, ask).await, ["2", "4"]);
    assert_eq!(rows(&other, "SELECT id FROM t WHERE kind IS NULL").await, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_come_go_and_change_their_names() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    run(&client, SOME).await;
    run(&client, "ALTER TABLE t ADD COLUMN qty NUMERIC(10,2) NOT NULL DEFAULT 1.5 CHECK (qty > 0)").await;
    run(&client, "ALTER TABLE t ADD COLUMN IF NOT EXISTS qty INT").await;
    assert_eq!(rows(&client, "SELECT * FROM t WHERE id = 1").await, ["1|a|1.50"]);
    let empty = fault(&client, "ALTER TABLE t ADD COLUMN more INT NOT NULL").await;
    assert_eq!(
        (empty.code().code(), empty.message()),
        ("23502", "column \"more\" of relation \"t\" contains null values")
    );
    assert_eq!(code(&client, "ALTER TABLE t ADD COLUMN qty INT").await, "42701");
    run(&client, "ALTER TABLE t RENAME COLUMN qty TO size; ALTER TABLE t RENAME TO goods").await;
    let small = fault(&client, "INSERT INTO goods VALUES (5, 'e', -1)").await;
    assert_eq!(
        small.message(),
        "new row for relation \"goods\" violates check constraint \"t_qty_check\"",
        "constraints keep their names"
    );
    run(&client, "ALTER TABLE goods DROP COLUMN note, DROP COLUMN IF EXISTS nothing").await;
    assert_eq!(code(&client, "ALTER TABLE goods DROP COLUMN nothing").await, "42703");
    assert_eq!(code(&client, "ALTER TABLE nowhere DROP COLUMN nothing").await, "42P01");
    run(&client, "ALTER TABLE IF EXISTS nowhere DROP COLUMN nothing").await;
    assert_eq!(code(&client, "ALTER TABLE goods ALTER COLUMN size TYPE INT").await, "0A000");
    run(&client, "INSERT INTO goods (id) VALUES (9)").await;

    let after = ledger.after_power_loss().await;
    let client = after.client().await;
    assert_eq!(rows(&client, "SELECT * FROM goods").await, ["1|1.50", "2|1.50", "3|1.50", "9|1.50"]);
    assert_eq!(code(&client, "INSERT INTO goods VALUES (5, -1)").await, "23514");
    assert_eq!(code(&client, "INSERT INTO goods VALUES (9, 1)").await, "23505");
    assert_eq!(code(&client, "SELECT * FROM t").await, "42P01");
    let replica = replica(&after.disk);
    assert_eq!(replica.find("goods", "id", "9").unwrap().text("size").as_deref(), Some("1.50"));
    assert_eq!(replica.rows("t").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn constraints_and_defaults_come_and_go() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    run(&client, "CREATE TABLE t (a INT, b INT); INSERT INTO t VALUES (1, 1), (2, 1)").await;
    let twice = fault(&client, "ALTER TABLE t ADD UNIQUE (b)").await;
    assert_eq!(
        (twice.message(), twice.detail()),
        ("could not create unique index \"t_b_key\"", Some("Key (b)=(1) is duplicated."))
    );
    run(&client, "ALTER TABLE t ADD PRIMARY KEY (a), ADD CONSTRAINT small CHECK (b < 10)").await;
    assert_eq!(code(&client, "ALTER TABLE t ADD PRIMARY KEY (b)").await, "42P16");
    let broken = fault(&client, "ALTER TABLE t ADD CHECK (a < 2)").await;
    assert_eq!(
        (broken.code().code(), broken.message()),
        ("23514", "check constraint \"t_a_check\" of relation \"t\" is violated by some row")
    );
    assert_eq!(code(&client, "ALTER TABLE t ALTER COLUMN a DROP NOT NULL").await, "42P16");
    run(&client, "ALTER TABLE t ALTER COLUMN b SET DEFAULT 4, ALTER COLUMN b SET NOT NULL").await;
    run(&client, "INSERT INTO t (a) VALUES (3)").await;

    let after = ledger.after_power_loss().await;
    let client = after.client().await;
    assert_eq!(rows(&client, "SELECT * FROM t WHERE a = 3").await, ["3|4"]);
    assert_eq!(code(&client, "INSERT INTO t VALUES (3, 1)").await, "23505");
    assert_eq!(code(&client, "INSERT INTO t VALUES (4, 10)").await, "23514");
    assert_eq!(code(&client, "INSERT INTO t VALUES (4, NULL)").await, "23502");
    run(&client, "ALTER TABLE t DROP CONSTRAINT small, DROP CONSTRAINT t_pkey").await;
    run(&client, "ALTER TABLE t ALTER b DROP DEFAULT, ALTER b DROP NOT NULL").await;
    run(&client, "INSERT INTO t (a) VALUES (3)").await;
    let missing = fault(&client, "ALTER TABLE t DROP CONSTRAINT small").await;
    assert_eq!(
        (missing.code().code(), missing.message()),
        ("42704", "constraint \"small\" of relation \"t\" does not exist")
    );
    run(&client, "ALTER TABLE t DROP CONSTRAINT IF EXISTS small").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_that_is_computed_is_found_for_each_row() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    run(&client, SOME).await;
    run(&client, "ALTER TABLE t ADD COLUMN at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()").await;
    let times = rows(&client, "SELECT at FROM t").await;
    assert_eq!(times.len(), 3);
    let after = ledger.after_power_loss().await;
    assert_eq!(rows(&after.client().await, "SELECT at FROM t").await, times);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_keeps_the_numbers_of_tables_that_are_gone() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    run(&client, SOME).await;
    run(&client, "CREATE TABLE a (x INT); CREATE TABLE b (x INT); DROP TABLE a; ALTER TABLE t ADD c INT")
        .await;
    run(&client, "CREATE INDEX ON t (note); CREATE TABLE z (x INT); DROP TABLE z").await;
    run(&client, "CHECKPOINT").await;
    run(&client, "CREATE TABLE later (x INT); INSERT INTO later VALUES (1); INSERT INTO b VALUES (2)").await;
    run(&client, "INSERT INTO t VALUES (4, 'b', 1)").await;
    let after = ledger.after_power_loss().await;
    let client = after.client().await;
    assert_eq!(rows(&client, "SELECT * FROM later").await, ["1"]);
    assert_eq!(rows(&client, "SELECT * FROM b").await, ["2"]);
    assert_eq!(rows(&client, "SELECT id FROM t WHERE note = 'b' ORDER BY id").await, ["2", "4"]);
    assert_eq!(code(&client, "SELECT * FROM a").await, "42P01");
    assert_eq!(code(&client, "CREATE INDEX t_note_idx ON t (note)").await, "42P07");
    assert_eq!(replica(&after.disk).rows("t").count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_waits_for_those_who_use_the_table() {
    let ledger = Ledger::start().await;
    let (client, other) = (ledger.client().await, ledger.client().await);
    run(&client, SOME).await;
    run(&other, "BEGIN; SELECT id FROM t FOR UPDATE").await;
    {
        let mut index = pin!(client.batch_execute("CREATE INDEX ON t (note)"));
        assert!(waits(&ledger, index.as_mut()).await);
        run(&other, "COMMIT").await;
        index.await.unwrap();
    }
    run(&other, "BEGIN; SELECT * FROM t").await;
    {
        let mut drop = pin!(client.batch_execute("DROP TABLE t"));
        assert!(waits(&ledger, drop.as_mut()).await);
        assert_eq!(rows(&other, "SELECT id FROM t WHERE note = 'a'").await, ["1"]);
        run(&other, "COMMIT").await;
        drop.await.unwrap();
    }
    assert_eq!(code(&other, "SELECT * FROM t").await, "42P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_refused_by_name() {
    let (_ledger, client) = Ledger::with_table().await;
    for sql in [
        "CREATE TABLE u (id INT, twice INT GENERATED ALWAYS AS (id * 2) STORED)",
        "CREATE TABLE u (id BIGINT REFERENCES t (id) MATCH FULL)",
        "ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES t (id) DEFERRABLE",
        "CREATE SEQUENCE s OWNED BY t.id",
        "DROP VIEW v",
    ] {
        let refused = fault(&client, sql).await;
        assert_eq!(refused.code().code(), "0A000", "{sql}: {}", refused.message());
    }
}
