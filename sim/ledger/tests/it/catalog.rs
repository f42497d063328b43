//! The catalog, asked as `psql` 15 asks it for `\dt` and `\d`; the answers are those of a real PostgreSQL.

use tokio_postgres::Client;

use crate::fixture::{Ledger, code, rows};

const SCHEMA: &str = "
    CREATE TABLE order_intents (client_order_id TEXT PRIMARY KEY, epoch BIGINT NOT NULL, symbol TEXT NOT NULL,
        side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')), qty NUMERIC(18,8) NOT NULL, price NUMERIC,
        reduce_only BOOLEAN NOT NULL DEFAULT false, note VARCHAR(20), at TIMESTAMPTZ DEFAULT now(), body JSONB);
    CREATE TABLE fills (symbol TEXT, trade_id BIGINT, client_order_id TEXT UNIQUE, qty NUMERIC NOT NULL CHECK (qty > 0),
        PRIMARY KEY (symbol, trade_id));";

async fn desk() -> (Ledger, Client) {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    client.batch_execute(SCHEMA).await.unwrap();
    (ledger, client)
}

/// What `psql` finds by a name before it describes it.
async fn oid(client: &Client, name: &str) -> String {
    let found = rows(
        client,
        &format!(
            "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relname OPERATOR(pg_catalog.~) '^({name})$' COLLATE pg_catalog.default
               AND pg_catalog.pg_table_is_visible(c.oid)
             ORDER BY 2, 3;"
        ),
    )
    .await;
    assert_eq!(found.len(), 1, "{found:?}");
    let (oid, rest) = found[0].split_once('|').unwrap();
    assert_eq!(rest, format!("public|{name}"));
    oid.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_listed_as_psql_asks_for_them() {
    let (_ledger, client) = desk().await;
    let listed = rows(
        &client,
        r#"SELECT n.nspname as "Schema",
  c.relname as "Name",
  CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'i' THEN 'index' WHEN 'p' THEN 'partitioned table' END as "Type",
  pg_catalog.pg_get_userbyid(c.relowner) as "Owner"
FROM pg_catalog.pg_class c
     LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
WHERE c.relkind IN ('r','p','')
      AND n.nspname <> 'pg_catalog'
      AND n.nspname !~ '^pg_toast'
      AND n.nspname <> 'information_schema'
  AND pg_catalog.pg_table_is_visible(c.oid)
ORDER BY 1,2;"#,
    )
    .await;
    assert_eq!(listed, ["public|fills|table|postgres", "public|order_intents|table|postgres"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_columns_of_a_table_are_described_as_psql_asks_for_them() {
    let (_ledger, client) = desk().await;
    let oid = oid(&client, "order_intents").await;
    let described = rows(
        &client,
        &format!(
            "SELECT a.attname,
  pg_catalog.format_type(a.atttypid, a.atttypmod),
  (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true)
   FROM pg_catalog.pg_attrdef d
   WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef),
  a.attnotnull,
  (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t
   WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS attcollation,
  a.attidentity,
  a.attgenerated
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = '{oid}' AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;"
        ),
    )
    .await;
    assert_eq!(
        described,
        [
            "client_order_id|text|-|t|-||",
            "epoch|bigint|-|t|-||",
            "symbol|text|-|t|-||",
            "side|text|-|t|-||",
            "qty|numeric(18,8)|-|t|-||",
            "price|numeric|-|f|-||",
            "reduce_only|boolean|false|t|-||",
            "note|character varying(20)|-|f|-||",
            "at|timestamp with time zone|now()|f|-||",
            "body|jsonb|-|f|-||",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_indexes_and_checks_of_a_table_are_described_as_psql_asks_for_them() {
    let (_ledger, client) = desk().await;
    let oid = oid(&client, "fills").await;
    let indexes = rows(
        &client,
        &format!(
            "SELECT c2.relname, i.indisprimary, i.indisunique, i.indisclustered, i.indisvalid, pg_catalog.pg_get_indexdef(i.indexrelid, 0, true),
  pg_catalog.pg_get_constraintdef(con.oid, true), contype, condeferrable, condeferred, i.indisreplident, c2.reltablespace
FROM pg_catalog.pg_class c, pg_catalog.pg_class c2, pg_catalog.pg_index i
  LEFT JOIN pg_catalog.pg_constraint con ON (conrelid = i.indrelid AND conindid = i.indexrelid AND contype IN ('p','u','x'))
WHERE c.oid = '{oid}' AND c.oid = i.indrelid AND i.indexrelid = c2.oid
ORDER BY i.indisprimary DESC, c2.relname;"
        ),
    )
    .await;
    assert_eq!(
        indexes,
        [
            "fills_pkey|t|t|f|t|CREATE UNIQUE INDEX fills_pkey ON fills USING btree (symbol, trade_id)|PRIMARY KEY (symbol, trade_id)|p|f|f|f|0",
            "fills_client_order_id_key|f|t|f|t|CREATE UNIQUE INDEX fills_client_order_id_key ON fills USING btree (client_order_id)|UNIQUE (client_order_id)|u|f|f|f|0",
        ]
    );
    let checks = "SELECT r.conname, pg_catalog.pg_get_constraintdef(r.oid, true), pg_get_constraintdef(r.oid)
        FROM pg_catalog.pg_constraint r WHERE r.contype = 'c' ORDER BY 1;";
    assert_eq!(
        rows(&client, checks).await,
        [
            "fills_qty_check|CHECK (qty > 0::numeric)|CHECK ((qty > (0)::numeric))",
            "order_intents_side_check|CHECK (side = ANY (ARRAY['BUY'::text, 'SELL'::text]))|CHECK ((side = ANY (ARRAY['BUY'::text, 'SELL'::text])))",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_and_defaults_are_shown_in_the_words_of_postgresql() {
    let ledger = Ledger::start().await;
    let client = ledger.client().await;
    let table = "CREATE TABLE x (qty NUMERIC NOT NULL CHECK (qty > 0),
        note VARCHAR(20) DEFAULT 'a' CHECK (note IN ('a', 'b')),
        n BIGINT DEFAULT -1 CHECK (n BETWEEN 1 AND 5 OR n IS NULL),
        c TEXT CHECK (NOT (c LIKE 'x%')), p NUMERIC(18,4) DEFAULT 0.5, d INT DEFAULT 2 + 3 CHECK (d + 1 > 2),
        CHECK (qty * 2 > p AND length(c) <> 3), CHECK (note = 'q' AND c <> 'a' || 'b'))";
    client.batch_execute(table).await.unwrap();
    let both = "SELECT conname, pg_get_constraintdef(oid, true), pg_get_constraintdef(oid)
                FROM pg_constraint WHERE conrelid = 'x'::regclass ORDER BY 1";
    assert_eq!(
        rows(&client, both).await,
        [
            "x_c_check|CHECK (NOT c ~~ 'x%'::text)|CHECK ((NOT (c ~~ 'x%'::text)))",
            "x_check|CHECK ((qty * 2::numeric) > p AND length(c) <> 3)|CHECK ((((qty * (2)::numeric) > p) AND (length(c) <> 3)))",
            "x_check1|CHECK (note::text = 'q'::text AND c <> ('a'::text || 'b'::text))|CHECK ((((note)::text = 'q'::text) AND (c <> ('a'::text || 'b'::text))))",
            "x_d_check|CHECK ((d + 1) > 2)|CHECK (((d + 1) > 2))",
            "x_n_check|CHECK (n >= 1 AND n <= 5 OR n IS NULL)|CHECK ((((n >= 1) AND (n <= 5)) OR (n IS NULL)))",
            "x_note_check|CHECK (note::text = ANY (ARRAY['a'::character varying, 'b'::character varying]::text[]))|CHECK (((note)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))",
            "x_qty_check|CHECK (qty > 0::numeric)|CHECK ((qty > (0)::numeric))",
        ]
    );
    let defaults = "SELECT column_default FROM information_schema.columns WHERE column_default IS NOT NULL ORDER BY ordinal_position";
    assert_eq!(rows(&client, defaults).await, ["'a'::character varying", "'-1'::integer", "0.5", "(2 + 3)"]);
    client
        .batch_execute("CREATE TABLE y (n INT CHECK (CASE WHEN n > 0 THEN true ELSE false END))")
        .await
        .unwrap();
    assert_eq!(code(&client, "SELECT pg_get_constraintdef(oid) FROM pg_constraint").await, "0A000");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_not_have_is_an_empty_table_and_not_an_error() {
    let (_ledger, client) = desk().await;
    let oid = oid(&client, "fills").await;
    for sql in [
        "SELECT pol.polname, CASE WHEN pol.polroles = '{0}' THEN NULL ELSE pg_catalog.array_to_string(array(select rolname from pg_catalog.pg_roles where oid = any (pol.polroles) order by 1),',') END
         FROM pg_catalog.pg_policy pol WHERE pol.polrelid = 'OID' ORDER BY 1;",
        "SELECT oid, stxrelid::pg_catalog.regclass, stxnamespace::pg_catalog.regnamespace::pg_catalog.text AS nsp, stxname,
         pg_catalog.pg_get_statisticsobjdef_columns(oid) AS columns, 'd' = any(stxkind) AS ndist_enabled
         FROM pg_catalog.pg_statistic_ext WHERE stxrelid = 'OID' ORDER BY nsp, stxname;",
        "SELECT pubname, NULL, NULL FROM pg_catalog.pg_publication p
         JOIN pg_catalog.pg_publication_namespace pn ON p.oid = pn.pnpubid
         JOIN pg_catalog.pg_class pc ON pc.relnamespace = pn.pnnspid
         WHERE pc.oid ='OID' and pg_catalog.pg_relation_is_publishable('OID')
         UNION SELECT pubname, pg_get_expr(pr.prqual, c.oid), (CASE WHEN pr.prattrs IS NOT NULL THEN
           (SELECT string_agg(attname, ', ')
            FROM pg_catalog.generate_series(0, pg_catalog.array_upper(pr.prattrs::pg_catalog.int2[], 1)) s, pg_catalog.pg_attribute
            WHERE attrelid = pr.prrelid AND attnum = prattrs[s]) ELSE NULL END)
         FROM pg_catalog.pg_publication p
         JOIN pg_catalog.pg_publication_rel pr ON p.oid = pr.prpubid
         JOIN pg_catalog.pg_class c ON c.oid = pr.prrelid WHERE pr.prrelid = 'OID' ORDER BY 1;",
        "SELECT c.oid::pg_catalog.regclass, c.relkind, inhdetachpending, pg_catalog.pg_get_expr(c.relpartbound, c.oid)
         FROM pg_catalog.pg_class c, pg_catalog.pg_inherits i WHERE c.oid = i.inhrelid AND i.inhparent = 'OID'
         ORDER BY pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT', c.oid::pg_catalog.regclass::pg_catalog.text;",
    ] {
        assert_eq!(rows(&client, &sql.replace("OID", &oid)).await, [""; 0], "{sql}");
    }
    assert_eq!(code(&client, "SELECT * FROM pg_catalog.pg_proc").await, "42P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_an_object_is_shown_as_its_name_and_read_from_it() {
    let (_ledger, client) = desk().await;
    let oid = oid(&client, "fills_pkey").await;
    let sql = "SELECT 'public.fills_pkey'::regclass, 'fills_pkey'::regclass::oid, 'int8'::regtype, 25::regtype::text, 2200::regnamespace, 0::regclass";
    assert_eq!(rows(&client, sql).await, [format!("fills_pkey|{oid}|bigint|text|public|-")]);
    assert_eq!(rows(&client, "SELECT relname FROM pg_class WHERE oid = 'fills'::regclass").await, ["fills"]);
    let row =
        client.query_one("SELECT 'fills'::regclass::oid > 16383, 'fills'::regclass", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0));
    assert_eq!(code(&client, "SELECT 'nosuch'::regclass").await, "42P01");
    assert_eq!(code(&client, "SELECT 'nosuch'::regtype").await, "42704");
    assert_eq!(code(&client, "SELECT 'nosuch'::regnamespace").await, "3F000");
    assert_eq!(code(&client, "CREATE TABLE t (at regclass)").await, "0A000");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_the_same_after_a_recovery() {
    let (ledger, client) = desk().await;
    let before = rows(&client, "SELECT oid, relname FROM pg_class").await;
    assert_eq!(before.len(), 5);
    let restarted = ledger.after_power_loss().await;
    let after = restarted.client().await;
    assert_eq!(rows(&after, "SELECT oid, relname FROM pg_class").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_information_schema_lists_columns() {
    let (_ledger, client) = desk().await;
    let sql = "SELECT column_name, data_type, is_nullable FROM information_schema.columns
               WHERE table_name = 'fills' ORDER BY ordinal_position";
    assert_eq!(
        rows(&client, sql).await,
        ["symbol|text|NO", "trade_id|bigint|NO", "client_order_id|text|YES", "qty|numeric|NO"]
    );
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1";
    assert_eq!(rows(&client, tables).await, ["fills", "order_intents"]);
    assert_eq!(code(&client, "SELECT * FROM columns").await, "42P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_no_constraint_is_described_as_one() {
    let (_ledger, client) = desk().await;
    client.batch_execute("CREATE INDEX fills_by_qty ON fills (qty)").await.unwrap();
    let sql = "SELECT i.indisunique, pg_get_indexdef(i.indexrelid), con.conname FROM pg_index i
               LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid WHERE i.indexrelid = 'fills_by_qty'::regclass";
    assert_eq!(rows(&client, sql).await, ["f|CREATE INDEX fills_by_qty ON public.fills USING btree (qty)|-"]);
}
