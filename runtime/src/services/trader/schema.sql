-- The trader's tables. Every write to them is idempotent by a key that the trader chose, because a commit can be unknown.

-- One row per decision to trade, durable before the order is sent. `signal_position` is the bus's id of the signal.
CREATE TABLE IF NOT EXISTS order_intents (
    client_order_id TEXT PRIMARY KEY,
    intent_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    qty NUMERIC NOT NULL,
    price NUMERIC NOT NULL,
    reduce_only BOOLEAN NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    signal_position TEXT,
    created_at TIMESTAMPTZ NOT NULL
);

-- When an order first reached a status.
CREATE TABLE IF NOT EXISTS order_events (
    client_order_id TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (client_order_id, status)
);

CREATE TABLE IF NOT EXISTS fills (
    symbol TEXT NOT NULL,
    trade_id BIGINT NOT NULL,
    client_order_id TEXT NOT NULL,
    side TEXT NOT NULL,
    qty NUMERIC NOT NULL,
    price NUMERIC NOT NULL,
    fee NUMERIC NOT NULL,
    ts TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (symbol, trade_id)
);

CREATE TABLE IF NOT EXISTS positions (
    symbol TEXT PRIMARY KEY,
    qty NUMERIC NOT NULL,
    avg_price NUMERIC NOT NULL
);
