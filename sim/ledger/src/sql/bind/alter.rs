//! `ALTER TABLE`, `CREATE INDEX`, `DROP`, `TRUNCATE`: what they make of definitions that there are.
//!
//! A definition is edited as a [`Draft`] and bound anew from what that writes down. Names are looked up here; the schema
//! cannot change before the statement runs. Deliberately absent: `ALTER COLUMN … TYPE`, indexes over expressions, partial
//! ones, and those of another kind than B-trees; an index serves both directions, so `DESC` changes nothing.

use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, CascadeOption, ColumnDef, ColumnOption,
    CreateIndex, Ident, IndexType, ObjectName, ObjectType, RenameTableNameKind, Statement, TableConstraint,
    Truncate, TruncateIdentityOption,
};

use super::{
    ddl::{column_names, schema_from_sql},
    draft::{Draft, DraftColumn, DraftIndex, default_of},
    drop::{SEQUENCES, TABLES},
    expr::Binder,
    fold, object_name, refuse,
    sequence::{Supplies, serial},
};
use crate::{
    data::Value,
    error::{Result, SqlError, state},
    sql::plan::{Expr, Plan, Reform},
    store::{Filling, Origin},
};

/// What is said of something that is not there, where that is no error.
pub(super) fn skipping(message: &str) -> SqlError {
    *SqlError::new(state::SUCCESS, format!("{message}, skipping"))
}

/// Whether what was meant to be made is there already: an error, or a notice.
fn already(state: &'static str, message: String, is_fine: bool) -> Result<SqlError> {
    if is_fine {
        Ok(*SqlError::new(state, format!("{message}, skipping")))
    } else {
        Err(SqlError::new(state, message))
    }
}

/// Whether what was meant to be removed is not there: an error, or a notice.
pub(super) fn absent(state: &'static str, message: &str, is_fine: bool) -> Result<SqlError> {
    if is_fine { Ok(skipping(message)) } else { Err(SqlError::new(state, message)) }
}

impl Binder<'_> {
    pub(super) fn drop_objects(&mut self, drop: &Statement) -> Result<Plan> {
        let Statement::Drop { object_type, if_exists, names, cascade, purge, temporary, table, .. } = drop
        else {
            return Err(SqlError::unsupported("this form of DROP"));
        };
        refuse(&[(*purge, "PURGE"), (*temporary, "DROP TEMPORARY"), (table.is_some(), "DROP … ON")])?;
        match object_type {
            ObjectType::Table => self.drop_relations(&TABLES, names, *if_exists, *cascade),
            ObjectType::Sequence => self.drop_relations(&SEQUENCES, names, *if_exists, *cascade),
            ObjectType::Index => self.drop_indexes(names, *if_exists),
            other => Err(SqlError::unsupported(format!("DROP {other}"))),
        }
    }

    fn drop_indexes(&mut self, names: &[ObjectName], if_exists: bool) -> Result<Plan> {
        let [name] = names else {
            return Err(SqlError::unsupported("DROP INDEX of several indexes"));
        };
        let name = object_name(name)?;
        let catalog = self.catalog()?;
        let Some((table, position)) = catalog.find_index(&name) else {
            if catalog.lookup(&name).is_some() {
                return Err(SqlError::new(state::WRONG_OBJECT_TYPE, format!("\"{name}\" is not an index"))
                    .hint("Use DROP TABLE to remove a table."));
            }
            let message = format!("index \"{name}\" does not exist");
            let notice = absent(state::UNDEFINED_OBJECT, &message, if_exists)?;
            return Ok(Plan::DropIndex { reform: None, notices: vec![notice] });
        };
        let schema = catalog.schema(table);
        if schema.indexes[position].is_constraint() {
            let message = format!(
                "cannot drop index {name} because constraint {name} on table {} requires it",
                schema.name
            );
            return Err(SqlError::new(state::DEPENDENT_OBJECTS, message)
                .hint(format!("You can drop constraint {name} on table {} instead.", schema.name)));
        }
        let mut draft = Draft::of(schema)?;
        draft.indexes.remove(position);
        self.find_table(&schema.name)?;
        self.check_referrers(table, &schema_from_sql(&draft.to_string())?)?;
        Ok(Plan::DropIndex { reform: Some(reform(table, &draft)?), notices: Vec::new() })
    }

    pub(super) fn truncate(&mut self, truncate: &Truncate) -> Result<Plan> {
        refuse(&[
            (truncate.partitions.is_some() || truncate.on_cluster.is_some(), "this form of TRUNCATE"),
            (truncate.if_exists, "TRUNCATE IF EXISTS"),
        ])?;
        let mut tables = Vec::new();
        for target in &truncate.table_names {
            let table = self.find_table(&object_name(&target.name)?)?;
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
        let notices = self.truncated_with(&mut tables, truncate.cascade == Some(CascadeOption::Cascade))?;
        if truncate.identity == Some(TruncateIdentityOption::Restart) {
            for table in tables.clone() {
                tables.extend(self.supplies_of(table)?);
            }
        }
        Ok(Plan::Truncate { tables, notices })
    }

    pub(super) fn create_index(&mut self, create: &CreateIndex) -> Result<Plan> {
        refuse(&[
            (create.predicate.is_some(), "a partial index"),
            (!create.include.is_empty(), "INCLUDE"),
            (create.nulls_distinct == Some(false), "NULLS NOT DISTINCT"),
            (!create.with.is_empty() || !create.index_options.is_empty(), "an option of CREATE INDEX"),
            (create.r#async || !create.alter_options.is_empty(), "this form of CREATE INDEX"),
            (create.concurrently, "CREATE INDEX CONCURRENTLY"),
            (
                create.using.as_ref().is_some_and(|using| *using != IndexType::BTree),
                "an index that is no B-tree",
            ),
            (create.columns.iter().any(|column| column.operator_class.is_some()), "an operator class"),
        ])?;
        let table_name = object_name(&create.table_name)?;
        let table = self.find_table(&table_name)?;
        let schema = self.schema(table)?;
        let columns = column_names(&create.columns)?;
        if let Some(missing) = columns.iter().find(|column| schema.column(column).is_none()) {
            return Err(SqlError::no_column(missing));
        }
        let catalog = self.catalog()?;
        let name = match &create.name {
            Some(name) => {
                let name = object_name(name)?;
                if catalog.is_taken(&name) {
                    let message = format!("relation \"{name}\" already exists");
                    let notice = already(state::DUPLICATE_TABLE, message, create.if_not_exists)?;
                    return Ok(Plan::CreateIndex { reform: None, notices: vec![notice] });
                }
                name
            }
            None => {
                let name = format!("{table_name}_{}_idx", columns.join("_"));
                let numbered = (1..).map(|number| format!("{name}{number}"));
                let mut names = std::iter::once(name.clone()).chain(numbered);
                names.find(|name| !catalog.is_taken(name)).unwrap_or(name)
            }
        };
        let mut draft = Draft::of(schema)?;
        let origin = if create.unique { Origin::UniqueIndex } else { Origin::Index };
        draft.indexes.push(DraftIndex { name, columns, origin });
        Ok(Plan::CreateIndex { reform: Some(reform(table, &draft)?), notices: Vec::new() })
    }

    pub(super) fn alter_table(&mut self, alter: &AlterTable) -> Result<Plan> {
        refuse(&[(
            alter.location.is_some() || alter.on_cluster.is_some() || alter.table_type.is_some(),
            "this form of ALTER TABLE",
        )])?;
        let name = object_name(&alter.name)?;
        if alter.if_exists && self.catalog()?.lookup(&name).is_none() {
            let notices = vec![skipping(&format!("relation \"{name}\" does not exist"))];
            return Ok(Plan::AlterTable { reform: None, notices });
        }
        let table = self.find_table(&name)?;
        let mut draft = Draft::of(self.schema(table)?)?;
        let (mut notices, mut supplies) = (Vec::new(), Supplies::default());
        for operation in &alter.operations {
            self.alter(&mut draft, operation, &mut supplies, &mut notices)?;
        }
        let mut reform = reform(table, &draft)?;
        self.check_new_indexes(table, &reform)?;
        let schema = schema_from_sql(&reform.sql)?;
        self.check_sources(&schema, &supplies)?;
        self.check_foreign_keys(&schema)?;
        self.check_referrers(table, &schema)?;
        reform.sequences = supplies.sql;
        reform.drops = self.orphans(table, &schema)?;
        Ok(Plan::AlterTable { reform: Some(reform), notices })
    }

    /// The index of a new constraint must not have the name of anything else.
    fn check_new_indexes(&self, table: usize, reform: &Reform) -> Result<()> {
        let (catalog, old) = (self.catalog()?, self.schema(table)?);
        for index in &schema_from_sql(&reform.sql)?.indexes {
            if old.indexes.iter().all(|before| before.name != index.name) && catalog.is_taken(&index.name) {
                let message = format!("relation \"{}\" already exists", index.name);
                return Err(SqlError::new(state::DUPLICATE_TABLE, message));
            }
        }
        Ok(())
    }

    fn alter(
        &self,
        draft: &mut Draft,
        operation: &AlterTableOperation,
        supplies: &mut Supplies,
        notices: &mut Vec<SqlError>,
    ) -> Result<()> {
        match operation {
            AlterTableOperation::AddColumn { if_not_exists, column_def, column_position: None, .. } => {
                if draft.position(&fold(&column_def.name)).is_some() {
                    notices.push(draft.has_column(&fold(&column_def.name), *if_not_exists)?);
                } else {
                    let mut definition = self.supplied(&draft.name, column_def, supplies)?;
                    for option in &mut definition.options {
                        if let ColumnOption::ForeignKey(key) = &mut option.option {
                            self.complete_reference(key, None)?;
                        }
                    }
                    add_column(draft, &definition)?;
                }
            }
            AlterTableOperation::AddConstraint { constraint, not_valid: false } => {
                let mut constraint = constraint.clone();
                if let TableConstraint::ForeignKey(key) = &mut constraint {
                    self.complete_reference(key, None)?;
                }
                draft.constraints.push(constraint.to_string());
                // The next operation may speak of it by the name that it gets.
                settle(draft)?;
            }
            AlterTableOperation::AlterColumn { column_name, op } => {
                alter_column(draft, &fold(column_name), op)?;
            }
            AlterTableOperation::DropColumn { column_names, if_exists, .. } => {
                for name in column_names.iter().map(fold) {
                    notices.extend(drop_column(draft, &name, *if_exists)?);
                }
            }
            AlterTableOperation::DropConstraint { if_exists, name, .. } => {
                notices.extend(drop_constraint(draft, &fold(name), *if_exists)?);
            }
            AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
                rename_column(draft, &fold(old_column_name), &fold(new_column_name))?;
            }
            AlterTableOperation::RenameConstraint { old_name, new_name } => {
                rename_constraint(draft, old_name, new_name)?;
            }
            AlterTableOperation::RenameTable {
                table_name: RenameTableNameKind::To(name) | RenameTableNameKind::As(name),
            } => {
                let name = object_name(name)?;
                if self.catalog()?.is_taken(&name) {
                    let message = format!("relation \"{name}\" already exists");
                    return Err(SqlError::new(state::DUPLICATE_TABLE, message));
                }
                for reference in &mut draft.references {
                    if reference.key.table == draft.name {
                        reference.key.table.clone_from(&name);
                    }
                }
                draft.name = name;
            }
            other => return Err(SqlError::unsupported(format!("ALTER TABLE … {other}"))),
        }
        Ok(())
    }
}

/// Gives what has been written down names, as the table will have them.
fn settle(draft: &mut Draft) -> Result<()> {
    let fillings: Vec<Filling> = draft.columns.iter().map(|column| column.filling.clone()).collect();
    *draft = Draft::of(&schema_from_sql(&draft.to_string())?)?;
    for (column, filling) in draft.columns.iter_mut().zip(fillings) {
        column.filling = filling;
    }
    Ok(())
}

impl Draft {
    /// What is said when a column to be added is there.
    fn has_column(&self, name: &str, if_not_exists: bool) -> Result<SqlError> {
        let message = format!("column \"{name}\" of relation \"{}\" already exists", self.name);
        already(state::DUPLICATE_COLUMN, message, if_not_exists)
    }
}

fn add_column(draft: &mut Draft, definition: &ColumnDef) -> Result<()> {
    let name = fold(&definition.name);
    let is_default = |option: &ColumnOption| matches!(option, ColumnOption::Default(_));
    let options = definition.options.iter().filter(|option| !is_default(&option.option));
    draft.columns.push(DraftColumn {
        name,
        ty: definition.data_type.to_string(),
        default: default_of(definition),
        not_null: false,
        identity: None,
        options: options.map(|option| format!(" {option}")).collect(),
        serial: serial(&definition.data_type).is_some(),
        filling: Filling::Value(Value::Null),
    });
    settle(draft)
}

fn alter_column(draft: &mut Draft, name: &str, operation: &AlterColumnOperation) -> Result<()> {
    let in_key = draft
        .indexes
        .iter()
        .any(|index| index.origin == Origin::PrimaryKey && index.columns.iter().any(|column| column == name));
    let relation = draft.name.clone();
    let column = draft.column(name)?;
    let of_default =
        matches!(operation, AlterColumnOperation::SetDefault { .. } | AlterColumnOperation::DropDefault);
    let of_null = matches!(operation, AlterColumnOperation::DropNotNull);
    if column.identity.is_some() && (of_default || of_null) {
        let message = format!("column \"{name}\" of relation \"{relation}\" is an identity column");
        return Err(SqlError::syntax(message));
    }
    refuse(&[(of_default && column.serial, "another default of a serial column")])?;
    match operation {
        AlterColumnOperation::SetNotNull => column.not_null = true,
        AlterColumnOperation::DropNotNull if in_key => {
            let message = format!("column \"{name}\" is in a primary key");
            return Err(SqlError::new(state::INVALID_TABLE_DEFINITION, message));
        }
        AlterColumnOperation::DropNotNull => column.not_null = false,
        AlterColumnOperation::SetDefault { value } => column.default = Some(value.to_string()),
        AlterColumnOperation::DropDefault => column.default = None,
        AlterColumnOperation::SetDataType { .. } => {
            return Err(SqlError::unsupported("ALTER COLUMN … TYPE"));
        }
        other => return Err(SqlError::unsupported(format!("ALTER COLUMN … {other}"))),
    }
    Ok(())
}

fn drop_column(draft: &mut Draft, name: &str, if_exists: bool) -> Result<Option<SqlError>> {
    match draft.position(name) {
        Some(_) if draft.columns.len() == 1 => Err(SqlError::unsupported("a table without columns")),
        Some(position) => {
            draft.drop_column(position);
            Ok(None)
        }
        None => {
            let message = draft.no_column(name).message;
            absent(state::UNDEFINED_COLUMN, &message, if_exists).map(Some)
        }
    }
}

fn drop_constraint(draft: &mut Draft, name: &str, if_exists: bool) -> Result<Option<SqlError>> {
    if !draft.has_constraint(name) {
        let message = format!("constraint \"{name}\" of relation \"{}\" does not exist", draft.name);
        return absent(state::UNDEFINED_OBJECT, &message, if_exists).map(Some);
    }
    draft.indexes.retain(|index| index.name != name || !index.is_constraint());
    draft.checks.retain(|check| check.name != name);
    draft.references.retain(|reference| reference.key.name != name);
    Ok(None)
}

fn rename_column(draft: &mut Draft, old: &str, new: &str) -> Result<()> {
    if draft.position(old).is_none() {
        return Err(SqlError::no_column(old));
    }
    if draft.position(new).is_some() {
        let message = format!("column \"{new}\" of relation \"{}\" already exists", draft.name);
        return Err(SqlError::new(state::DUPLICATE_COLUMN, message));
    }
    draft.rename_column(old, new)
}

fn rename_constraint(draft: &mut Draft, old: &Ident, new: &Ident) -> Result<()> {
    let (old, new) = (fold(old), fold(new));
    if !draft.has_constraint(&old) {
        let message = format!("constraint \"{old}\" for table \"{}\" does not exist", draft.name);
        return Err(SqlError::new(state::UNDEFINED_OBJECT, message));
    }
    if draft.has_constraint(&new) {
        let message = format!("constraint \"{new}\" for relation \"{}\" already exists", draft.name);
        return Err(SqlError::new(state::DUPLICATE_OBJECT, message));
    }
    let keys = draft.indexes.iter_mut().filter(|index| index.is_constraint()).map(|index| &mut index.name);
    let checks = draft.checks.iter_mut().map(|check| &mut check.name);
    let references = draft.references.iter_mut().map(|reference| &mut reference.key.name);
    keys.chain(checks).chain(references).filter(|name| **name == old).for_each(|name| new.clone_into(name));
    Ok(())
}

/// What makes a table what the draft says.
pub(super) fn reform(table: usize, draft: &Draft) -> Result<Reform> {
    let sql = draft.to_string();
    let schema = schema_from_sql(&sql)?;
    let mut computed = Vec::new();
    let columns = draft.columns.iter().zip(&schema.columns).enumerate();
    let origins = columns.map(|(position, (column, bound))| match (&column.filling, &bound.default) {
        (Filling::Value(_), Some(Expr::Const(value))) => Filling::Value(value.clone()),
        (Filling::Value(_), Some(default)) => {
            computed.push((position, default.clone()));
            Filling::Value(Value::Null)
        }
        (filling, _) => filling.clone(),
    });
    let origins = origins.collect();
    Ok(Reform { table, sql, origins, computed, sequences: Vec::new(), drops: Vec::new() })
}
