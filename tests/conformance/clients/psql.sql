\pset pager off
\timing off
\conninfo

CREATE TABLE order_intents (client_order_id TEXT PRIMARY KEY, epoch BIGINT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')), qty NUMERIC(18,8) NOT NULL, price NUMERIC, reduce_only BOOLEAN NOT NULL DEFAULT false, note VARCHAR(20), at TIMESTAMPTZ DEFAULT now(), body JSONB);

CREATE TABLE fills (symbol TEXT, trade_id BIGINT, client_order_id TEXT, qty NUMERIC NOT NULL, price NUMERIC NOT NULL, PRIMARY KEY (symbol, trade_id));

CREATE INDEX fills_by_order ON fills (client_order_id);

\dt

\d

\d order_intents

\d fills

\d+ fills

\di

\dn

\du

\l

\dt fil*

\dt nosuch

\d nosuch

\df

\dv

\ds

INSERT INTO order_intents (client_order_id, epoch, symbol, side, qty, price) VALUES ('a-1', 7, 'BTCUSDT', 'BUY', 0.5, 42000.1), ('a-2', 7, 'BTCUSDT', 'SELL', 0.25, NULL), ('a-3', 8, 'ETHUSDT', 'BUY', 3, 2500);

SELECT client_order_id, epoch, symbol, side, qty, price, reduce_only, note FROM order_intents ORDER BY client_order_id;

INSERT INTO fills VALUES ('BTCUSDT', 1, 'a-1', 0.2, 42000), ('BTCUSDT', 2, 'a-1', 0.3, 42001.5), ('ETHUSDT', 1, 'a-3', 3, 2499.95) RETURNING *;

INSERT INTO fills VALUES ('BTCUSDT', 2, 'a-1', 0.3, 42001.5);

INSERT INTO fills VALUES ('BTCUSDT', 3, 'nosuch', 0.3, 42001.5);

INSERT INTO order_intents (client_order_id, epoch, symbol, side, qty) VALUES ('a-4', 8, 'BTCUSDT', 'HOLD', 1);

INSERT INTO order_intents (client_order_id, symbol, side, qty) VALUES ('a-4', 'BTCUSDT', 'BUY', 1);

SELECT symbol, sum(qty) AS qty, sum(qty * price) / sum(qty) AS average FROM fills GROUP BY symbol ORDER BY symbol;

SELECT o.client_order_id, o.qty, coalesce(sum(f.qty), 0) AS filled FROM order_intents o LEFT JOIN fills f USING (client_order_id) GROUP BY o.client_order_id, o.qty ORDER BY 1;

\x on
SELECT * FROM fills WHERE trade_id = 2;
\x off

\x auto
SELECT 1 AS one;
\x off

\pset null '(null)'
SELECT note, price FROM order_intents WHERE client_order_id = 'a-2';
\pset null ''

\pset format unaligned
SELECT symbol, trade_id FROM fills ORDER BY 1, 2;
\pset format aligned

\pset tuples_only on
SELECT count(*) FROM fills;
\pset tuples_only off

BEGIN;
UPDATE fills SET qty = qty + 1 WHERE symbol = 'ETHUSDT';
SELECT qty FROM fills WHERE symbol = 'ETHUSDT';
ROLLBACK;
SELECT qty FROM fills WHERE symbol = 'ETHUSDT';

BEGIN;
SELECT 1 / 0;
SELECT 1;
COMMIT;

BEGIN;
SAVEPOINT here;
INSERT INTO fills VALUES ('BTCUSDT', 1, 'a-1', 1, 1);
ROLLBACK TO here;
INSERT INTO fills VALUES ('BTCUSDT', 9, 'a-1', 1, 1);
COMMIT;
SELECT trade_id FROM fills WHERE symbol = 'BTCUSDT' ORDER BY 1;

SELEC 1;

SELECT nocolumn FROM fills;

SELECT * FROM nosuch;

\set symbol 'BTCUSDT'
SELECT count(*) FROM fills WHERE symbol = :'symbol';

SELECT 2 + 2 AS four \gset
\echo :four

SELECT symbol FROM fills WHERE trade_id = 2 \gx

\gdesc

SELECT 1 AS a, 'x'::text AS b, 1.5::numeric(5,2) AS c \gdesc

SHOW server_encoding;

SHOW timezone;

SELECT current_database(), current_user, current_schema();

SELECT version() LIKE 'PostgreSQL %' AS postgresql;

SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1;

SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'fills' ORDER BY ordinal_position;

SELECT 'fills'::regclass, 'fills'::regclass::oid > 0;

\copy fills (symbol, trade_id, qty, price) FROM PSTDIN
BNBUSDT	1	2	300
\.
SELECT * FROM fills WHERE symbol = 'BNBUSDT';

\copy (SELECT symbol, trade_id FROM fills ORDER BY 1, 2) TO STDOUT

DELETE FROM fills WHERE trade_id = 9;

TRUNCATE fills;

ALTER TABLE fills ADD COLUMN fee NUMERIC NOT NULL DEFAULT 0;

\d fills

DROP TABLE fills;

DROP TABLE nosuch;

DROP TABLE IF EXISTS nosuch;

\dt
