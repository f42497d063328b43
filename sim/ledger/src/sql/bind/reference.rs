//! Foreign keys in definitions: what they refer to, and what may not go because of them.

use sqlparser::ast::{
    ColumnOption, CreateTable, ForeignKeyConstraint, Ident, ReferentialAction, TableConstraint,
};

use super::{expr::Binder, fold, object_name, operator::common_type, refuse};
use crate::{
    data::Type,
    error::{Result, SqlError, state},
    sql::reference::{children, key_index, referred},
    store::{Action, ForeignKey, Schema},
};

/// A foreign key as it is written, but for the positions of its columns and its name.
pub(super) fn foreign_key(constraint: &ForeignKeyConstraint) -> Result<ForeignKey> {
    refuse(&[
        (constraint.characteristics.is_some(), "a deferrable constraint"),
        (constraint.match_kind.is_some(), "MATCH in a foreign key"),
        (constraint.index_name.is_some(), "an index name in a foreign key"),
    ])?;
    Ok(ForeignKey {
        name: String::new(),
        columns: Vec::new(),
        table: object_name(&constraint.foreign_table)?,
        referred: constraint.referred_columns.iter().map(fold).collect(),
        on_delete: action(constraint.on_delete),
        on_update: action(constraint.on_update),
    })
}

fn action(action: Option<ReferentialAction>) -> Action {
    match action {
        None | Some(ReferentialAction::NoAction) => Action::Nothing,
        Some(ReferentialAction::Cascade) => Action::Cascade,
        Some(ReferentialAction::Restrict) => Action::Restrict,
        Some(ReferentialAction::SetDefault) => Action::SetDefault,
        Some(ReferentialAction::SetNull) => Action::SetNull,
    }
}

impl Binder<'_> {
    /// Writes out the columns that the foreign keys of a new table refer to, where that is the primary key.
    pub(super) fn complete_references(&self, create: &mut CreateTable) -> Result<()> {
        let own = object_name(&create.name)?;
        let own_key = own_primary_key(create);
        let options = create.columns.iter_mut().flat_map(|column| &mut column.options);
        let options = options.filter_map(|option| match &mut option.option {
            ColumnOption::ForeignKey(key) => Some(key),
            _ => None,
        });
        let constraints = create.constraints.iter_mut().filter_map(|constraint| match constraint {
            TableConstraint::ForeignKey(key) => Some(key),
            _ => None,
        });
        for key in options.chain(constraints) {
            let to_itself = object_name(&key.foreign_table)? == own;
            self.complete_reference(key, to_itself.then_some(&own_key))?;
        }
        Ok(())
    }

    /// Writes out the columns that a foreign key refers to; `own` is the primary key of the table itself, if it is that.
    pub(super) fn complete_reference(
        &self,
        key: &mut ForeignKeyConstraint,
        own: Option<&Vec<Ident>>,
    ) -> Result<()> {
        if !key.referred_columns.is_empty() {
            return Ok(());
        }
        let table = object_name(&key.foreign_table)?;
        let columns = match own {
            Some(columns) => columns.clone(),
            None => {
                let catalog = self.catalog()?;
                let schema = catalog.schema(catalog.find(&table)?);
                let primary = schema.indexes.iter().find(|index| index.is_primary());
                let columns = primary.into_iter().flat_map(|index| &index.columns);
                columns.map(|column| Ident::with_quote('"', &schema.columns[*column].name)).collect()
            }
        };
        if columns.is_empty() {
            let message = format!("there is no primary key for referenced table \"{table}\"");
            return Err(SqlError::new(state::UNDEFINED_OBJECT, message));
        }
        key.referred_columns = columns;
        Ok(())
    }

    /// Fails unless every foreign key of a new definition refers to a key; the statement uses what they refer to.
    pub(super) fn check_foreign_keys(&mut self, schema: &Schema) -> Result<()> {
        for key in &schema.references {
            if *key.table == *schema.name {
                check_foreign_key(schema, key, schema)?;
            } else {
                let number = self.find_table(&key.table)?;
                check_foreign_key(schema, key, self.schema(number)?)?;
            }
        }
        Ok(())
    }

    /// Adds the tables that must be emptied with others because they refer to them, if that is wanted.
    pub(super) fn truncated_with(&mut self, tables: &mut Vec<usize>, cascade: bool) -> Result<Vec<SqlError>> {
        let catalog = self.catalog()?;
        let (mut notices, mut next) = (Vec::new(), 0);
        while let Some(table) = tables.get(next).copied() {
            next += 1;
            for child in children(catalog, table) {
                if tables.contains(&child.table) {
                    continue;
                }
                let (name, other) = (&catalog.schema(table).name, &catalog.schema(child.table).name);
                if !cascade {
                    let message = "cannot truncate a table referenced in a foreign key constraint";
                    return Err(SqlError::new(state::FEATURE_NOT_SUPPORTED, message)
                        .detail(format!("Table \"{other}\" references \"{name}\"."))
                        .hint(format!(
                            "Truncate table \"{other}\" at the same time, or use TRUNCATE ... CASCADE."
                        )));
                }
                let message = format!("truncate cascades to table \"{other}\"");
                notices.push(*SqlError::new(state::SUCCESS, message));
                tables.push(self.find_table(other)?);
            }
        }
        Ok(notices)
    }

    /// Fails if the foreign keys of other tables would lose what they refer to by a change of a definition.
    pub(super) fn check_referrers(&mut self, table: usize, later: &Schema) -> Result<()> {
        let catalog = self.catalog()?;
        let before = catalog.schema(table);
        for child in children(catalog, table).iter().filter(|child| child.table != table) {
            let other = catalog.schema(child.table);
            let key = &other.references[child.key];
            refuse(&[(before.name != later.name, "a new name for what a foreign key refers to")])?;
            let Some(columns) = referred(later, key) else {
                return Err(SqlError::unsupported("a change of a column that a foreign key refers to"));
            };
            if key_index(later, &columns).is_some() {
                continue;
            }
            let Some(index) = key_index(before, &child.referred).map(|index| &before.indexes[index]) else {
                continue;
            };
            let what = if index.is_constraint() {
                format!("constraint {} on table {}", index.name, before.name)
            } else {
                format!("index {}", index.name)
            };
            let message = format!("cannot drop {what} because other objects depend on it");
            return Err(SqlError::new(state::DEPENDENT_OBJECTS, message)
                .detail(format!(
                    "constraint {} on table {} depends on index {}",
                    key.name, other.name, index.name
                ))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        Ok(())
    }
}

/// The columns of the primary key in a `CREATE TABLE`.
fn own_primary_key(create: &CreateTable) -> Vec<Ident> {
    let inline = create.columns.iter().find(|column| {
        column.options.iter().any(|option| matches!(option.option, ColumnOption::PrimaryKey(_)))
    });
    if let Some(column) = inline {
        return vec![column.name.clone()];
    }
    let separate = create.constraints.iter().find_map(|constraint| match constraint {
        TableConstraint::PrimaryKey(key) => Some(key),
        _ => None,
    });
    let columns = separate.into_iter().flat_map(|key| &key.columns);
    columns
        .filter_map(|column| match &column.column.expr {
            sqlparser::ast::Expr::Identifier(ident) => Some(ident.clone()),
            _ => None,
        })
        .collect()
}

fn check_foreign_key(schema: &Schema, key: &ForeignKey, target: &Schema) -> Result<()> {
    let mut columns = Vec::with_capacity(key.referred.len());
    for name in &key.referred {
        columns.push(target.column(name).ok_or_else(|| {
            let message = format!("column \"{name}\" referenced in foreign key constraint does not exist");
            SqlError::new(state::UNDEFINED_COLUMN, message)
        })?);
    }
    if key_index(target, &columns).is_none() {
        let message = format!(
            "there is no unique constraint matching given keys for referenced table \"{}\"",
            target.name
        );
        return Err(SqlError::new(state::INVALID_FOREIGN_KEY, message));
    }
    if key.columns.len() != columns.len() {
        let message = "number of referencing and referenced columns for foreign key disagree";
        return Err(SqlError::new(state::INVALID_FOREIGN_KEY, message));
    }
    for (own, other) in key.columns.iter().zip(&columns) {
        let (own, other) = (&schema.columns[*own], &target.columns[*other]);
        if common_type(own.ty, other.ty).is_none() {
            let message = format!("foreign key constraint \"{}\" cannot be implemented", key.name);
            return Err(SqlError::new(state::DATATYPE_MISMATCH, message).detail(format!(
                "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                own.name, other.name, own.ty, other.ty
            )));
        }
        // Keys are looked up as they are stored.
        let whole = |ty| matches!(ty, Type::Int2 | Type::Int4 | Type::Int8);
        let alike = own.ty == other.ty
            || whole(own.ty) && whole(other.ty)
            || [own.ty, other.ty].iter().all(|ty| matches!(ty, Type::Text | Type::Varchar));
        refuse(&[(!alike, "a foreign key between columns of different types")])?;
    }
    Ok(())
}
