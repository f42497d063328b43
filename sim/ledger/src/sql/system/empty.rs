//! Tables of things that this server does not have.

use super::{SystemTable, catalog};
use crate::data::Type::{self, Bool, Char, Int2, Int4, Name, Oid, Text};

const fn empty(name: &'static str, columns: &'static [(&'static str, Type)]) -> SystemTable {
    catalog(name, columns, |_| Ok(Vec::new()))
}

/// In alphabetical order.
pub(super) const ALL: &[SystemTable] = &[
    empty(
        "pg_auth_members",
        &[
            ("oid", Oid),
            ("roleid", Oid),
            ("member", Oid),
            ("grantor", Oid),
            ("admin_option", Bool),
            ("inherit_option", Bool),
            ("set_option", Bool),
        ],
    ),
    empty("pg_description", &[("objoid", Oid), ("classoid", Oid), ("objsubid", Int4), ("description", Text)]),
    empty("pg_foreign_data_wrapper", &[("oid", Oid), ("fdwname", Name), ("fdwowner", Oid)]),
    empty("pg_foreign_server", &[("oid", Oid), ("srvname", Name), ("srvowner", Oid), ("srvfdw", Oid)]),
    empty("pg_foreign_table", &[("ftrelid", Oid), ("ftserver", Oid), ("ftoptions", Type::Array(&Text))]),
    empty(
        "pg_inherits",
        &[("inhrelid", Oid), ("inhparent", Oid), ("inhseqno", Int4), ("inhdetachpending", Bool)],
    ),
    empty("pg_partitioned_table", &[("partrelid", Oid), ("partstrat", Char), ("partnatts", Int2)]),
    empty(
        "pg_policy",
        &[
            ("oid", Oid),
            ("polname", Name),
            ("polrelid", Oid),
            ("polcmd", Char),
            ("polpermissive", Bool),
            ("polroles", Type::Array(&Oid)),
            ("polqual", Text),
            ("polwithcheck", Text),
        ],
    ),
    empty(
        "pg_publication",
        &[
            ("oid", Oid),
            ("pubname", Name),
            ("pubowner", Oid),
            ("puballtables", Bool),
            ("pubinsert", Bool),
            ("pubupdate", Bool),
            ("pubdelete", Bool),
            ("pubtruncate", Bool),
            ("pubviaroot", Bool),
        ],
    ),
    empty("pg_publication_namespace", &[("oid", Oid), ("pnpubid", Oid), ("pnnspid", Oid)]),
    empty(
        "pg_publication_rel",
        &[
            ("oid", Oid),
            ("prpubid", Oid),
            ("prrelid", Oid),
            ("prqual", Text),
            ("prattrs", Type::Array(&Int2)),
        ],
    ),
    empty(
        "pg_rewrite",
        &[
            ("oid", Oid),
            ("rulename", Name),
            ("ev_class", Oid),
            ("ev_type", Char),
            ("ev_enabled", Char),
            ("is_instead", Bool),
        ],
    ),
    empty(
        "pg_statistic_ext",
        &[
            ("oid", Oid),
            ("stxrelid", Oid),
            ("stxname", Name),
            ("stxnamespace", Oid),
            ("stxowner", Oid),
            ("stxstattarget", Int4),
            ("stxkind", Type::Array(&Char)),
        ],
    ),
    empty(
        "pg_trigger",
        &[
            ("oid", Oid),
            ("tgrelid", Oid),
            ("tgparentid", Oid),
            ("tgname", Name),
            ("tgfoid", Oid),
            ("tgtype", Int2),
            ("tgenabled", Char),
            ("tgisinternal", Bool),
            ("tgconstraint", Oid),
        ],
    ),
    empty("pg_views", &[("schemaname", Name), ("viewname", Name), ("viewowner", Name), ("definition", Text)]),
];
