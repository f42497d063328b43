//! Queries over several tables, groups, subqueries, functions and types.

use tokio_postgres::types::Type;

use crate::fixture::{Ledger, code, rows};

const SCHEMA: &str = "
    CREATE TABLE orders (id TEXT PRIMARY KEY, symbol TEXT NOT NULL, side TEXT NOT NULL, qty NUMERIC(18,4) NOT NULL);
    CREATE TABLE fills (symbol TEXT, trade_id BIGINT, order_id TEXT, qty NUMERIC(18,4), PRIMARY KEY (symbol, trade_id));
    CREATE TABLE limits (symbol TEXT PRIMARY KEY, most NUMERIC);
    INSERT INTO orders VALUES ('a', 'BTC', 'BUY', 1), ('b', 'BTC', 'SELL', 2), ('c', 'ETH', 'BUY', 10), ('d', 'XRP', 'BUY', 5);
    INSERT INTO fills VALUES ('BTC', 1, 'a', 0.4), ('BTC', 2, 'a', 0.6), ('BTC', 3, 'b', 1.5), ('ETH', 1, 'c', 10), ('ETH', 2, NULL, 3);
    INSERT INTO limits VALUES ('BTC', 100), ('SOL', 7);";

async fn desk() -> (Ledger, tokio_postgres::Client) {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    client.batch_execute(SCHEMA).await.unwrap();
    (ledger, client)
}

async fn check(cases: &[(&str, &[&str])]) {
    let (_ledger, client) = desk().await;
    for (sql, expected) in cases {
        assert_eq!(rows(&client, sql).await, *expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_joined_in_every_way() {
    check(&[
        (
            "SELECT o.id, f.trade_id FROM orders o JOIN fills f ON f.order_id = o.id ORDER BY 1, 2",
            &["a|1", "a|2", "b|3", "c|1"],
        ),
        (
            "SELECT o.id, f.trade_id FROM orders AS o LEFT JOIN fills AS f ON f.order_id = o.id AND f.qty > 1 ORDER BY o.id",
            &["a|-", "b|3", "c|1", "d|-"],
        ),
        (
            "SELECT o.id, f.trade_id FROM orders o RIGHT JOIN fills f ON f.order_id = o.id WHERE f.symbol = 'ETH' ORDER BY 2",
            &["c|1", "-|2"],
        ),
        (
            "SELECT symbol, o.id, l.most FROM orders o FULL JOIN limits l USING (symbol) ORDER BY symbol, o.id",
            &["BTC|a|100", "BTC|b|100", "ETH|c|-", "SOL|-|7", "XRP|d|-"],
        ),
        ("SELECT count(*) FROM orders CROSS JOIN fills", &["20"]),
        ("SELECT count(*) FROM orders o, fills f WHERE o.symbol = f.symbol AND o.side = 'SELL'", &["3"]),
        ("SELECT o.id FROM orders o LEFT JOIN limits l ON l.symbol = o.symbol WHERE l.most IS NULL ORDER BY 1", &["c", "d"]),
        ("SELECT * FROM limits NATURAL JOIN orders ORDER BY id", &["BTC|100|a|BUY|1.0000", "BTC|100|b|SELL|2.0000"]),
        ("SELECT l.* FROM orders o JOIN limits l ON l.symbol = o.symbol AND o.id = 'a'", &["BTC|100"]),
        ("SELECT x.n, y.n FROM (VALUES (1), (2)) x(n) JOIN (VALUES (2), (3)) AS y(n) ON x.n < y.n ORDER BY 1, 2", &["1|2", "1|3", "2|3"]),
        ("SELECT a.id FROM orders a JOIN (orders b JOIN limits l ON l.symbol = b.symbol) ON a.id = b.id ORDER BY 1", &["a", "b"]),
        (
            "SELECT o.id, t.n FROM orders o, LATERAL (SELECT count(*) AS n FROM fills f WHERE f.order_id = o.id) t ORDER BY 1",
            &["a|2", "b|1", "c|1", "d|0"],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_grouped_and_aggregated() {
    check(&[
        ("SELECT symbol, count(*), sum(qty) FROM fills GROUP BY symbol ORDER BY symbol", &["BTC|3|2.5000", "ETH|2|13.0000"]),
        ("SELECT side, max(qty) FROM orders GROUP BY 1 HAVING count(*) > 1", &["BUY|10.0000"]),
        ("SELECT lower(symbol) AS s FROM orders GROUP BY s ORDER BY count(*) DESC, s", &["btc", "eth", "xrp"]),
        ("SELECT o.id, o.qty - coalesce(sum(f.qty), 0) AS open FROM orders o LEFT JOIN fills f ON f.order_id = o.id GROUP BY o.id ORDER BY 1", &["a|0.0000", "b|0.5000", "c|0.0000", "d|5.0000"]),
        ("SELECT count(DISTINCT symbol), count(*) FILTER (WHERE qty > 1), avg(qty) FROM fills", &["2|3|3.1000000000000000"]),
        ("SELECT string_agg(id, ',' ORDER BY id DESC), array_agg(qty ORDER BY id) FROM orders WHERE symbol = 'BTC'", &["b,a|{1.0000,2.0000}"]),
        ("SELECT bool_and(qty > 0), bool_or(qty > 9), min(id) FROM orders", &["t|t|a"]),
        ("SELECT jsonb_agg(trade_id ORDER BY trade_id) FROM fills WHERE symbol = 'BTC'", &["[1, 2, 3]"]),
        ("SELECT symbol FROM orders WHERE false GROUP BY symbol", &[]),
        ("SELECT count(*), sum(qty) FROM orders WHERE false", &["0|-"]),
        ("SELECT DISTINCT symbol FROM orders ORDER BY symbol DESC", &["XRP", "ETH", "BTC"]),
        ("SELECT DISTINCT ON (symbol) symbol, id FROM orders ORDER BY symbol, qty DESC", &["BTC|b", "ETH|c", "XRP|d"]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_stand_inside_queries() {
    check(&[
        ("SELECT id FROM orders WHERE qty = (SELECT max(qty) FROM orders)", &["c"]),
        ("SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM fills f WHERE f.order_id = o.id AND f.qty > 1) ORDER BY 1", &["b", "c"]),
        ("SELECT id FROM orders o WHERE NOT EXISTS (SELECT FROM fills WHERE order_id = o.id)", &["d"]),
        ("SELECT id FROM orders WHERE symbol IN (SELECT symbol FROM limits) ORDER BY 1", &["a", "b"]),
        ("SELECT id FROM orders WHERE id NOT IN (SELECT order_id FROM fills)", &[]),
        ("SELECT id FROM orders WHERE (symbol, qty) IN (SELECT symbol, qty FROM fills)", &["c"]),
        ("SELECT id FROM orders WHERE qty >= ALL (SELECT qty FROM orders)", &["c"]),
        ("SELECT o.id, (SELECT count(*) FROM fills WHERE order_id = o.id) FROM orders o ORDER BY id", &["a|2", "b|1", "c|1", "d|0"]),
        ("SELECT symbol, (SELECT most FROM limits l WHERE l.symbol = o.symbol) FROM orders o GROUP BY symbol ORDER BY 1", &["BTC|100", "ETH|-", "XRP|-"]),
        ("SELECT t.s, t.n FROM (SELECT symbol AS s, count(*) AS n FROM orders GROUP BY symbol) t WHERE t.n > 1", &["BTC|2"]),
        ("WITH big AS (SELECT * FROM orders WHERE qty > 1), named (x) AS (SELECT id FROM big) SELECT x FROM named ORDER BY x", &["b", "c", "d"]),
        ("SELECT ARRAY(SELECT id FROM orders ORDER BY id DESC)", &["{d,c,b,a}"]),
        ("SELECT symbol FROM orders UNION SELECT symbol FROM limits ORDER BY symbol", &["BTC", "ETH", "SOL", "XRP"]),
        ("SELECT symbol FROM orders INTERSECT SELECT symbol FROM limits", &["BTC"]),
        ("SELECT symbol FROM orders EXCEPT ALL SELECT symbol FROM limits ORDER BY 1", &["BTC", "ETH", "XRP"]),
        ("(SELECT id FROM orders ORDER BY qty DESC LIMIT 1) UNION ALL SELECT 'z'", &["c", "z"]),
        ("SELECT 1 UNION ALL SELECT 2.5 ORDER BY 1 DESC", &["2.5", "1"]),
        ("VALUES (1, 'a'), (2, 'b') ORDER BY column1 DESC", &["2|b", "1|a"]),
        ("SELECT id FROM orders ORDER BY id OFFSET 1 FETCH FIRST 2 ROWS ONLY", &["b", "c"]),
        ("SELECT count(*) FROM orders a WHERE (SELECT count(*) FROM orders b WHERE (SELECT b.qty > a.qty)) = 0", &["1"]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_read_other_tables() {
    let (_ledger, client) = desk().await;
    assert_eq!(
        rows(&client, "UPDATE orders o SET qty = o.qty - f.qty FROM fills f WHERE f.order_id = o.id AND f.trade_id = 3 RETURNING o.id, o.qty, f.symbol").await,
        ["b|0.5000|BTC"]
    );
    assert_eq!(rows(&client, "DELETE FROM fills USING orders o WHERE fills.order_id = o.id AND o.side = 'SELL' RETURNING fills.trade_id, o.id").await, ["3|b"]);
    client.batch_execute("CREATE TABLE copies (id TEXT PRIMARY KEY, n BIGINT DEFAULT 7)").await.unwrap();
    assert_eq!(
        client
            .execute("INSERT INTO copies (id) SELECT id FROM orders WHERE symbol = 'BTC'", &[])
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        rows(&client, "INSERT INTO copies AS c SELECT id, 1 FROM orders ON CONFLICT (id) DO UPDATE SET n = c.n + excluded.n WHERE c.id <> 'b' RETURNING *").await,
        ["a|8", "c|1", "d|1"]
    );
    assert_eq!(
        rows(&client, "UPDATE copies SET n = (SELECT count(*) FROM copies) WHERE id = 'a' RETURNING n").await,
        ["4"]
    );
    assert_eq!(
        client
            .execute("DELETE FROM copies WHERE id IN (SELECT id FROM orders WHERE side = 'BUY')", &[])
            .await
            .unwrap(),
        3
    );
    assert_eq!(code(&client, "UPDATE orders SET qty = 1 FROM orders").await, "42712");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_may_be_arrays() {
    let (_ledger, client) = desk().await;
    let wanted = vec!["a", "c", "nothing"];
    let found = client
        .query_typed("SELECT id FROM orders WHERE id = ANY($1) ORDER BY id", &[(&wanted, Type::TEXT_ARRAY)])
        .await
        .unwrap();
    assert_eq!(found.iter().map(|row| row.get(0)).collect::<Vec<&str>>(), ["a", "c"]);
    let numbers = client
        .query_one(
            "SELECT $1::int8[] || 4::int8, array_length($1, 1) FROM unnest($1::int8[]) AS n(x) LIMIT 1",
            &[&vec![1_i64, 2]],
        )
        .await;
    assert!(numbers.is_err(), "an element is appended to text arrays only");
    let row = client
        .query_one("SELECT $1::int8[] || ARRAY[4::int8], $2 <> ALL ($1)", &[&vec![1_i64, 2], &3_i64])
        .await
        .unwrap();
    assert_eq!((row.get::<_, Vec<i64>>(0), row.get::<_, bool>(1)), (vec![1, 2, 4], true));
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_answer_as_in_postgresql() {
    check(&[
        ("SELECT upper('a') || lower('B'), substring('trading' from 2 for 3), substr('abc', -1, 4), left('abc', -1), right('abc', 2)", &["Ab|rad|ab|ab|bc"]),
        ("SELECT position('d' in 'trade'), replace('a-b', '-', '+'), trim('  x '), ltrim('xxa', 'x'), split_part('a,b,c', ',', -1)", &["4|a+b|x|a|c"]),
        ("SELECT lpad('7', 3, '0'), rpad('a', 3), concat('a', NULL, 1), concat_ws('-', 1, NULL, 2), format('%s %I %L', 'a', 'B', 'c')", &["007|a  |a1|1-2|a \"B\" 'c'"]),
        ("SELECT 'BTCUSDT' ~ '^BTC', 'btc' ~* 'BTC', 'a' !~ 'b', 'abc' LIKE 'a_c', regexp_replace('a1b2', '[0-9]', '#', 'g')", &["t|t|t|t|a#b#"]),
        ("SELECT round(2.5), round(1.005, 2), trunc(-1.79, 1), ceil(1.2), floor(-1.2), mod(7, -3), sign(-2.0), abs(-3::smallint)", &["3|1.01|-1.7|2|-2|1|-1|3"]),
        ("SELECT sqrt(2::float8), power(2, 10), 0.1::float8 + 0.2::float8, 1e15::float8, 1::float4 / 3", &["1.4142135623730951|1024|0.30000000000000004|1e+15|0.33333334"]),
        ("SELECT '2026-01-31'::date + interval '1 month', '2026-03-01'::date - '2026-02-01'::date, '2026-01-01'::date + 1", &["2026-02-28 00:00:00|28|2026-01-02"]),
        ("SELECT '2026-01-02 03:04:05.5+00'::timestamptz - interval '1 day 2 hours', date_trunc('hour', timestamp '2026-01-02 03:04:05')", &["2026-01-01 01:04:05.5+00|2026-01-02 03:00:00"]),
        ("SELECT extract(epoch from timestamptz '1970-01-02 00:00:00.5+00'), date_part('year', timestamptz '2026-05-06'), extract(dow from date '2026-01-04')", &["86400.500000|2026|0"]),
        ("SELECT '2 hours'::interval * 1.5, interval '1 day' + '3 hours', '2026-01-02'::timestamptz - '2026-01-01 12:00'::timestamptz", &["03:00:00|1 day 03:00:00|12:00:00"]),
        ("SELECT to_char(timestamptz '2026-01-02 15:04:05', 'YYYY-MM-DD HH24:MI:SS'), to_timestamp(1.5)", &["2026-01-02 15:04:05|1970-01-01 00:00:01.5+00"]),
        ("SELECT now() = transaction_timestamp(), now() - interval '5 minutes' < now(), clock_timestamp() >= now()", &["t|t|t"]),
        ("SELECT '{\"a\":{\"b\":[1,2]}}'::jsonb #>> '{a,b,1}', '{\"a\":1}'::jsonb @> '{\"a\":1}', '{\"a\":1}'::jsonb ? 'b', jsonb_set('{\"a\":1}', '{b}', '2')", &["2|t|f|{\"a\": 1, \"b\": 2}"]),
        ("SELECT jsonb_build_object('n', 1, 't', 'x'), to_jsonb(ARRAY[1,2]), jsonb_typeof('[]'), '{\"a\": 1}'::jsonb || '{\"b\":2}'", &["{\"n\": 1, \"t\": \"x\"}|[1, 2]|array|{\"a\": 1, \"b\": 2}"]),
        ("SELECT n FROM generate_series(1, 7, 3) AS n", &["1", "4", "7"]),
        ("SELECT x, i FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY AS u(x, i) ORDER BY i DESC", &["b|2", "a|1"]),
        ("SELECT value FROM jsonb_array_elements('[1, {\"a\": 2}]')", &["1", "{\"a\": 2}"]),
        ("SELECT '550e8400-e29b-41d4-a716-446655440000'::uuid, 'ab'::char(3) || 'x', '12:30'::time, '{\"a\":  1}'::json", &["550e8400-e29b-41d4-a716-446655440000|abx|12:30:00|{\"a\":  1}"]),
        ("SELECT (1, 2) < (1, 3), (1, 2) = (1, 2), 1 IS DISTINCT FROM NULL, 3 = ANY (ARRAY[1, 3]), ARRAY[1,2] @> ARRAY[2]", &["t|t|t|t|t"]),
        ("SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = 'public' ORDER BY 1", &["fills", "limits", "orders"]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_find_what_nested_loops_find() {
    let (_ledger, client) = desk().await;
    client.batch_execute("CREATE TABLE l (a INT, b INT, n INT PRIMARY KEY); CREATE TABLE r (a INT, b INT UNIQUE, n INT PRIMARY KEY)").await.unwrap();
    // A linear congruence, so that keys repeat, miss each other, and are null now and then.
    for n in 0..40 {
        let value =
            |seed: i32| if (n * seed) % 11 == 3 { "NULL".to_owned() } else { ((n * seed) % 13).to_string() };
        client
            .batch_execute(&format!(
                "INSERT INTO l VALUES ({}, {}, {n}); INSERT INTO r VALUES ({}, {n}, {n})",
                value(7),
                value(5),
                value(3)
            ))
            .await
            .unwrap();
    }
    for kind in ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"] {
        for on in ["l.a = r.a", "l.b = r.n", "l.b = r.b AND l.a > 3", "l.a = r.a AND l.b < r.n AND r.n > 5"] {
            // The second form hides the equality from the planner.
            let hidden =
                on.replacen(" = ", " - 0 = 0 + ", 1).replacen("l.", "(SELECT l.", 1).replacen(" - 0", ")", 1);
            let sql = |on: &str| format!("SELECT l.n, r.n FROM l {kind} r ON {on} ORDER BY 1, 2");
            assert_eq!(rows(&client, &sql(on)).await, rows(&client, &sql(&hidden)).await, "{kind} {on}");
        }
    }
}
