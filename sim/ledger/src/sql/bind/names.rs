//! What names stand for: the columns of the relations in `FROM`, and those of enclosing queries.

use std::cell::RefCell;

use super::expr::Typed;
use crate::{
    data::{Modifier, Type},
    error::{Result, SqlError, state},
    sql::plan::{Expr, Output},
    store::Schema,
};

/// One query among nested ones.
#[derive(Default)]
pub(super) struct Level<'a> {
    outer: Option<&'a Names<'a>>,
    /// What the query takes from enclosing ones: expressions over their rows.
    args: RefCell<Vec<Expr>>,
}

impl<'a> Level<'a> {
    /// A query inside the one that `outer` belongs to.
    pub(super) fn inside(outer: &'a Names<'a>) -> Self {
        Self { outer: Some(outer), args: RefCell::default() }
    }

    /// How many things the query takes from enclosing ones so far.
    pub(super) fn arg_count(&self) -> usize {
        self.args.borrow().len()
    }

    pub(super) fn into_args(self) -> Vec<Expr> {
        self.args.into_inner()
    }
}

/// The names at one place of a query.
pub(super) struct Names<'a> {
    level: &'a Level<'a>,
    pub(super) relations: Vec<Relation>,
}

/// The columns under one qualifier; without a qualifier they are those that `USING` merged.
#[derive(Clone)]
pub(super) struct Relation {
    pub(super) qualifier: Option<String>,
    pub(super) columns: Vec<Named>,
}

/// A column under its name.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) expr: Expr,
    pub(super) ty: Type,
    pub(super) modifier: Modifier,
    /// Found only with its qualifier, because `USING` merged it into another.
    pub(super) hidden: bool,
}

impl Named {
    pub(super) fn typed(&self) -> Typed {
        Typed { expr: self.expr.clone(), ty: self.ty, modifier: self.modifier, place: None }
    }
}

impl Relation {
    /// The columns of a table, beginning at `offset` of the row.
    pub(super) fn of_table(qualifier: &str, schema: &Schema, offset: usize) -> Self {
        Self::from_columns(
            qualifier,
            schema.columns.iter().map(|column| (column.name.clone(), column.ty, column.modifier)),
            |index| Expr::Column(offset + index),
        )
    }

    /// The columns of a query's answer, beginning at `offset` of the row.
    pub(super) fn of_outputs(qualifier: &str, outputs: Vec<Output>, offset: usize) -> Self {
        Self::from_columns(
            qualifier,
            outputs.into_iter().map(|output| (output.name, output.ty, output.modifier)),
            |index| Expr::Column(offset + index),
        )
    }

    /// The row that an `INSERT` proposed.
    pub(super) fn excluded(schema: &Schema) -> Self {
        Self::from_columns(
            "excluded",
            schema.columns.iter().map(|column| (column.name.clone(), column.ty, column.modifier)),
            Expr::Excluded,
        )
    }

    fn from_columns(
        qualifier: &str,
        columns: impl Iterator<Item = (String, Type, Modifier)>,
        expr: impl Fn(usize) -> Expr,
    ) -> Self {
        let columns = columns
            .enumerate()
            .map(|(index, (name, ty, modifier))| Named {
                name,
                expr: expr(index),
                ty,
                modifier,
                hidden: false,
            })
            .collect();
        Self { qualifier: Some(qualifier.to_owned()), columns }
    }
}

impl<'a> Names<'a> {
    pub(super) fn new(level: &'a Level<'a>, relations: Vec<Relation>) -> Self {
        Self { level, relations }
    }

    /// No relation of the query itself; enclosing queries are still seen.
    pub(super) fn none(level: &'a Level<'a>) -> Self {
        Self::new(level, Vec::new())
    }

    /// The column `name`, or `qualifier.name`.
    pub(super) fn column(&self, qualifier: Option<&str>, name: &str) -> Result<Typed> {
        match self.find(qualifier, name)? {
            Some(found) => Ok(found),
            None => Err(match qualifier {
                Some(qualifier) => missing_from(qualifier),
                None => SqlError::no_column(name),
            }),
        }
    }

    fn find(&self, qualifier: Option<&str>, name: &str) -> Result<Option<Typed>> {
        match qualifier {
            Some(qualifier) => {
                if let Some(relation) = self.relation(qualifier) {
                    let found = relation.columns.iter().find(|column| column.name == name);
                    return found.map(|column| Some(column.typed())).ok_or_else(|| {
                        SqlError::new(
                            state::UNDEFINED_COLUMN,
                            format!("column {qualifier}.{name} does not exist"),
                        )
                    });
                }
            }
            None => {
                if let Some(found) = self.own(name)? {
                    return Ok(Some(found.typed()));
                }
            }
        }
        let Some(outer) = self.level.outer else {
            return Ok(None);
        };
        let Some(found) = outer.find(qualifier, name)? else {
            return Ok(None);
        };
        let mut args = self.level.args.borrow_mut();
        let index = args.iter().position(|arg| *arg == found.expr).unwrap_or_else(|| {
            args.push(found.expr);
            args.len() - 1
        });
        Ok(Some(Typed { expr: Expr::Arg(index), ..found }))
    }

    /// The column of this query's own relations that `name` alone means.
    pub(super) fn own(&self, name: &str) -> Result<Option<&Named>> {
        let mut found = self
            .relations
            .iter()
            .flat_map(|relation| &relation.columns)
            .filter(|column| column.name == name && !column.hidden);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(ambiguous(name)),
            (found, _) => Ok(found),
        }
    }

    pub(super) fn relation(&self, qualifier: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.qualifier.as_deref() == Some(qualifier))
    }

    /// A column of the row as error messages name it: `relation.column`.
    pub(super) fn describe(&self, index: usize) -> String {
        self.relations
            .iter()
            .flat_map(|relation| relation.columns.iter().map(move |column| (relation, column)))
            .find(|(_, column)| column.expr == Expr::Column(index))
            .map_or_else(String::new, |(relation, column)| match &relation.qualifier {
                Some(qualifier) => format!("{qualifier}.{}", column.name),
                None => column.name.clone(),
            })
    }
}

pub(super) fn ambiguous(name: &str) -> Box<SqlError> {
    SqlError::new(state::AMBIGUOUS_COLUMN, format!("column reference \"{name}\" is ambiguous"))
}

pub(super) fn missing_from(qualifier: &str) -> Box<SqlError> {
    SqlError::new(state::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{qualifier}\""))
}
