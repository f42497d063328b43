//! `DROP TABLE` and `DROP SEQUENCE`: what goes, and what rests on it.
//!
//! The sequences of a table's columns go with it. Without `CASCADE`, anything else that rests on what is dropped keeps it.

use sqlparser::ast::ObjectName;

use super::{
    alter::{absent, reform},
    draft::Draft,
    expr::Binder,
    object_name,
};
use crate::{
    error::{Result, SqlError, state},
    sql::{
        draw::source_of,
        plan::{Plan, Reform},
    },
    store::{ForeignKey, Identity, Kind, Schema},
};

/// What a `DROP` drops.
pub(super) struct Dropped {
    command: &'static str,
    name: &'static str,
    phrase: &'static str,
    fits: fn(&Kind) -> bool,
}

pub(super) const SEQUENCES: Dropped = Dropped {
    command: "DROP SEQUENCE",
    name: "sequence",
    phrase: "a sequence",
    fits: |kind| matches!(kind, Kind::Sequence(_)),
};

pub(super) const TABLES: Dropped = Dropped {
    command: "DROP TABLE",
    name: "table",
    phrase: "a table",
    fits: |kind| matches!(kind, Kind::Table),
};

/// Something that would lose what it rests on.
struct Dependent {
    /// What it is, as error messages call it.
    what: String,
    /// What it rests on.
    on: String,
    /// What is left of the table that it is part of; once for each table.
    reform: Option<Reform>,
}

impl Binder<'_> {
    pub(super) fn drop_relations(
        &mut self,
        dropped: &Dropped,
        names: &[ObjectName],
        if_exists: bool,
        cascade: bool,
    ) -> Result<Plan> {
        let (mut tables, mut notices) = (Vec::new(), Vec::new());
        for name in names {
            let name = object_name(name)?;
            let catalog = self.catalog()?;
            match catalog.lookup(&name) {
                Some(number) if (dropped.fits)(&catalog.schema(number).kind) => {
                    let table = self.find_relation(&name)?;
                    if !tables.contains(&table) {
                        tables.push(table);
                    }
                }
                Some(number) => {
                    let kind = catalog.schema(number).kind.name();
                    return Err(dropped.wrong(&name, kind));
                }
                None if catalog.find_index(&name).is_some() => return Err(dropped.wrong(&name, "index")),
                None => {
                    let message = format!("{} \"{name}\" does not exist", dropped.name);
                    notices.push(absent(state::UNDEFINED_TABLE, &message, if_exists)?);
                }
            }
        }
        for table in tables.clone() {
            self.check_not_identity(table, &tables)?;
            for sequence in self.supplies_of(table)? {
                if !tables.contains(&sequence) {
                    tables.push(sequence);
                }
            }
        }
        let dependents = self.dependents(&tables)?;
        if !cascade && !dependents.is_empty() {
            let details: Vec<String> =
                dependents.iter().map(|it| format!("{} depends on {}", it.what, it.on)).collect();
            let message = match names {
                [name] => {
                    format!("cannot drop {} {name} because other objects depend on it", dropped.name)
                }
                _ => "cannot drop desired object(s) because other objects depend on them".to_owned(),
            };
            return Err(SqlError::new(state::DEPENDENT_OBJECTS, message)
                .detail(details.join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        notices.extend(cascades(&dependents).map(|notice| *notice));
        let reforms = dependents.into_iter().filter_map(|dependent| dependent.reform).collect();
        Ok(Plan::Drop { command: dropped.command, tables, reforms, notices })
    }

    /// The sequences that belong to the columns of a table.
    pub(super) fn supplies_of(&mut self, table: usize) -> Result<Vec<usize>> {
        let supplies = self.schema(table)?.columns.iter().filter_map(|column| column.supply.as_ref());
        supplies.map(|supply| self.find_relation(&supply.sequence)).collect()
    }

    /// The sequences that belong to a table and not to what it will be.
    pub(super) fn orphans(&mut self, table: usize, later: &Schema) -> Result<Vec<usize>> {
        let kept = |name: &str| {
            later.columns.iter().filter_map(|column| column.supply.as_ref()).any(|it| it.sequence == name)
        };
        let supplies = self.schema(table)?.columns.iter().filter_map(|column| column.supply.as_ref());
        let gone = supplies.filter(|supply| !kept(&supply.sequence));
        gone.map(|supply| self.find_relation(&supply.sequence)).collect()
    }

    /// The sequence of an identity goes only with its column.
    fn check_not_identity(&self, sequence: usize, dropped: &[usize]) -> Result<()> {
        let catalog = self.catalog()?;
        let name = &catalog.schema(sequence).name;
        for (_, schema) in catalog.relations().filter(|(number, _)| !dropped.contains(number)) {
            for column in &schema.columns {
                if let Some(supply) = &column.supply
                    && matches!(supply.identity, Some(Identity::Always | Identity::ByDefault))
                    && *supply.sequence == **name
                {
                    let owner = format!("column {} of table {}", column.name, schema.name);
                    let message = format!("cannot drop sequence {name} because {owner} requires it");
                    return Err(SqlError::new(state::DEPENDENT_OBJECTS, message)
                        .hint(format!("You can drop {owner} instead.")));
                }
            }
        }
        Ok(())
    }

    /// What rests on relations that are dropped, and is not dropped itself.
    fn dependents(&mut self, dropped: &[usize]) -> Result<Vec<Dependent>> {
        let catalog = self.catalog()?;
        let gone: Vec<&Schema> = dropped.iter().map(|number| catalog.schema(*number)).collect();
        let mut dependents = Vec::new();
        for (number, schema) in catalog.relations().filter(|(number, _)| !dropped.contains(number)) {
            let drawing = schema.columns.iter().filter_map(|column| {
                let source = source_of(column.default.as_ref()?)?;
                let sequence = gone.iter().find(|gone| *gone.name == *source)?;
                Some((column, sequence))
            });
            let drawing: Vec<_> = drawing.collect();
            let refers = |key: &&ForeignKey| gone.iter().any(|gone| *gone.name == *key.table);
            let referring: Vec<_> = schema.references.iter().filter(refers).collect();
            if drawing.is_empty() && referring.is_empty() {
                continue;
            }
            let mut draft = Draft::of(schema)?;
            for (column, _) in &drawing {
                draft.column(&column.name)?.lose_default(column.ty);
            }
            draft.references.retain(|it| referring.iter().all(|gone| gone.name != it.key.name));
            let mut reform = Some(reform(number, &draft)?);
            for (column, sequence) in drawing {
                dependents.push(Dependent {
                    what: format!("default value for column {} of table {}", column.name, schema.name),
                    on: format!("sequence {}", sequence.name),
                    reform: reform.take(),
                });
            }
            for key in referring {
                dependents.push(Dependent {
                    what: format!("constraint {} on table {}", key.name, schema.name),
                    on: format!("table {}", key.table),
                    reform: reform.take(),
                });
            }
            self.find_relation(&schema.name)?;
        }
        Ok(dependents)
    }
}

impl Dropped {
    /// What is said of something of another kind.
    fn wrong(&self, name: &str, kind: &str) -> Box<SqlError> {
        let article = if kind == "index" { "an" } else { "a" };
        SqlError::new(state::WRONG_OBJECT_TYPE, format!("\"{name}\" is not {}", self.phrase))
            .hint(format!("Use DROP {} to remove {article} {kind}.", kind.to_uppercase()))
    }
}

/// What the client is told of what goes too.
fn cascades(dependents: &[Dependent]) -> impl Iterator<Item = Box<SqlError>> {
    let message = match dependents {
        [] => None,
        [only] => Some((format!("drop cascades to {}", only.what), None)),
        several => {
            let details: Vec<String> =
                several.iter().map(|it| format!("drop cascades to {}", it.what)).collect();
            Some((format!("drop cascades to {} other objects", several.len()), Some(details.join("\n"))))
        }
    };
    message.into_iter().map(|(message, details)| {
        let notice = SqlError::new(state::SUCCESS, message);
        match details {
            Some(details) => notice.detail(details),
            None => notice,
        }
    })
}
