//! Sequences, and to which columns they belong.

use super::{
    SystemTable, catalog, number,
    object::{OWNER, Object, PG_CLASS, TableObject},
    text,
};
use crate::{
    data::{
        Type::{Bool, Char, Int4, Int8, Name, Oid, Regtype},
        Value,
    },
    sql::eval::Scope,
    store::{Sequence, SequencePosition},
};

/// In alphabetical order.
pub(super) const ALL: &[SystemTable] = &[
    catalog(
        "pg_depend",
        &[
            ("classid", Oid),
            ("objid", Oid),
            ("objsubid", Int4),
            ("refclassid", Oid),
            ("refobjid", Oid),
            ("refobjsubid", Int4),
            ("deptype", Char),
        ],
        |scope| {
            let mut rows = Vec::new();
            for table in Object::relations(scope) {
                for (place, column) in table.schema.columns.iter().enumerate() {
                    let Some(supply) = &column.supply else { continue };
                    let Some(sequence) = Object::named(&supply.sequence, scope) else { continue };
                    rows.push(vec![
                        number(PG_CLASS),
                        number(sequence.oid),
                        number(0),
                        number(PG_CLASS),
                        number(table.oid),
                        Value::Int(place as i64 + 1),
                        text(if supply.identity.is_some() { "i" } else { "a" }),
                    ]);
                }
            }
            Ok(rows)
        },
    ),
    catalog(
        "pg_sequence",
        &[
            ("seqrelid", Oid),
            ("seqtypid", Oid),
            ("seqstart", Int8),
            ("seqincrement", Int8),
            ("seqmax", Int8),
            ("seqmin", Int8),
            ("seqcache", Int8),
            ("seqcycle", Bool),
        ],
        |scope| {
            let row = |(relation, it): (TableObject<'_>, &Sequence)| {
                let mut row = vec![number(relation.oid), number(it.ty.oid())];
                row.extend([it.start, it.increment, it.most, it.least, it.cache].map(Value::Int));
                row.push(Value::Bool(it.cycles));
                row
            };
            Ok(sequences(scope).map(row).collect())
        },
    ),
    catalog(
        "pg_sequences",
        &[
            ("schemaname", Name),
            ("sequencename", Name),
            ("sequenceowner", Name),
            ("data_type", Regtype),
            ("start_value", Int8),
            ("min_value", Int8),
            ("max_value", Int8),
            ("increment_by", Int8),
            ("cycle", Bool),
            ("cache_size", Int8),
            ("last_value", Int8),
        ],
        |scope| {
            let row = |(relation, it): (TableObject<'_>, &Sequence)| {
                let ty = Value::Object(it.ty.oid(), it.ty.to_string().into());
                let position = scope.run.view.relation(&relation.schema.name);
                let position = position.and_then(|(number, _)| scope.run.view.table(number)?.position());
                let last = position.filter(|position| position.called);
                let mut row = vec![text("public"), text(&relation.schema.name), text(OWNER.1), ty];
                row.extend([it.start, it.least, it.most, it.increment].map(Value::Int));
                row.extend([Value::Bool(it.cycles), Value::Int(it.cache)]);
                row.push(last.map_or(Value::Null, |SequencePosition { last, .. }| Value::Int(last)));
                row
            };
            Ok(sequences(scope).map(row).collect())
        },
    ),
];

fn sequences<'s>(scope: &Scope<'s>) -> impl Iterator<Item = (TableObject<'s>, &'s Sequence)> + use<'s> {
    Object::relations(scope).filter_map(|relation| Some((relation, relation.schema.sequence()?)))
}
