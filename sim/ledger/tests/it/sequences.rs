//! Sequences: what they give, to whom, and that nothing gives a value back.
//!
//! Messages are those of PostgreSQL 15.

use ledger::Config;
use tokio_postgres::Client;

use crate::{
    disk::FaultyDisk,
    fixture::{Ledger, code, fault, rows, waits},
};

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_counts_for_everybody_and_is_remembered_by_each() {
    let ledger = Ledger::start().await;
    let (client, other) = (ledger.client().await, ledger.client().await);
    run(&client, "CREATE SEQUENCE q START 10").await;
    assert_eq!(rows(&client, "SELECT nextval('q'), nextval('public.q'::regclass)").await, ["10|11"]);
    assert_eq!(rows(&other, "SELECT nextval('\"q\"')").await, ["12"]);
    assert_eq!(rows(&client, "SELECT currval('q'), lastval()").await, ["11|11"]);
    assert_eq!(rows(&client, "SELECT last_value, is_called FROM q").await, ["12|t"]);
    assert_eq!(
        rows(&client, "SELECT setval('q', 5, false), nextval('q'), setval('q', 20)").await,
        ["5|5|20"]
    );
    assert_eq!(rows(&other, "SELECT nextval('q')").await, ["21"]);
    run(&client, "CREATE SEQUENCE u").await;
    let early = fault(&client, "SELECT currval('u')").await;
    assert_eq!(
        (early.code().code(), early.message()),
        ("55000", "currval of sequence \"u\" is not yet defined in this session")
    );
    assert_eq!(code(&client, "SELECT nextval('nowhere')").await, "42P01");
    assert_eq!(code(&client, "SELECT setval('u', 0)").await, "22003");
    assert_eq!(code(&client, "CREATE SEQUENCE u").await, "42P07");
    assert_eq!(code(&client, "CREATE TABLE u (id INT)").await, "42P07");
    assert_eq!(code(&client, "INSERT INTO u VALUES (1, 1, true)").await, "42809");
    assert_eq!(code(&client, "DROP TABLE u").await, "42809");
    run(&client, "DROP SEQUENCE u; DROP SEQUENCE IF EXISTS u").await;
    assert_eq!(code(&client, "DROP SEQUENCE u").await, "42P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_ends_at_its_bounds_unless_it_cycles() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    run(&client, "CREATE SEQUENCE up MAXVALUE 2; CREATE SEQUENCE down INCREMENT BY -1 MINVALUE -2 CYCLE")
        .await;
    let draw = "SELECT nextval('down'), nextval('down'), nextval('down'), nextval('down')";
    assert_eq!(rows(&client, draw).await, ["-1|-2|-1|-2"]);
    run(&client, "SELECT nextval('up'), nextval('up')").await;
    let end = fault(&client, "SELECT nextval('up')").await;
    assert_eq!(
        (end.code().code(), end.message()),
        ("2200H", "nextval: reached maximum value of sequence \"up\" (2)")
    );
    for wrong in ["INCREMENT 0", "MINVALUE 5 MAXVALUE 5", "START 0", "MAXVALUE 3 START 4", "CACHE 0"] {
        assert_eq!(code(&client, &format!("CREATE SEQUENCE wrong {wrong}")).await, "22023", "{wrong}");
    }
    assert_eq!(code(&client, "CREATE SEQUENCE wrong AS text").await, "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rollback_and_no_error_gives_a_value_back() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    run(&client, "CREATE SEQUENCE q; CREATE TABLE t (id INT PRIMARY KEY, n BIGINT DEFAULT nextval('q'))")
        .await;
    run(&client, "BEGIN; INSERT INTO t (id) VALUES (1), (2); ROLLBACK").await;
    assert_eq!(rows(&client, "INSERT INTO t (id) VALUES (1) RETURNING n").await, ["3"]);
    assert_eq!(code(&client, "INSERT INTO t (id) VALUES (1)").await, "23505");
    assert_eq!(code(&client, "SELECT nextval('q'), 1 / (nextval('q') - nextval('q') + 1)").await, "22012");
    assert_eq!(rows(&client, "SELECT nextval('q')").await, ["8"]);
    run(&client, "BEGIN; SAVEPOINT s; SELECT nextval('q'); ROLLBACK TO s").await;
    assert_eq!(rows(&client, "SELECT currval('q')").await, ["9"]);
    run(&client, "COMMIT; BEGIN READ ONLY").await;
    let read_only = fault(&client, "SELECT nextval('q')").await;
    assert_eq!(
        (read_only.code().code(), read_only.message()),
        ("25006", "cannot execute nextval() in a read-only transaction")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_waits_keeps_the_value_it_has_drawn() {
    let ledger = Ledger::start().await;
    let (client, other) = (ledger.client().await, ledger.client().await);
    run(&client, "CREATE SEQUENCE q; CREATE TABLE t (k INT PRIMARY KEY, n BIGINT DEFAULT nextval('q'))")
        .await;
    run(&client, "BEGIN; INSERT INTO t (k) VALUES (1)").await;
    let mut insert = std::pin::pin!(rows(&other, "INSERT INTO t (k) VALUES (1) RETURNING n"));
    assert!(waits(&ledger, insert.as_mut()).await);
    run(&client, "ROLLBACK").await;
    assert_eq!(insert.await, ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_leaves_of_a_sequence_was_never_given_out() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    run(&client, "CREATE SEQUENCE q; CREATE SEQUENCE round MAXVALUE 3 CYCLE").await;
    let mut most = 0;
    for crash in 0..4 {
        for _ in 0..(1 + crash * 15) {
            most = rows(&client, "SELECT nextval('q')").await[0].parse::<i64>().unwrap().max(most);
        }
        let after = ledger.after_power_loss().await;
        let next: i64 = rows(&after.client().await, "SELECT nextval('q')").await[0].parse().unwrap();
        assert!(next > most && next <= most + 33, "{next} after {most}");
    }
    // A checkpoint holds no more than what has been given out; values behind it are told to the log again.
    run(&client, "CHECKPOINT").await;
    assert_eq!(rows(&ledger.after_power_loss().await.client().await, "SELECT nextval('q')").await, ["95"]);
    assert_eq!(rows(&client, "SELECT nextval('q')").await, ["95"]);
    let next = rows(&ledger.after_power_loss().await.client().await, "SELECT nextval('q')").await;
    assert_eq!(next, ["128"]);
    // Back at its beginning, or set back, a sequence is told to the log anew.
    run(&client, "SELECT nextval('round'), nextval('round'), nextval('round'), nextval('round')").await;
    run(&client, "SELECT setval('q', 7)").await;
    let after = ledger.after_power_loss().await;
    let after = &after.client().await;
    assert_eq!(rows(after, "SELECT nextval('q')").await, ["8"]);
    assert_eq!(rows(after, "SELECT is_called FROM round").await, ["t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draw_that_the_log_refuses_is_told_by_the_next() {
    let disk = FaultyDisk::default();
    let ledger = Ledger::with(disk.clone(), Config::default()).await;
    let client = ledger.client().await;
    run(&client, "CREATE SEQUENCE q").await;
    disk.full_after(0);
    assert_eq!(code(&client, "SELECT nextval('q')").await, "53100");
    disk.free();
    assert_eq!(rows(&client, "SELECT nextval('q')").await, ["2"]);
    let next = rows(&ledger.after_power_loss().await.client().await, "SELECT nextval('q')").await;
    assert_eq!(next, ["34"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn serial_and_identity_columns_bring_their_sequences_and_take_them_along() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    run(&client, "CREATE TABLE s (id SERIAL PRIMARY KEY, v TEXT); CREATE TABLE s_b_seq (x INT)").await;
    run(&client, "ALTER TABLE s ADD COLUMN b BIGSERIAL; INSERT INTO s (v) VALUES ('a'), ('b')").await;
    assert_eq!(rows(&client, "SELECT * FROM s").await, ["1|a|1", "2|b|2"]);
    assert_eq!(rows(&client, "SELECT pg_get_serial_sequence('s', 'b')").await, ["public.s_b_seq1"]);
    run(
        &client,
        "CREATE TABLE i (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
         n INT GENERATED BY DEFAULT AS IDENTITY (INCREMENT BY 2 START WITH 5), v TEXT)",
    )
    .await;
    assert_eq!(rows(&client, "INSERT INTO i (v) VALUES ('x'), ('y') RETURNING *").await, ["1|5|x", "2|7|y"]);
    assert_eq!(rows(&client, "INSERT INTO i VALUES (DEFAULT, 1) RETURNING *").await, ["3|1|-"]);
    let given = fault(&client, "INSERT INTO i (id) VALUES (4)").await;
    assert_eq!(
        (given.code().code(), given.message(), given.detail(), given.hint()),
        (
            "428C9",
            "cannot insert a non-DEFAULT value into column \"id\"",
            Some("Column \"id\" is an identity column defined as GENERATED ALWAYS."),
            Some("Use OVERRIDING SYSTEM VALUE to override."),
        )
    );
    assert_eq!(code(&client, "INSERT INTO i SELECT 4").await, "428C9");
    assert_eq!(code(&client, "UPDATE i SET id = 4").await, "428C9");
    assert_eq!(code(&client, "DROP SEQUENCE i_id_seq").await, "2BP01");
    assert_eq!(code(&client, "DROP SEQUENCE s_id_seq").await, "2BP01");

    let after = ledger.after_power_loss().await;
    let client = after.client().await;
    assert_eq!(code(&client, "INSERT INTO i (id) VALUES (4)").await, "428C9");
    run(
        &client,
        "ALTER TABLE s RENAME TO z; ALTER TABLE z RENAME COLUMN b TO c; INSERT INTO z (v) VALUES ('c')",
    )
    .await;
    assert_eq!(rows(&client, "SELECT id > 2, c > 2 FROM z WHERE v = 'c'").await, ["t|t"]);
    run(&client, "TRUNCATE z RESTART IDENTITY; INSERT INTO z (v) VALUES ('d')").await;
    assert_eq!(rows(&client, "SELECT * FROM z").await, ["1|d|1"]);
    run(&client, "ALTER TABLE z DROP COLUMN c; DROP SEQUENCE s_id_seq CASCADE").await;
    assert_eq!(code(&client, "SELECT nextval('s_b_seq1')").await, "42P01");
    assert_eq!(code(&client, "INSERT INTO z (v) VALUES ('e')").await, "23502");
    run(&client, "DROP TABLE i, z").await;
    assert_eq!(rows(&client, "SELECT relname FROM pg_class WHERE relkind = 'S'").await, [""; 0]);
}
