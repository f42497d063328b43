//! The definition of a table as it can be edited: what `ALTER TABLE` changes, and what is written down again as
//! `CREATE TABLE` and `CREATE INDEX`, with every constraint under its name.

use std::fmt;

use sqlparser::{
    ast::{ColumnDef, ColumnOption, Statement},
    dialect::PostgreSqlDialect,
    tokenizer::{Token, Tokenizer},
};

use super::{fold, sequence::serial};
use crate::{
    data::Type,
    error::{Result, SqlError, state},
    sql::parse,
    store::{Filling, ForeignKey, Identity, Origin, Schema},
};

pub(super) struct Draft {
    pub(super) name: String,
    pub(super) columns: Vec<DraftColumn>,
    pub(super) indexes: Vec<DraftIndex>,
    pub(super) checks: Vec<DraftCheck>,
    pub(super) references: Vec<DraftReference>,
    /// Further constraints as they are written, for the binder to name.
    pub(super) constraints: Vec<String>,
}

pub(super) struct DraftColumn {
    pub(super) name: String,
    pub(super) ty: String,
    pub(super) default: Option<String>,
    pub(super) not_null: bool,
    /// Whether its type brings a sequence.
    pub(super) serial: bool,
    pub(super) identity: Option<Identity>,
    /// Further options as they are written.
    pub(super) options: String,
    pub(super) filling: Filling,
}

pub(super) struct DraftIndex {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    pub(super) origin: Origin,
}

pub(super) struct DraftReference {
    pub(super) columns: Vec<String>,
    pub(super) key: ForeignKey,
}

pub(super) struct DraftCheck {
    pub(super) name: String,
    pub(super) condition: String,
    pub(super) columns: Vec<String>,
}

impl Draft {
    /// The definition of a table that there is.
    pub(super) fn of(schema: &Schema) -> Result<Self> {
        let statements = parse::parse(&schema.sql)?;
        let Some(Statement::CreateTable(create)) = statements.first() else {
            return Err(SqlError::syntax("a CREATE TABLE statement was expected"));
        };
        let columns = create.columns.iter().zip(&schema.columns).enumerate();
        let name_of = |column: &usize| schema.columns[*column].name.clone();
        Ok(Self {
            name: schema.name.to_string(),
            columns: columns
                .map(|(position, (definition, column))| DraftColumn {
                    name: column.name.clone(),
                    ty: definition.data_type.to_string(),
                    default: default_of(definition),
                    not_null: column.not_null,
                    serial: serial(&definition.data_type).is_some(),
                    identity: column.supply.as_ref().and_then(|supply| supply.identity),
                    options: String::new(),
                    filling: Filling::Column(position),
                })
                .collect(),
            indexes: schema
                .indexes
                .iter()
                .map(|index| DraftIndex {
                    name: index.name.clone(),
                    columns: index.columns.iter().map(name_of).collect(),
                    origin: index.origin,
                })
                .collect(),
            checks: schema
                .checks
                .iter()
                .map(|check| DraftCheck {
                    name: check.name.clone(),
                    condition: check.text.clone(),
                    columns: check.condition.columns().iter().map(name_of).collect(),
                })
                .collect(),
            references: schema
                .references
                .iter()
                .map(|key| DraftReference {
                    columns: key.columns.iter().map(name_of).collect(),
                    key: key.clone(),
                })
                .collect(),
            constraints: Vec::new(),
        })
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    pub(super) fn column(&mut self, name: &str) -> Result<&mut DraftColumn> {
        match self.columns.iter().position(|column| column.name == name) {
            Some(position) => Ok(&mut self.columns[position]),
            None => Err(self.no_column(name)),
        }
    }

    pub(super) fn no_column(&self, name: &str) -> Box<SqlError> {
        let message = format!("column \"{name}\" of relation \"{}\" does not exist", self.name);
        SqlError::new(state::UNDEFINED_COLUMN, message)
    }

    /// Whether a constraint has this name.
    pub(super) fn has_constraint(&self, name: &str) -> bool {
        let mut keys = self.indexes.iter().filter(|index| index.is_constraint());
        keys.any(|index| index.name == name)
            || self.checks.iter().any(|check| check.name == name)
            || self.references.iter().any(|reference| reference.key.name == name)
    }

    /// Renames a column, also where it is used.
    pub(super) fn rename_column(&mut self, old: &str, new: &str) -> Result<()> {
        for index in &mut self.indexes {
            index
                .columns
                .iter_mut()
                .filter(|column| *column == old)
                .for_each(|column| new.clone_into(column));
        }
        for reference in &mut self.references {
            reference
                .columns
                .iter_mut()
                .filter(|column| *column == old)
                .for_each(|column| new.clone_into(column));
        }
        for check in self.checks.iter_mut().filter(|check| check.columns.iter().any(|column| column == old)) {
            check.condition = respelled(&check.condition, old, new)?;
            check
                .columns
                .iter_mut()
                .filter(|column| *column == old)
                .for_each(|column| new.clone_into(column));
        }
        new.clone_into(&mut self.column(old)?.name);
        Ok(())
    }

    /// Removes a column, and the indexes and constraints that use it.
    pub(super) fn drop_column(&mut self, position: usize) {
        let name = self.columns.remove(position).name;
        self.indexes.retain(|index| !index.columns.contains(&name));
        self.checks.retain(|check| !check.columns.contains(&name));
        self.references.retain(|reference| !reference.columns.contains(&name));
    }
}

impl DraftColumn {
    /// It draws from its sequence no longer.
    pub(super) fn lose_default(&mut self, ty: Type) {
        self.default = None;
        if std::mem::take(&mut self.serial) {
            self.ty = ty.to_string();
        }
    }
}

impl DraftIndex {
    pub(super) fn is_constraint(&self) -> bool {
        matches!(self.origin, Origin::Constraint | Origin::PrimaryKey)
    }
}

pub(super) fn default_of(definition: &ColumnDef) -> Option<String> {
    definition.options.iter().find_map(|option| match &option.option {
        ColumnOption::Default(default) => Some(default.to_string()),
        _ => None,
    })
}

/// A condition in which a column has another name.
fn respelled(condition: &str, old: &str, new: &str) -> Result<String> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, condition)
        .tokenize()
        .map_err(|error| SqlError::syntax(error.to_string()))?;
    let mut text = String::new();
    for (position, token) in tokens.iter().enumerate() {
        match token {
            // What is called is no column.
            Token::Word(word)
                if fold(&word.clone().into_ident(sqlparser::tokenizer::Span::empty())) == old
                    && tokens.get(position + 1) != Some(&Token::LParen) =>
            {
                text.push_str(&quoted(new));
            }
            token => text.push_str(&token.to_string()),
        }
    }
    Ok(text)
}

/// A name as it can stand in a statement whatever it is.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns.iter().map(ToString::to_string);
        let keys = self.indexes.iter().filter(|index| index.is_constraint()).map(|index| {
            let kind = if index.origin == Origin::PrimaryKey { "PRIMARY KEY" } else { "UNIQUE" };
            format!("CONSTRAINT {} {kind} ({})", quoted(&index.name), list(&index.columns))
        });
        let checks = self
            .checks
            .iter()
            .map(|check| format!("CONSTRAINT {} CHECK ({})", quoted(&check.name), check.condition));
        let references = self.references.iter().map(ToString::to_string);
        let parts: Vec<String> =
            columns.chain(keys).chain(checks).chain(references).chain(self.constraints.clone()).collect();
        write!(f, "CREATE TABLE {} ({})", quoted(&self.name), parts.join(", "))?;
        for index in self.indexes.iter().filter(|index| !index.is_constraint()) {
            let unique = if index.origin == Origin::UniqueIndex { "UNIQUE " } else { "" };
            let (name, table) = (quoted(&index.name), quoted(&self.name));
            write!(f, "; CREATE {unique}INDEX {name} ON {table} ({})", list(&index.columns))?;
        }
        Ok(())
    }
}

impl fmt::Display for DraftReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ForeignKey { name, table, referred, .. } = &self.key;
        let (name, table, columns) = (quoted(name), quoted(table), list(&self.columns));
        write!(f, "CONSTRAINT {name} FOREIGN KEY ({columns}) REFERENCES {table} ({})", list(referred))?;
        f.write_str(&self.key.actions())
    }
}

impl fmt::Display for DraftColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", quoted(&self.name), self.ty)?;
        if let Some(default) = &self.default {
            write!(f, " DEFAULT {default}")?;
        }
        if self.not_null {
            f.write_str(" NOT NULL")?;
        }
        match self.identity {
            Some(Identity::Always) => f.write_str(" GENERATED ALWAYS AS IDENTITY")?,
            Some(Identity::ByDefault) => f.write_str(" GENERATED BY DEFAULT AS IDENTITY")?,
            None => {}
        }
        f.write_str(&self.options)
    }
}
