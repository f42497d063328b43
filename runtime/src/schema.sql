-- The tables of the trading system. Any process may apply this again and again. Every write to them is idempotent by a key
-- that its writer chose, because a commit can be unknown.

-- One row per decision to trade, durable before the order is sent. `signature` tells the same wish under another id,
-- `epoch` is the fencing epoch of the leader that stored it, `signal_position` the bus's id of the signal.
CREATE TABLE IF NOT EXISTS order_intents (
    client_order_id TEXT PRIMARY KEY,
    intent_id TEXT NOT NULL,
    signature TEXT NOT NULL DEFAULT '',
    epoch BIGINT NOT NULL DEFAULT 0,
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

-- The net position of each symbol, as its booked fills make it. `since` is when it was last opened from flat, `epoch` the
-- leader that wrote it: none writes over the row of a later one.
CREATE TABLE IF NOT EXISTS positions (
    symbol TEXT PRIMARY KEY,
    qty NUMERIC NOT NULL,
    avg_price NUMERIC NOT NULL,
    since TIMESTAMPTZ,
    epoch BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS balances (
    asset TEXT PRIMARY KEY,
    wallet NUMERIC NOT NULL,
    available NUMERIC NOT NULL,
    observed_at TIMESTAMPTZ NOT NULL
);

-- The circuit breakers, for the trader that takes over; `record` is the JSON object {at, record} that circuit_breaker.json has.
CREATE TABLE IF NOT EXISTS breakers (
    symbol TEXT PRIMARY KEY,
    record TEXT NOT NULL
);

-- The halts that only a person clears: KILL_SWITCH, FAILSAFE, PANIC. Open as long as cleared_at is NULL.
CREATE TABLE IF NOT EXISTS halts (
    halt_id TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    set_by TEXT NOT NULL,
    set_at TIMESTAMPTZ NOT NULL,
    why TEXT NOT NULL,
    cleared_by TEXT,
    cleared_at TIMESTAMPTZ
);

CREATE TABLE IF NOT EXISTS panic_events (
    event_id TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    issued_by TEXT NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    positions_total BIGINT,
    positions_closed BIGINT,
    positions_failed BIGINT,
    failed_symbols TEXT,
    completed_at TIMESTAMPTZ
);

-- Fencing epochs: whoever inserts a number leads under it. `dataset` is the dataset epoch of the bus that gave the lock.
CREATE TABLE IF NOT EXISTS leader_epochs (
    epoch BIGINT PRIMARY KEY,
    holder TEXT NOT NULL,
    dataset TEXT NOT NULL,
    acquired_at TIMESTAMPTZ NOT NULL
);

-- What the exchange knew and the books did not, and the other way round; `drift` is a JSON object by symbol.
CREATE TABLE IF NOT EXISTS reconciliations (
    reconciliation_id TEXT PRIMARY KEY,
    epoch BIGINT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    drift TEXT NOT NULL
);

-- What operators and guards did, each row with the hash of the one before.
CREATE TABLE IF NOT EXISTS audit (
    seq BIGINT PRIMARY KEY,
    at TIMESTAMPTZ NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL
);
