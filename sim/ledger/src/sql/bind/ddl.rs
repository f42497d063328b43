//! `CREATE TABLE`, and the `CREATE INDEX` that follow it in the text of a definition.
//!
//! The schema is always made from the canonical text of the statements, when they run and when the log is replayed, so that
//! both make the same table.

use std::sync::Arc;

use sqlparser::ast::{
    CheckConstraint, ColumnDef, ColumnOption, CreateIndex, CreateTable, DataType, Expr as Ast,
    ForeignKeyConstraint, GeneratedAs, Ident, IndexColumn, PrimaryKeyConstraint, Statement, TableConstraint,
    UniqueConstraint,
};

use super::{
    expr::Binder,
    fold,
    names::{Level, Names, Relation},
    object_name,
    reference::foreign_key,
    refuse,
    sequence::{Supplies, sequence_schema, serial},
    types,
};
use crate::{
    data::Modifier,
    error::{Result, SqlError, state},
    sql::{
        draw::source_of,
        parse,
        plan::{Create, Plan},
    },
    store::{Check, Column, ForeignKey, Identity, Index, Kind, Origin, Schema, Supply},
};

impl Binder<'_> {
    /// Binds the statement; what it contains is checked now, made when it runs.
    pub(super) fn create_table(&mut self, create: &CreateTable) -> Result<Plan> {
        refuse_clauses(create)?;
        let name = object_name(&create.name)?;
        let mut supplies = Supplies::default();
        let columns = create.columns.iter().map(|column| self.supplied(&name, column, &mut supplies));
        let columns = columns.collect::<Result<_>>()?;
        let mut bare = CreateTable { if_not_exists: false, columns, ..create.clone() };
        self.complete_references(&mut bare)?;
        let sql = Statement::CreateTable(bare).to_string();
        let schema = schema_from_sql(&sql)?;
        self.check_sources(&schema, &supplies)?;
        self.check_foreign_keys(&schema)?;
        let if_not_exists = create.if_not_exists;
        Ok(Plan::CreateTable(Create { name, if_not_exists, sql, sequences: supplies.sql }))
    }
}

fn refuse_clauses(create: &CreateTable) -> Result<()> {
    refuse(&[
        (create.or_replace, "OR REPLACE"),
        (create.temporary, "a temporary table"),
        (create.unlogged, "an unlogged table"),
        (create.query.is_some(), "CREATE TABLE AS"),
        (create.like.is_some(), "LIKE"),
        (create.inherits.is_some(), "INHERITS"),
        (create.partition_by.is_some() || create.partition_of.is_some(), "partitioning"),
        (create.on_commit.is_some(), "ON COMMIT"),
        (create.columns.is_empty(), "a table without columns"),
    ])
}

/// The schema that a canonical `CREATE TABLE` describes, and each `CREATE INDEX` behind it; or a `CREATE SEQUENCE`.
pub(crate) fn schema_from_sql(sql: &str) -> Result<Schema> {
    read(sql).map_err(SqlError::nowhere)
}

fn read(sql: &str) -> Result<Schema> {
    match parse::parse(sql)?.as_slice() {
        [Statement::CreateTable(create), indexes @ ..] => {
            let mut schema = schema(create, sql)?;
            for index in indexes {
                schema.indexes.push(index_of(index, &schema)?);
            }
            Ok(schema)
        }
        [statement] => sequence_schema(statement, sql),
        _ => Err(SqlError::syntax("a CREATE TABLE statement was expected")),
    }
}

fn index_of(statement: &Statement, schema: &Schema) -> Result<Index> {
    let Statement::CreateIndex(CreateIndex { name: Some(name), columns, unique, .. }) = statement else {
        return Err(SqlError::syntax("a CREATE INDEX statement was expected"));
    };
    let position = |column: String| schema.column(&column).ok_or_else(|| SqlError::no_column(&column));
    let columns = column_names(columns)?.into_iter().map(position).collect::<Result<_>>()?;
    let origin = if *unique { Origin::UniqueIndex } else { Origin::Index };
    Ok(Index { name: object_name(name)?, columns, origin })
}

fn schema(create: &CreateTable, sql: &str) -> Result<Schema> {
    let mut builder = Builder {
        schema: Schema {
            name: Arc::from(object_name(&create.name)?),
            kind: Kind::Table,
            columns: Vec::new(),
            indexes: Vec::new(),
            checks: Vec::new(),
            references: Vec::new(),
            sql: Arc::from(sql),
        },
        has_primary_key: false,
    };
    for definition in &create.columns {
        builder.column(&fold(&definition.name), &definition.data_type)?;
    }
    for definition in &create.columns {
        let name = fold(&definition.name);
        for option in &definition.options {
            builder.column_option(&name, option.name.as_ref(), &option.option)?;
        }
        builder.supply(&name, definition)?;
    }
    for constraint in &create.constraints {
        builder.constraint(constraint)?;
    }
    let mut schema = builder.schema;
    schema.checks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(schema)
}

struct Builder {
    schema: Schema,
    has_primary_key: bool,
}

impl Builder {
    fn column(&mut self, name: &str, data_type: &DataType) -> Result<()> {
        if self.schema.column(name).is_some() {
            return Err(SqlError::new(
                state::DUPLICATE_COLUMN,
                format!("column \"{name}\" specified more than once"),
            ));
        }
        let (ty, modifier) = match serial(data_type) {
            Some(ty) => (ty, Modifier::None),
            None => types::data_type(data_type)?,
        };
        self.schema.columns.push(Column {
            name: name.to_owned(),
            ty,
            modifier,
            not_null: false,
            default: None,
            supply: None,
        });
        Ok(())
    }

    /// Notes the sequence that belongs to a column, which its default names.
    fn supply(&mut self, column: &str, definition: &ColumnDef) -> Result<()> {
        let identity = definition.options.iter().find_map(|option| match option.option {
            ColumnOption::Generated { generated_as: GeneratedAs::Always, .. } => Some(Identity::Always),
            ColumnOption::Generated { .. } => Some(Identity::ByDefault),
            _ => None,
        });
        if identity.is_none() && serial(&definition.data_type).is_none() {
            return Ok(());
        }
        let index = self.index(column)?;
        let column = &mut self.schema.columns[index];
        let sequence = column
            .default
            .as_ref()
            .and_then(source_of)
            .ok_or_else(|| SqlError::unsupported("a serial column without a sequence"))?;
        column.supply = Some(Supply { sequence, identity });
        Ok(())
    }

    fn column_option(&mut self, column: &str, name: Option<&Ident>, option: &ColumnOption) -> Result<()> {
        let index = self.index(column)?;
        match option {
            ColumnOption::Null => {}
            ColumnOption::NotNull => self.schema.columns[index].not_null = true,
            ColumnOption::Default(expr) => {
                let default = Binder::new(&[], None)?.assigned(
                    expr,
                    &Names::none(&Level::default()),
                    &self.schema,
                    index,
                    "DEFAULT expressions",
                )?;
                self.schema.columns[index].default = Some(default);
            }
            ColumnOption::PrimaryKey(constraint) => {
                plain_key(constraint.characteristics.is_some(), &constraint.include)?;
                self.key(name, &[column.to_owned()], true)?;
            }
            ColumnOption::Unique(constraint) => {
                plain_key(constraint.characteristics.is_some(), &constraint.include)?;
                self.key(name, &[column.to_owned()], false)?;
            }
            ColumnOption::Check(constraint) => self.check(name, constraint)?,
            ColumnOption::ForeignKey(key) => {
                self.foreign_key(name.or(key.name.as_ref()), &[column.to_owned()], key)?;
            }
            // What it brings is noted when the default is known.
            ColumnOption::Generated {
                generated_as: GeneratedAs::Always | GeneratedAs::ByDefault,
                generation_expr: None,
                ..
            } => {}
            other => return Err(SqlError::unsupported(format!("the column option {other}"))),
        }
        Ok(())
    }

    fn constraint(&mut self, constraint: &TableConstraint) -> Result<()> {
        match constraint {
            TableConstraint::PrimaryKey(PrimaryKeyConstraint {
                name,
                columns,
                include,
                characteristics,
                ..
            }) => {
                plain_key(characteristics.is_some(), include)?;
                self.key(name.as_ref(), &column_names(columns)?, true)
            }
            TableConstraint::Unique(UniqueConstraint { name, columns, include, characteristics, .. }) => {
                plain_key(characteristics.is_some(), include)?;
                self.key(name.as_ref(), &column_names(columns)?, false)
            }
            TableConstraint::ForeignKey(key) => {
                let columns: Vec<String> = key.columns.iter().map(fold).collect();
                self.foreign_key(key.name.as_ref(), &columns, key)
            }
            TableConstraint::Check(constraint) => self.check(constraint.name.as_ref(), constraint),
            other => Err(SqlError::unsupported(format!("the constraint {other}"))),
        }
    }

    fn key(&mut self, name: Option<&Ident>, columns: &[String], primary: bool) -> Result<()> {
        let table = self.schema.name.clone();
        if primary && std::mem::replace(&mut self.has_primary_key, true) {
            return Err(SqlError::new(
                state::INVALID_TABLE_DEFINITION,
                format!("multiple primary keys for table \"{table}\" are not allowed"),
            ));
        }
        let positions = columns
            .iter()
            .map(|column| {
                self.schema.column(column).ok_or_else(|| {
                    SqlError::new(
                        state::UNDEFINED_COLUMN,
                        format!("column \"{column}\" named in key does not exist"),
                    )
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let given = name.map(fold);
        let generated =
            if primary { format!("{table}_pkey") } else { format!("{table}_{}_key", columns.join("_")) };
        let name = self.constraint_name(given, generated)?;
        if primary {
            for position in &positions {
                self.schema.columns[*position].not_null = true;
            }
        }
        let origin = if primary { Origin::PrimaryKey } else { Origin::Constraint };
        let index = Index { name, columns: positions, origin };
        if primary {
            self.schema.indexes.insert(0, index);
        } else {
            self.schema.indexes.push(index);
        }
        Ok(())
    }

    fn foreign_key(
        &mut self,
        name: Option<&Ident>,
        columns: &[String],
        constraint: &ForeignKeyConstraint,
    ) -> Result<()> {
        let generated = format!("{}_{}_fkey", self.schema.name, columns.join("_"));
        let name = self.constraint_name(name.map(fold), generated)?;
        let position = |column: &String| {
            self.schema.column(column).ok_or_else(|| {
                let message =
                    format!("column \"{column}\" referenced in foreign key constraint does not exist");
                SqlError::new(state::UNDEFINED_COLUMN, message)
            })
        };
        let columns = columns.iter().map(position).collect::<Result<_>>()?;
        self.schema.references.push(ForeignKey { name, columns, ..foreign_key(constraint)? });
        Ok(())
    }

    fn check(&mut self, name: Option<&Ident>, constraint: &CheckConstraint) -> Result<()> {
        let table = self.schema.name.clone();
        let level = Level::default();
        let names = Names::new(&level, vec![Relation::of_table(&table, &self.schema, 0)]);
        let condition = Binder::new(&[], None)?.condition(&constraint.expr, &names, "CHECK")?;
        let generated = match condition.columns().as_slice() {
            [column] => format!("{table}_{}_check", self.schema.columns[*column].name),
            _ => format!("{table}_check"),
        };
        let name = self.constraint_name(name.or(constraint.name.as_ref()).map(fold), generated)?;
        self.schema.checks.push(Check { name, condition, text: constraint.expr.to_string() });
        Ok(())
    }

    /// The given name if it is free, or the generated one with a number as PostgreSQL appends it.
    fn constraint_name(&self, given: Option<String>, generated: String) -> Result<String> {
        let taken = |name: &str| {
            let mut names = self.schema.indexes.iter().map(|index| &index.name);
            names.any(|taken| taken == name)
                || self.schema.checks.iter().any(|check| check.name == name)
                || self.schema.references.iter().any(|key| key.name == name)
        };
        match given {
            Some(name) if taken(&name) => Err(SqlError::new(
                state::DUPLICATE_OBJECT,
                format!("constraint \"{name}\" for relation \"{}\" already exists", self.schema.name),
            )),
            Some(name) => Ok(name),
            None if !taken(&generated) => Ok(generated),
            None => {
                Ok((1..).map(|n| format!("{generated}{n}")).find(|name| !taken(name)).unwrap_or(generated))
            }
        }
    }

    fn index(&self, column: &str) -> Result<usize> {
        self.schema.column(column).ok_or_else(|| SqlError::no_column(column))
    }
}

fn plain_key(deferrable: bool, include: &[Ident]) -> Result<()> {
    refuse(&[(deferrable, "a deferrable constraint"), (!include.is_empty(), "INCLUDE")])
}

pub(super) fn column_names(columns: &[IndexColumn]) -> Result<Vec<String>> {
    columns
        .iter()
        .map(|column| match &column.column.expr {
            Ast::Identifier(ident) => Ok(fold(ident)),
            other => Err(SqlError::unsupported(format!("the key expression {other}"))),
        })
        .collect()
}
