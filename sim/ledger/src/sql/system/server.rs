//! What is the same for every database: roles, schemas, access methods, collations, types.

use super::{
    NO, SystemTable, YES, catalog, number,
    object::{DATABASE_OWNER, NAMESPACES, OWNER, PG_CATALOG, PUBLIC},
    text,
};
use crate::data::{
    Type::{self, Bool, Char, Int2, Int4, Name, Oid, Text, Timestamptz},
    Value,
};

/// `pg_am.oid` of heaps and of B-trees.
pub(super) const HEAP: i64 = 2;
pub(super) const BTREE: i64 = 403;
/// `pg_collation.oid` of a database's own collation, and of "C".
pub(super) const DEFAULT_COLLATION: i64 = 100;
const C_COLLATION: i64 = 950;
/// `pg_encoding.h`
const UTF8: i64 = 6;

/// `pg_type.typcollation`
pub(super) fn collation(ty: Type) -> i64 {
    match ty {
        Type::Array(element) => collation(*element),
        Type::Name => C_COLLATION,
        Type::Bpchar | Type::Text | Type::Varchar => DEFAULT_COLLATION,
        _ => 0,
    }
}

/// In alphabetical order.
pub(super) const ALL: &[SystemTable] = &[
    catalog("pg_am", &[("oid", Oid), ("amname", Name), ("amtype", Char)], |_| {
        let row = |oid: i64, name, kind| vec![number(oid), text(name), text(kind)];
        Ok(vec![row(HEAP, "heap", "t"), row(BTREE, "btree", "i")])
    }),
    catalog(
        "pg_collation",
        &[
            ("oid", Oid),
            ("collname", Name),
            ("collnamespace", Oid),
            ("collowner", Oid),
            ("collprovider", Char),
        ],
        |_| {
            let row = |oid: i64, name, provider| {
                vec![number(oid), text(name), number(PG_CATALOG), number(OWNER.0), text(provider)]
            };
            Ok(vec![
                row(DEFAULT_COLLATION, "default", "d"),
                row(C_COLLATION, "C", "c"),
                row(951, "POSIX", "c"),
            ])
        },
    ),
    catalog(
        "pg_database",
        &[
            ("oid", Oid),
            ("datname", Name),
            ("datdba", Oid),
            ("encoding", Int4),
            ("datlocprovider", Char),
            ("datistemplate", Bool),
            ("datallowconn", Bool),
            ("datconnlimit", Int4),
            ("dattablespace", Oid),
            ("datcollate", Text),
            ("datctype", Text),
            ("daticulocale", Text),
            ("daticurules", Text),
            ("datacl", Type::Array(&Text)),
        ],
        |_| {
            // Whatever name a client connects to, this is the one database.
            let row = vec![
                number(5),
                text("postgres"),
                number(OWNER.0),
                number(UTF8),
                text("c"),
                NO,
                YES,
                number(-1),
                number(1_663),
                text("C"),
                text("C"),
                Value::Null,
                Value::Null,
                Value::Null,
            ];
            Ok(vec![row])
        },
    ),
    catalog(
        "pg_namespace",
        &[("oid", Oid), ("nspname", Name), ("nspowner", Oid), ("nspacl", Type::Array(&Text))],
        |_| {
            let row = |(oid, name): (i64, &str)| {
                let owner = if oid == PUBLIC { DATABASE_OWNER } else { OWNER };
                vec![number(oid), text(name), number(owner.0), Value::Null]
            };
            Ok(NAMESPACES.into_iter().map(row).collect())
        },
    ),
    catalog(
        "pg_roles",
        &[
            ("rolname", Name),
            ("rolsuper", Bool),
            ("rolinherit", Bool),
            ("rolcreaterole", Bool),
            ("rolcreatedb", Bool),
            ("rolcanlogin", Bool),
            ("rolreplication", Bool),
            ("rolconnlimit", Int4),
            ("rolpassword", Text),
            ("rolvaliduntil", Timestamptz),
            ("rolbypassrls", Bool),
            ("oid", Oid),
        ],
        |_| {
            let row = |(oid, name): (i64, &str), able: Value| {
                let mut row = vec![text(name), able.clone(), YES];
                row.extend(std::iter::repeat_n(able.clone(), 4));
                row.extend([number(-1), text("********"), Value::Null, able, number(oid)]);
                row
            };
            Ok(vec![row(OWNER, YES), row(DATABASE_OWNER, NO)])
        },
    ),
    catalog(
        "pg_type",
        &[
            ("oid", Oid),
            ("typname", Name),
            ("typnamespace", Oid),
            ("typowner", Oid),
            ("typlen", Int2),
            ("typtype", Char),
            ("typrelid", Oid),
            ("typelem", Oid),
            ("typarray", Oid),
            ("typbasetype", Oid),
            ("typcollation", Oid),
        ],
        |_| {
            let row = |ty: Type| {
                let (name, element) = match ty {
                    Type::Array(element) => (format!("_{}", element.internal_name()), element.oid()),
                    scalar => (scalar.internal_name().to_owned(), 0),
                };
                vec![
                    number(ty.oid()),
                    Value::from(name),
                    number(PG_CATALOG),
                    number(OWNER.0),
                    number(ty.width()),
                    text("b"),
                    number(0),
                    number(element),
                    number(ty.array().map_or(0, Type::oid)),
                    number(0),
                    number(collation(ty)),
                ]
            };
            Ok(Type::scalars().flat_map(|ty| [Some(ty), ty.array()]).flatten().map(row).collect())
        },
    ),
];
