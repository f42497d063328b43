//! The tables that generated sessions work on: those of the trading system, and small ones with a column of every kind.

/// What a column or an expression holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Int,
    Big,
    Number,
    Text,
    Flag,
    Time,
    Json,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Int, Self::Big, Self::Number, Self::Text, Self::Flag, Self::Time, Self::Json];

    /// Its name in the templates of expressions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Big => "big",
            Self::Number => "num",
            Self::Text => "text",
            Self::Flag => "flag",
            Self::Time => "time",
            Self::Json => "json",
        }
    }
}

/// A column: its name, what it holds, and its definition in SQL.
pub struct Column(pub &'static str, pub Kind, pub &'static str);

/// A table.
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// Constraints that are not part of a column.
    pub constraints: &'static [&'static str],
    /// What `ON CONFLICT` may name, the primary key first.
    pub keys: &'static [&'static str],
}

impl Table {
    /// The statement that makes it.
    pub fn create(&self) -> String {
        let columns = self.columns.iter().map(|Column(name, _, definition)| format!("{name} {definition}"));
        let parts: Vec<_> = columns.chain(self.constraints.iter().map(|text| (*text).to_owned())).collect();
        format!("CREATE TABLE {} ({})", self.name, parts.join(", "))
    }
}

use Kind::{Big, Flag, Int, Json, Number, Text, Time};

/// All of them.
pub const TABLES: &[Table] = &[
    Table {
        name: "t",
        columns: &[
            Column("id", Int, "INTEGER PRIMARY KEY"),
            Column("b", Big, "BIGINT"),
            Column("n", Number, "NUMERIC(8,2) CHECK (n >= 0)"),
            Column("s", Text, "VARCHAR(8)"),
            Column("f", Flag, "BOOLEAN DEFAULT false"),
            Column("at", Time, "TIMESTAMPTZ"),
            Column("j", Json, "JSONB"),
            Column("u", Text, "TEXT UNIQUE"),
        ],
        constraints: &[],
        keys: &["(id)", "(u)"],
    },
    Table {
        name: "c",
        columns: &[
            Column("t_id", Int, "INTEGER"),
            Column("k", Text, "TEXT NOT NULL"),
            Column("v", Number, "NUMERIC"),
            Column("on_", Flag, "BOOLEAN NOT NULL DEFAULT true"),
        ],
        constraints: &["UNIQUE (t_id, k)", "CONSTRAINT c_v_small CHECK (v < 1000 OR on_)"],
        keys: &["(t_id, k)"],
    },
    Table {
        name: "order_intents",
        columns: &[
            Column("client_order_id", Text, "TEXT PRIMARY KEY"),
            Column("epoch", Big, "BIGINT NOT NULL"),
            Column("symbol", Text, "TEXT NOT NULL"),
            Column("side", Text, "TEXT NOT NULL CHECK (side IN ('BUY', 'SELL'))"),
            Column("qty", Number, "NUMERIC NOT NULL CHECK (qty > 0)"),
            Column("price", Number, "NUMERIC(18,8)"),
            Column("reduce_only", Flag, "BOOLEAN NOT NULL DEFAULT false"),
            Column("status", Text, "TEXT NOT NULL DEFAULT 'INTENT'"),
        ],
        constraints: &[],
        keys: &["(client_order_id)"],
    },
    Table {
        name: "fills",
        columns: &[
            Column("symbol", Text, "TEXT NOT NULL"),
            Column("trade_id", Big, "BIGINT NOT NULL"),
            Column("client_order_id", Text, "TEXT"),
            Column("qty", Number, "NUMERIC NOT NULL"),
            Column("price", Number, "NUMERIC NOT NULL"),
            Column("ts", Time, "TIMESTAMPTZ"),
        ],
        constraints: &["PRIMARY KEY (symbol, trade_id)"],
        keys: &["(symbol, trade_id)"],
    },
    Table {
        name: "positions",
        columns: &[
            Column("symbol", Text, "TEXT PRIMARY KEY"),
            Column("qty", Number, "NUMERIC NOT NULL DEFAULT 0"),
            Column("avg_price", Number, "NUMERIC(12,2)"),
        ],
        constraints: &[],
        keys: &["(symbol)"],
    },
    Table {
        name: "halts",
        columns: &[
            Column("reason", Text, "TEXT PRIMARY KEY"),
            Column("set_by", Text, "TEXT NOT NULL"),
            Column("set_at", Time, "TIMESTAMPTZ NOT NULL"),
            Column("cleared_by", Text, "TEXT"),
        ],
        constraints: &[],
        keys: &["(reason)"],
    },
    Table {
        name: "audit",
        columns: &[
            Column("seq", Big, "BIGINT PRIMARY KEY"),
            Column("prev_hash", Text, "TEXT UNIQUE"),
            Column("entry", Json, "JSONB NOT NULL DEFAULT '{}'"),
        ],
        constraints: &[],
        keys: &["(seq)", "(prev_hash)"],
    },
];
