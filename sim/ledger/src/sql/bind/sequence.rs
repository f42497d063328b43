//! `CREATE SEQUENCE`, and the sequences that columns bring with them: `SERIAL`, `GENERATED … AS IDENTITY`.
//!
//! In the text of a table's definition such a column keeps its serial type or its identity, and its default names its
//! sequence. Deliberately absent: `OWNED BY`, temporary sequences, `ALTER SEQUENCE`.

use std::sync::Arc;

use sqlparser::ast::{
    ColumnDef, ColumnOption, ColumnOptionDef, DataType, Expr as Ast, GeneratedAs, SequenceOptions, Statement,
    UnaryOperator,
};

use super::{draft::quoted, expr::Binder, fold, object_name, refuse, types};
use crate::{
    data::{Modifier, Type},
    error::{Result, SqlError, state},
    sql::{
        draw::source_of,
        parse,
        plan::{Create, Plan},
    },
    store::{Column, Kind, Schema, Sequence},
};

/// Longest name; PostgreSQL cuts what it makes up so that it fits.
const MAX_NAME: usize = 63;

/// The sequences that the columns of a statement bring with them.
#[derive(Default)]
pub(super) struct Supplies {
    names: Vec<String>,
    /// What makes them.
    pub(super) sql: Vec<String>,
}

/// A text from which [`sequence_schema`] makes the sequence again.
fn text(name: &str, sequence: &Sequence) -> String {
    let Sequence { ty, increment, least, most, start, cache, cycles } = sequence;
    format!(
        "CREATE SEQUENCE {} AS {ty} INCREMENT BY {increment} MINVALUE {least} MAXVALUE {most} START WITH {start} \
         CACHE {cache}{}",
        quoted(name),
        if *cycles { " CYCLE" } else { "" }
    )
}

/// The schema of the sequence that a canonical `CREATE SEQUENCE` describes.
pub(super) fn sequence_schema(statement: &Statement, sql: &str) -> Result<Schema> {
    let Statement::CreateSequence { name, data_type, sequence_options, .. } = statement else {
        return Err(SqlError::syntax("a CREATE SEQUENCE statement was expected"));
    };
    let column = |name: &str, ty| Column {
        name: name.to_owned(),
        ty,
        modifier: Modifier::None,
        not_null: true,
        default: None,
        supply: None,
    };
    Ok(Schema {
        name: Arc::from(object_name(name)?),
        kind: Kind::Sequence(sequence(data_type.as_ref(), sequence_options)?),
        columns: vec![
            column("last_value", Type::Int8),
            column("log_cnt", Type::Int8),
            column("is_called", Type::Bool),
        ],
        indexes: Vec::new(),
        checks: Vec::new(),
        references: Vec::new(),
        sql: Arc::from(sql),
    })
}

impl Binder<'_> {
    pub(super) fn create_sequence(&mut self, statement: &Statement) -> Result<Plan> {
        let Statement::CreateSequence {
            temporary,
            if_not_exists,
            name,
            data_type,
            sequence_options,
            owned_by,
        } = statement
        else {
            return Err(SqlError::unsupported("this form of CREATE SEQUENCE"));
        };
        let is_none = owned_by.as_ref().is_none_or(|owner| owner.to_string().eq_ignore_ascii_case("none"));
        refuse(&[(*temporary, "a temporary sequence"), (!is_none, "OWNED BY")])?;
        let name = object_name(name)?;
        let sql = text(&name, &sequence(data_type.as_ref(), sequence_options)?);
        let if_not_exists = *if_not_exists;
        Ok(Plan::CreateSequence(Create { name, if_not_exists, sql, sequences: Vec::new() }))
    }

    /// A column of a new definition of `table`; one with a sequence of its own gets its default and `NOT NULL`.
    pub(super) fn supplied(
        &self,
        table: &str,
        definition: &ColumnDef,
        supplies: &mut Supplies,
    ) -> Result<ColumnDef> {
        let column = fold(&definition.name);
        let is_default = |option: &&ColumnOptionDef| matches!(option.option, ColumnOption::Default(_));
        let has_default = definition.options.iter().any(|option| is_default(&option));
        let sequence = match (serial(&definition.data_type), identity(definition, table)?) {
            (Some(_), Some(_)) => {
                let message = format!(
                    "both default and identity specified for column \"{column}\" of table \"{table}\""
                );
                return Err(SqlError::syntax(message));
            }
            (Some(_), None) if has_default => {
                let message =
                    format!("multiple default values specified for column \"{column}\" of table \"{table}\"");
                return Err(SqlError::syntax(message));
            }
            (None, Some(_)) if has_default => {
                let message = format!(
                    "both default and identity specified for column \"{column}\" of table \"{table}\""
                );
                return Err(SqlError::syntax(message));
            }
            (Some(ty), None) => self::of_type(ty, &[])?,
            (None, Some(options)) => match types::data_type(&definition.data_type)?.0 {
                ty @ (Type::Int2 | Type::Int4 | Type::Int8) => of_type(ty, options)?,
                _ => {
                    let message = "identity column type must be smallint, integer, or bigint";
                    return Err(SqlError::new(state::INVALID_PARAMETER_VALUE, message));
                }
            },
            (None, None) => return Ok(definition.clone()),
        };
        let name = self.free_sequence_name(table, &column, supplies)?;
        supplies.sql.push(text(&name, &sequence));
        let mut definition = definition.clone();
        for option in &mut definition.options {
            if let ColumnOption::Generated { sequence_options, .. } = &mut option.option {
                *sequence_options = None;
            }
        }
        let default = parse::expression(&format!("nextval('{}')", quoted(&name).replace('\'', "''")))?;
        let more = [ColumnOption::Default(default), ColumnOption::NotNull];
        definition.options.extend(more.map(|option| ColumnOptionDef { name: None, option }));
        supplies.names.push(name);
        Ok(definition)
    }

    /// `table_column_seq`, with a number if that is taken.
    fn free_sequence_name(&self, table: &str, column: &str, supplies: &Supplies) -> Result<String> {
        let catalog = self.catalog()?;
        let is_free = |name: &String| {
            !catalog.is_taken(name) && !supplies.names.contains(name) && name.as_str() != table
        };
        let (mut table, mut column) = (table, column);
        // The longer part is cut first, by whole characters.
        while table.len() + column.len() + "__seq".len() + 2 > MAX_NAME {
            let longer = if table.len() > column.len() { &mut table } else { &mut column };
            *longer = &longer[..longer.floor_char_boundary(longer.len() - 1)];
        }
        let base = format!("{table}_{column}_seq");
        let numbered = (1..).map(|number: u32| format!("{base}{number}"));
        Ok(std::iter::once(base.clone()).chain(numbered).find(is_free).unwrap_or(base))
    }

    /// Fails unless the sequences that the defaults of a new definition draw from exist, or will.
    pub(super) fn check_sources(&self, schema: &Schema, supplies: &Supplies) -> Result<()> {
        for source in schema.columns.iter().filter_map(|column| source_of(column.default.as_ref()?)) {
            if !supplies.names.contains(&source) {
                self.catalog()?.find(&source)?;
            }
        }
        Ok(())
    }
}

/// The type of a column that is declared by one of the names that are no types but bring a sequence.
pub(super) fn serial(data_type: &DataType) -> Option<Type> {
    let DataType::Custom(name, modifiers) = data_type else {
        return None;
    };
    match object_name(name).ok()?.as_str() {
        _ if !modifiers.is_empty() => None,
        "smallserial" | "serial2" => Some(Type::Int2),
        "serial" | "serial4" => Some(Type::Int4),
        "bigserial" | "serial8" => Some(Type::Int8),
        _ => None,
    }
}

/// The options of a column's identity, if it has one.
fn identity<'a>(definition: &'a ColumnDef, table: &str) -> Result<Option<&'a [SequenceOptions]>> {
    let mut found = definition.options.iter().filter_map(|option| match &option.option {
        ColumnOption::Generated {
            generated_as: GeneratedAs::Always | GeneratedAs::ByDefault,
            sequence_options,
            generation_expr: None,
            ..
        } => Some(sequence_options.as_deref().unwrap_or_default()),
        _ => None,
    });
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => {
            let column = fold(&definition.name);
            let message =
                format!("multiple identity specifications for column \"{column}\" of table \"{table}\"");
            Err(SqlError::syntax(message))
        }
        (found, _) => Ok(found),
    }
}

fn sequence(data_type: Option<&DataType>, options: &[SequenceOptions]) -> Result<Sequence> {
    let ty = data_type.map_or(Ok(Type::Int8), |ty| types::data_type(ty).map(|(ty, _)| ty))?;
    if !matches!(ty, Type::Int2 | Type::Int4 | Type::Int8) {
        let message = "sequence type must be smallint, integer, or bigint";
        return Err(SqlError::new(state::INVALID_PARAMETER_VALUE, message));
    }
    of_type(ty, options)
}

/// A sequence of `ty` with the defaults of PostgreSQL (PostgreSQL 16 docs, CREATE SEQUENCE).
fn of_type(ty: Type, options: &[SequenceOptions]) -> Result<Sequence> {
    let (mut increment, mut least, mut most, mut start, mut cache, mut cycles) =
        (1, None, None, None, 1, false);
    for option in options {
        match option {
            SequenceOptions::IncrementBy(by, _) => increment = whole(by)?,
            SequenceOptions::MinValue(value) => least = value.as_ref().map(whole).transpose()?,
            SequenceOptions::MaxValue(value) => most = value.as_ref().map(whole).transpose()?,
            SequenceOptions::StartWith(value, _) => start = Some(whole(value)?),
            SequenceOptions::Cache(value) => cache = whole(value)?,
            // The parser notes whether it is `NO CYCLE`.
            SequenceOptions::Cycle(no) => cycles = !no,
        }
    }
    let (lowest, highest) = match ty {
        Type::Int2 => (i16::MIN.into(), i16::MAX.into()),
        Type::Int4 => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    };
    let up = increment > 0;
    let least = least.unwrap_or(if up { 1 } else { lowest });
    let most = most.unwrap_or(if up { highest } else { -1 });
    let start = start.unwrap_or(if up { least } else { most });
    let wrong = |message: String| Err(SqlError::new(state::INVALID_PARAMETER_VALUE, message));
    if increment == 0 {
        return wrong("INCREMENT must not be zero".to_owned());
    }
    for (bound, value) in [("MAXVALUE", most), ("MINVALUE", least)] {
        if !(lowest..=highest).contains(&value) {
            return wrong(format!("{bound} ({value}) is out of range for sequence data type {ty}"));
        }
    }
    if least >= most {
        return wrong(format!("MINVALUE ({least}) must be less than MAXVALUE ({most})"));
    }
    if start < least {
        return wrong(format!("START value ({start}) cannot be less than MINVALUE ({least})"));
    }
    if start > most {
        return wrong(format!("START value ({start}) cannot be greater than MAXVALUE ({most})"));
    }
    if cache < 1 {
        return wrong(format!("CACHE ({cache}) must be greater than zero"));
    }
    Ok(Sequence { ty, increment, least, most, start, cache, cycles })
}

/// A number in an option.
fn whole(ast: &Ast) -> Result<i64> {
    let (sign, digits) = match ast {
        Ast::UnaryOp { op: UnaryOperator::Minus, expr } => ("-", expr.as_ref()),
        Ast::UnaryOp { op: UnaryOperator::Plus, expr } => ("", expr.as_ref()),
        digits => ("", digits),
    };
    let text = format!("{sign}{digits}");
    text.parse().map_err(|_| {
        SqlError::new(state::OUT_OF_RANGE, format!("value \"{text}\" is out of range for type bigint"))
    })
}
