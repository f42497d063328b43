//! What statements answer.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use tokio_postgres::types::Type;

use crate::fixture::{Ledger, code, fault, rows};

const INTENTS: &str = "CREATE TABLE IF NOT EXISTS order_intents (
    client_order_id TEXT PRIMARY KEY,
    intent_id BIGINT NOT NULL UNIQUE,
    symbol VARCHAR(12) NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
    qty NUMERIC(18,8) NOT NULL CHECK (qty > 0),
    price NUMERIC(18,8),
    reduce_only BOOLEAN NOT NULL DEFAULT false,
    epoch INT NOT NULL DEFAULT 1,
    status TEXT NOT NULL DEFAULT 'NEW',
    meta JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    raw BYTEA,
    UNIQUE (symbol, intent_id)
)";

#[tokio::test(flavor = "multi_thread")]
async fn every_type_survives_a_round_trip_in_binary() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    client
        .batch_execute("CREATE TABLE v (a BIGINT, b INT4, c TEXT, d NUMERIC, e TIMESTAMPTZ, f JSONB, g BOOLEAN, h BYTEA)")
        .await
        .unwrap();
    let at: DateTime<Utc> = "2026-01-02T03:04:05.678901Z".parse().unwrap();
    let (number, document) =
        ("-12345.67800".parse::<Decimal>().unwrap(), serde_json::json!({"a": [1, null, "é"]}));
    let returned = client
        .query_typed(
            "INSERT INTO v VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *",
            &[
                (&i64::MIN, Type::INT8),
                (&i32::MAX, Type::INT4),
                (&"Grüße", Type::TEXT),
                (&number, Type::NUMERIC),
                (&at, Type::TIMESTAMPTZ),
                (&document, Type::JSONB),
                (&true, Type::BOOL),
                (&&[0_u8, 255][..], Type::BYTEA),
            ],
        )
        .await
        .unwrap();
    let read = client.query_typed("SELECT a, b, c, d, e, f, g, h FROM v", &[]).await.unwrap();
    for row in [&returned[0], &read[0]] {
        assert_eq!(row.get::<_, i64>(0), i64::MIN);
        assert_eq!(row.get::<_, i32>("b"), i32::MAX);
        assert_eq!(row.get::<_, &str>(2), "Grüße");
        assert_eq!(row.get::<_, Decimal>(3).to_string(), "-12345.67800");
        assert_eq!(row.get::<_, DateTime<Utc>>(4), at);
        assert_eq!(row.get::<_, serde_json::Value>(5), document);
        assert!(row.get::<_, bool>(6));
        assert_eq!(row.get::<_, &[u8]>(7), [0, 255]);
    }
    let nothing: Option<i64> = None;
    client.query_typed("INSERT INTO v (a) VALUES ($1)", &[(&nothing, Type::INT8)]).await.unwrap();
    assert_eq!(
        rows(&client, "SELECT * FROM v").await,
        [
            "-9223372036854775808|2147483647|Grüße|-12345.67800|2026-01-02 03:04:05.678901+00|{\"a\": [1, null, \"é\"]}|t|\\x00ff",
            "-|-|-|-|-|-|-|-"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn constraints_fail_as_in_postgresql() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    client.batch_execute(INTENTS).await.unwrap();
    client.batch_execute(INTENTS).await.unwrap();
    assert_eq!(code(&client, &INTENTS.replace("IF NOT EXISTS ", "")).await, "42P07");
    let insert = "INSERT INTO order_intents (client_order_id, intent_id, symbol, side, qty) VALUES";
    client.batch_execute(&format!("{insert} ('c1', 1, 'BTCUSDT', 'BUY', 0.5)")).await.unwrap();

    let error = fault(&client, &format!("{insert} ('c1', 2, 'BTCUSDT', 'BUY', 1)")).await;
    assert_eq!(error.code().code(), "23505");
    assert_eq!(error.message(), "duplicate key value violates unique constraint \"order_intents_pkey\"");
    assert_eq!(error.detail(), Some("Key (client_order_id)=(c1) already exists."));
    assert_eq!((error.table(), error.constraint()), (Some("order_intents"), Some("order_intents_pkey")));
    let error = fault(&client, &format!("{insert} ('c2', 1, 'ETHUSDT', 'BUY', 1)")).await;
    assert_eq!(error.constraint(), Some("order_intents_intent_id_key"));

    let error = fault(&client, &format!("{insert} ('c2', 2, NULL, 'BUY', 1)")).await;
    assert_eq!((error.code().code(), error.column()), ("23502", Some("symbol")));
    assert_eq!(
        error.message(),
        "null value in column \"symbol\" of relation \"order_intents\" violates not-null constraint"
    );
    let error = fault(&client, &format!("{insert} ('c2', 2, 'BTCUSDT', 'HOLD', 1)")).await;
    assert_eq!((error.code().code(), error.constraint()), ("23514", Some("order_intents_side_check")));
    assert_eq!(
        error.message(),
        "new row for relation \"order_intents\" violates check constraint \"order_intents_side_check\""
    );
    assert_eq!(code(&client, &format!("{insert} ('c2', 2, 'BTCUSDT', 'BUY', 12345678901)")).await, "22003");
    assert_eq!(code(&client, &format!("{insert} ('c2', 2, 'A_LONG_SYMBOL', 'BUY', 1)")).await, "22001");
    assert_eq!(code(&client, &format!("{insert} ('c2', 'two', 'BTCUSDT', 'BUY', 1)")).await, "22P02");
    assert_eq!(code(&client, "UPDATE order_intents SET qty = -qty").await, "23514");
    assert_eq!(
        rows(&client, "SELECT client_order_id, qty, status, meta FROM order_intents").await,
        ["c1|0.50000000|NEW|{}"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_ignored_or_merged() {
    let (_ledger, client) = Ledger::with_table().await;
    client.batch_execute("INSERT INTO t VALUES (1, 'a')").await.unwrap();
    assert_eq!(
        client.execute("INSERT INTO t VALUES (1, 'b'), (2, 'c') ON CONFLICT DO NOTHING", &[]).await.unwrap(),
        1
    );
    let upsert = "INSERT INTO t VALUES (1, 'new'), (3, 'd')
        ON CONFLICT (id) DO UPDATE SET note = t.note || '+' || excluded.note WHERE t.note <> 'closed' RETURNING id, note";
    assert_eq!(rows(&client, upsert).await, ["1|a+new", "3|d"]);
    client.batch_execute("UPDATE t SET note = 'closed' WHERE id = 1").await.unwrap();
    assert_eq!(rows(&client, &upsert.replace(", (3, 'd')", "")).await, Vec::<String>::new());
    assert_eq!(
        code(&client, "INSERT INTO t VALUES (9, 'x'), (9, 'y') ON CONFLICT (id) DO UPDATE SET note = 'z'")
            .await,
        "21000"
    );
    assert_eq!(code(&client, "INSERT INTO t VALUES (1, 'x') ON CONFLICT (note) DO NOTHING").await, "42P10");
    assert_eq!(
        code(&client, "INSERT INTO t VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET note = note").await,
        "42702"
    );
    assert_eq!(rows(&client, "SELECT id FROM t ORDER BY id").await, ["1", "2", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_updated_and_deleted_in_place() {
    let (_ledger, client) = Ledger::with_table().await;
    client.batch_execute("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')").await.unwrap();
    assert_eq!(
        rows(&client, "UPDATE t SET id = id + 10, note = upper(note) WHERE id IN (1, 3) RETURNING id, note")
            .await,
        ["11|A", "13|C"]
    );
    assert_eq!(code(&client, "UPDATE t SET id = 2").await, "23505");
    assert_eq!(rows(&client, "DELETE FROM t WHERE note = 'A' RETURNING *").await, ["11|A"]);
    assert_eq!(rows(&client, "SELECT * FROM t").await, ["2|b", "13|C"]);
    assert_eq!(client.execute("DELETE FROM t", &[]).await.unwrap(), 2);
    client.batch_execute("INSERT INTO t VALUES (2, 'again')").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_filter_sort_page_and_aggregate() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    client
        .batch_execute(
            "CREATE TABLE fills (symbol TEXT, trade_id BIGINT, qty NUMERIC(12,3), fee INT, PRIMARY KEY (symbol, trade_id));
             INSERT INTO fills VALUES ('BTC', 1, 0.5, 3), ('BTC', 2, 1.25, NULL), ('ETH', 1, 10, 1), ('ETH', 2, 7, 2)",
        )
        .await
        .unwrap();
    for (sql, expected) in [
        ("SELECT trade_id FROM fills WHERE symbol = 'ETH' ORDER BY qty", &["2", "1"][..]),
        ("SELECT qty FROM fills WHERE symbol = 'BTC' AND trade_id = 2", &["1.250"]),
        ("SELECT qty FROM fills WHERE trade_id = 2 AND 'BTC' = symbol AND qty > 100", &[]),
        ("SELECT symbol AS s, fee FROM fills ORDER BY fee DESC, s LIMIT 2", &["BTC|-", "BTC|3"]),
        ("SELECT fee FROM fills ORDER BY 1 NULLS FIRST OFFSET 1 LIMIT 2", &["1", "2"]),
        ("SELECT count(*), count(fee), sum(qty), min(fee), max(symbol) FROM fills", &["4|3|18.750|1|ETH"]),
        ("SELECT count(*), sum(fee), coalesce(sum(qty), 0) FROM fills WHERE symbol = 'XRP'", &["0|-|0"]),
        ("SELECT symbol FROM fills WHERE fee IS NULL OR qty BETWEEN 8 AND 10", &["BTC", "ETH"]),
        ("SELECT trade_id FROM fills WHERE symbol LIKE 'B%' AND NOT fee = 3", &[]),
        ("SELECT 1", &["1"]),
        (
            "SELECT 7 / 2, 7 % 2, 7 / 2.0, -7 / 2, 1.10 * 2, 'a' || 1, NULL + 1",
            &["3|1|3.5000000000000000|-3|2.20|a1|-"],
        ),
        (
            "SELECT '{\"a\": {\"b\": \"x\"}}'::jsonb -> 'a' ->> 'b', '42'::int + 1, 2.5::int, 'true'::boolean",
            &["x|43|3|t"],
        ),
        (
            "SELECT CASE WHEN 1 > 2 THEN 'a' ELSE 'b' END, nullif(1, 1), greatest(1, 3, NULL), abs(-2), length('é')",
            &["b|-|3|2|1"],
        ),
        (
            "SELECT 1 IN (2, NULL), 1 NOT IN (2, 3), NULL IS NOT DISTINCT FROM NULL, true AND NULL, false AND NULL",
            &["-|t|t|-|f"],
        ),
    ] {
        assert_eq!(rows(&client, sql).await, expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_statement_has_postgresqls_code() {
    let (_ledger, client) = Ledger::with_table().await;
    for (sql, expected) in [
        ("SELEC 1", "42601"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT nothing FROM t", "42703"),
        ("SELECT other.id FROM t", "42P01"),
        ("SELECT id = note FROM t", "42883"),
        ("SELECT id FROM t WHERE note", "42804"),
        ("SELECT id, count(*) FROM t", "42803"),
        ("SELECT id FROM t WHERE count(*) > 1", "42803"),
        ("SELECT nofunction(1)", "42883"),
        ("SELECT 1 / 0", "22012"),
        ("SELECT 2147483647 + 1", "22003"),
        ("SELECT 'x'::int", "22P02"),
        ("SELECT 1::nosuchtype", "42704"),
        ("SELECT $1", "42P02"),
        ("SELECT id FROM t LIMIT -1", "2201W"),
        ("INSERT INTO t (id, nothing) VALUES (1, 2)", "42703"),
        ("INSERT INTO t VALUES (1, 'a', 3)", "42601"),
        ("INSERT INTO t VALUES (true)", "42804"),
        ("CREATE TABLE d (a INT, a INT)", "42701"),
        ("CREATE TABLE d (a INT PRIMARY KEY, b INT PRIMARY KEY)", "42P16"),
        ("SELECT id FROM t a JOIN t b ON a.id = b.id", "42702"),
        ("SELECT 1 FROM t JOIN t ON true", "42712"),
        ("SELECT id FROM t GROUP BY note", "42803"),
        ("SELECT count(*) FROM t FOR UPDATE", "0A000"),
        ("SELECT id FROM t FOR UPDATE OF u", "42P01"),
        ("SELECT (SELECT id FROM t FOR UPDATE)", "0A000"),
        ("SELECT DISTINCT id FROM t ORDER BY note", "42P10"),
        ("SELECT (SELECT id, note FROM t)", "42601"),
        ("SELECT (SELECT 1 UNION SELECT 2)", "21000"),
        ("SELECT id FROM t UNION SELECT note FROM t", "42804"),
        ("SELECT row_number() OVER () FROM t", "0A000"),
        ("WITH RECURSIVE r AS (SELECT 1) SELECT * FROM r", "0A000"),
        ("SELECT 'a' ~ '('", "2201B"),
        ("SELECT now() - '5 minutes'", "22007"),
        ("SELECT date_trunc('fortnight', now())", "22023"),
        ("DROP VIEW v", "0A000"),
        ("CREATE TABLE d (a POINT)", "42704"),
        ("SET nonsense = 1", "42704"),
        ("SET timezone = 'Europe/Berlin'", "0A000"),
        ("SHOW nonsense", "42704"),
    ] {
        assert_eq!(code(&client, sql).await, expected, "{sql}");
    }
    assert_eq!(rows(&client, "SHOW server_version").await, ["16.4"]);
    assert_eq!(rows(&client, "SET application_name = 'desk'; SHOW application_name").await, ["desk"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_named_and_typed_as_in_postgresql() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    client.batch_execute("CREATE TABLE n (a INT, s VARCHAR(5))").await.unwrap();
    for (sql, name, ty) in [
        ("SELECT true", "?column?", Type::BOOL),
        ("SELECT true::text", "text", Type::TEXT),
        ("SELECT (a::bigint) FROM n", "a", Type::INT8),
        ("SELECT CASE WHEN true THEN 1 ELSE a END FROM n", "a", Type::INT4),
        ("SELECT CASE WHEN true THEN 1 END", "case", Type::INT4),
        ("SELECT min(s) FROM n", "min", Type::TEXT),
        ("SELECT sum(a) FROM n", "sum", Type::INT8),
        ("SELECT s FROM n", "s", Type::VARCHAR),
        ("SELECT -(-2147483648)", "?column?", Type::INT8),
        ("SHOW TIME ZONE", "TimeZone", Type::TEXT),
    ] {
        let statement = client.prepare(sql).await.unwrap();
        let column = &statement.columns()[0];
        assert_eq!((column.name(), column.type_()), (name, &ty), "{sql}");
    }
}
