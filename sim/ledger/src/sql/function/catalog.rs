//! What the catalog says about an object (PostgreSQL 16 docs, §9.26.3), and numbers of objects with their names.

use super::{Arg, BOOL, Function, INT4, OID, Returns, TEXT, function, int_of, text_of};
use crate::{
    data::{Type, Value},
    error::{Result, SqlError, state},
    sql::{
        eval::Scope,
        system::{self, DATABASE_OWNER, OWNER, Object, quoted},
    },
};

pub(super) const ALL: &[Function] = &[
    function("[]", &[Arg::AnyArray, INT4], Type::Text, |args, _| {
        let Value::Array(elements) = &args[0] else { return Ok(Value::Null) };
        let at = usize::try_from(int_of(&args[1]) - 1).ok();
        Ok(at.and_then(|at| elements.get(at)).cloned().unwrap_or(Value::Null))
    })
    .returning(Returns::Element(0)),
    // There are no comments.
    function("col_description", &[OID, INT4], Type::Text, |_, _| Ok(Value::Null)),
    function("format_type", &[OID, INT4], Type::Text, |args, _| Ok(format_type(args))).with_nulls(),
    function("obj_description", &[OID], Type::Text, |_, _| Ok(Value::Null)),
    function("obj_description", &[OID, Arg::Is(Type::Name)], Type::Text, |_, _| Ok(Value::Null)),
    function("pg_encoding_to_char", &[INT4], Type::Name, |args, _| {
        Ok(Value::from(match int_of(&args[0]) {
            0 => "SQL_ASCII",
            6 => "UTF8",
            _ => "",
        }))
    }),
    function("pg_get_constraintdef", &[OID], Type::Text, constraint),
    function("pg_get_constraintdef", &[OID, BOOL], Type::Text, constraint),
    function("pg_get_expr", &[TEXT, OID], Type::Text, |args, _| Ok(args[0].clone())),
    function("pg_get_expr", &[TEXT, OID, BOOL], Type::Text, |args, _| Ok(args[0].clone())),
    function("pg_get_indexdef", &[OID], Type::Text, |args, scope| Ok(index(args, scope))),
    function("pg_get_indexdef", &[OID, INT4, BOOL], Type::Text, |args, scope| Ok(index(args, scope))),
    // There are no extended statistics.
    function("pg_get_statisticsobjdef_columns", &[OID], Type::Text, |_, _| Ok(Value::Null)),
    function("pg_get_userbyid", &[OID], Type::Name, |args, _| {
        let role = [OWNER, DATABASE_OWNER].into_iter().find(|(oid, _)| *oid == int_of(&args[0]));
        Ok(role.map_or_else(
            || Value::from(format!("unknown (OID={})", int_of(&args[0]))),
            |(_, name)| Value::from(name),
        ))
    }),
    // Nothing is a partition; a set without rows is null where a single value is asked for.
    function("pg_partition_ancestors", &[OID], Type::Regclass, |_, _| Ok(Value::Null)),
    function("pg_relation_is_publishable", &[OID], Type::Bool, |args, scope| {
        Ok(Object::find(int_of(&args[0]), scope)
            .map_or(Value::Null, |object| Value::Bool(matches!(object, Object::Table(_)))))
    }),
    function("pg_table_is_visible", &[OID], Type::Bool, |args, scope| {
        let relation = Object::find(int_of(&args[0]), scope).and_then(Object::relation_name);
        Ok(relation.map_or(Value::Null, |_| Value::Bool(true)))
    }),
    function("regclass", &[OID], Type::Regclass, |args, scope| {
        let oid = int_of(&args[0]);
        let name = Object::find(oid, scope).and_then(Object::relation_name);
        Ok(object(oid, name.map(quoted)))
    }),
    function("regclass", &[TEXT], Type::Regclass, |args, scope| {
        let text = text_of(&args[0]);
        let oid = match number(text) {
            Some(oid) => oid,
            None => Object::relation(text, scope)?.into(),
        };
        let name = Object::find(oid, scope).and_then(Object::relation_name);
        Ok(object(oid, name.map(quoted)))
    }),
    function("regnamespace", &[OID], Type::Regnamespace, |args, _| {
        let oid = int_of(&args[0]);
        let found = system::NAMESPACES.iter().find(|(number, _)| *number == oid);
        Ok(object(oid, found.map(|(_, name)| (*name).to_owned())))
    }),
    function("regnamespace", &[TEXT], Type::Regnamespace, |args, _| {
        let text = text_of(&args[0]);
        let found = system::NAMESPACES.iter().find(|(_, name)| *name == text);
        let (oid, name) = found.ok_or_else(|| {
            SqlError::new(state::UNDEFINED_SCHEMA, format!("schema \"{text}\" does not exist"))
        })?;
        Ok(object(*oid, Some((*name).to_owned())))
    }),
    function("regtype", &[OID], Type::Regtype, |args, _| {
        let oid = int_of(&args[0]);
        Ok(object(oid, type_of(oid).map(|ty| ty.to_string())))
    }),
    function("regtype", &[TEXT], Type::Regtype, |args, _| {
        let text = text_of(&args[0]);
        let named = Type::scalars()
            .flat_map(|ty| [Some(ty), ty.array()])
            .flatten()
            .find(|ty| ty.internal_name() == text && !matches!(ty, Type::Array(_)) || ty.to_string() == text);
        let ty = named.ok_or_else(|| {
            SqlError::new(state::UNDEFINED_OBJECT, format!("type \"{text}\" does not exist"))
        })?;
        Ok(object(ty.oid().into(), Some(ty.to_string())))
    }),
];

/// A number of an object; what has no name shows the number, and zero shows `-`.
fn object(oid: i64, name: Option<String>) -> Value {
    let name = name.unwrap_or_else(|| if oid == 0 { "-".to_owned() } else { oid.to_string() });
    Value::Object(u32::try_from(oid).unwrap_or(0), name.into())
}

fn number(text: &str) -> Option<i64> {
    if text == "-" { Some(0) } else { text.parse::<u32>().ok().map(i64::from) }
}

fn type_of(oid: i64) -> Option<Type> {
    u32::try_from(oid).ok().and_then(Type::from_oid)
}

fn format_type(args: &[Value]) -> Value {
    if args[0].is_null() {
        return Value::Null;
    }
    let modifier = if args[1].is_null() { -1 } else { int_of(&args[1]) };
    match int_of(&args[0]) {
        0 => Value::from("-"),
        oid => type_of(oid).map_or(Value::from("???"), |ty| Value::from(ty.with_modifier(modifier))),
    }
}

/// The constraint of an id as SQL; the second argument asks for no more parentheses than needed.
fn constraint(args: &[Value], scope: &Scope<'_>) -> Result<Value> {
    let pretty = args.get(1).is_some_and(Value::is_true);
    Ok(match Object::find(int_of(&args[0]), scope) {
        Some(Object::Key(table, position)) => {
            let unique = &table.schema.indexes[position];
            let kind = if unique.is_primary() { "PRIMARY KEY" } else { "UNIQUE" };
            Value::from(format!("{kind} {}", system::key_columns(table.schema, &unique.columns)))
        }
        Some(Object::Check(table, position)) => {
            let condition = &table.schema.checks[position].condition;
            Value::from(system::check(table.schema, condition, pretty)?)
        }
        Some(Object::Reference(table, position)) => {
            let key = &table.schema.references[position];
            let referred: Vec<String> = key.referred.iter().map(|column| quoted(column)).collect();
            Value::from(format!(
                "FOREIGN KEY {} REFERENCES {}({}){}",
                system::key_columns(table.schema, &key.columns),
                quoted(&key.table),
                referred.join(", "),
                key.actions()
            ))
        }
        _ => Value::Null,
    })
}

/// The index of an id as SQL, or one column of it.
fn index(args: &[Value], scope: &Scope<'_>) -> Value {
    let Some(Object::Index(table, position)) = Object::find(int_of(&args[0]), scope) else {
        return Value::Null;
    };
    let unique = &table.schema.indexes[position];
    let column = args.get(1).map_or(0, int_of);
    if column != 0 {
        let column = usize::try_from(column - 1).ok().and_then(|column| unique.columns.get(column));
        return column
            .map_or(Value::from(""), |column| Value::from(quoted(&table.schema.columns[*column].name)));
    }
    let schema = if args.get(2).is_some_and(Value::is_true) { "" } else { "public." };
    Value::from(format!(
        "CREATE {}INDEX {} ON {schema}{} USING btree {}",
        if unique.is_unique() { "UNIQUE " } else { "" },
        quoted(&unique.name),
        quoted(&table.schema.name),
        system::key_columns(table.schema, &unique.columns)
    ))
}
