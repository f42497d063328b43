//! Statements on the tables: writes, queries over one and several tables, and blocks of a transaction.

use proptest::{
    collection::vec,
    option,
    prelude::any,
    sample::{Index, select},
    strategy::{BoxedStrategy, Just, Strategy, Union},
};

use super::{
    edge,
    expression::{Expressions, Scope, literals},
    pair::Statement,
    schema::{Column, Kind, TABLES, Table},
    wire::Mode,
};

/// How deep expressions are nested.
const DEPTH: u32 = 2;

/// SQL, and whether it says in which order its rows come.
type Sql = BoxedStrategy<(String, bool)>;

/// Statements of a session, besides those that fill its tables and those of a block.
const LENGTH: usize = 40;

/// A session: what is asked one after the other.
pub fn session() -> BoxedStrategy<Vec<Statement>> {
    let single = statement().prop_map(|statement| vec![statement]);
    let units = Union::new_weighted(vec![(8, single.boxed()), (1, block())]);
    let seeds = Union::new(TABLES.iter().map(|table| plain(insert(table))));
    (vec(seeds, 12), vec(units, LENGTH))
        .prop_map(|(seeds, units)| seeds.into_iter().chain(units.into_iter().flatten()).collect())
        .boxed()
}

/// Statements between `BEGIN` and its end, with savepoints among them.
fn block() -> BoxedStrategy<Vec<Statement>> {
    let savepoints =
        select(&["SAVEPOINT a", "SAVEPOINT b", "ROLLBACK TO a", "RELEASE a", "ROLLBACK TO b"][..]);
    let step =
        Union::new_weighted(vec![(3, statement()), (1, savepoints.prop_map(Statement::simple).boxed())]);
    let ends = select(&["COMMIT", "COMMIT", "ROLLBACK", "END", "ABORT"][..]).prop_map(Statement::simple);
    (vec(step, 1..8), ends)
        .prop_map(|(steps, end)| [Statement::simple("BEGIN")].into_iter().chain(steps).chain([end]).collect())
        .boxed()
}

/// One statement in one of the modes.
pub fn statement() -> BoxedStrategy<Statement> {
    let tables = |make: fn(&'static Table) -> Sql| Union::new(TABLES.iter().map(make)).boxed();
    let kinds: Vec<(u32, Sql)> = vec![
        (6, tables(insert)),
        (4, tables(update)),
        (2, tables(delete)),
        (5, tables(query)),
        (2, tables(grouped)),
        (3, pairs(join)),
        (3, pairs(nested)),
        (2, pairs(combined)),
        (1, pairs(write_from)),
        (3, edge::query().prop_map(|sql| (sql, false)).boxed()),
        (1, tables(wrong)),
    ];
    Union::new_weighted(vec![(9, plain(Union::new_weighted(kinds).boxed())), (2, with_params())]).boxed()
}

fn plain(sql: Sql) -> BoxedStrategy<Statement> {
    let modes = select(&[Mode::Simple, Mode::Text, Mode::Binary][..]);
    (sql, modes)
        .prop_map(|((sql, ordered), mode)| Statement { sql, params: Vec::new(), mode, ordered })
        .boxed()
}

fn scope(table: &Table, qualifier: &str) -> Scope {
    let qualify = |name: &str| if qualifier.is_empty() { name.into() } else { format!("{qualifier}.{name}") };
    table.columns.iter().map(|Column(name, kind, _)| (qualify(name), *kind)).collect()
}

fn over(table: &Table) -> Expressions {
    Expressions::over(&scope(table, ""), DEPTH)
}

/// A value for a column: mostly one that fits.
fn value(kind: Kind) -> BoxedStrategy<String> {
    Union::new_weighted(vec![
        (12, select(literals(kind)).prop_map(str::to_owned).boxed()),
        (1, Just("NULL".to_owned()).boxed()),
        (1, Just("DEFAULT".to_owned()).boxed()),
        (1, edge::literal()),
    ])
    .boxed()
}

fn returning(table: &'static Table) -> BoxedStrategy<String> {
    let list = vec(over(table).any(), 1..3).prop_map(|list| format!(" RETURNING {}", list.join(", ")));
    Union::new_weighted(vec![
        (4, Just(String::new()).boxed()),
        (1, Just(" RETURNING *".to_owned()).boxed()),
        (1, list.boxed()),
    ])
    .boxed()
}

fn conflict(table: &'static Table) -> BoxedStrategy<String> {
    let target = select(table.keys);
    let updates =
        (target, select(table.columns.iter().map(|column| column.0).collect::<Vec<_>>()), any::<bool>())
            .prop_map(move |(target, column, guarded)| {
                let guard = if guarded {
                    format!(" WHERE {}.{column} IS DISTINCT FROM excluded.{column}", table.name)
                } else {
                    String::new()
                };
                format!(" ON CONFLICT {target} DO UPDATE SET {column} = excluded.{column}{guard}")
            });
    Union::new_weighted(vec![
        (4, Just(String::new()).boxed()),
        (2, Just(" ON CONFLICT DO NOTHING".to_owned()).boxed()),
        (2, select(table.keys).prop_map(|target| format!(" ON CONFLICT {target} DO NOTHING")).boxed()),
        (3, updates.boxed()),
    ])
    .boxed()
}

fn insert(table: &'static Table) -> Sql {
    let row = || table.columns.iter().map(|column| value(column.1)).collect::<Vec<_>>();
    let rows = Union::new_weighted(vec![(5, vec(row(), 1..=1).boxed()), (1, vec(row(), 2..=3).boxed())]);
    // A column that is left out gets its default; all of them, or all but one.
    let left_out = option::of(any::<Index>());
    (rows, left_out, conflict(table), returning(table))
        .prop_map(|(rows, left_out, conflict, returning)| {
            let left_out = left_out.map(|index| index.index(table.columns.len()));
            let kept = |index: &usize| Some(*index) != left_out;
            let names: Vec<_> =
                (0..table.columns.len()).filter(kept).map(|index| table.columns[index].0).collect();
            let rows = rows.iter().map(|row| {
                let values: Vec<_> = (0..row.len()).filter(kept).map(|index| row[index].as_str()).collect();
                format!("({})", values.join(", "))
            });
            let rows: Vec<_> = rows.collect();
            let sql = format!(
                "INSERT INTO {} ({}) VALUES {}{conflict}{returning}",
                table.name,
                names.join(", "),
                rows.join(", ")
            );
            (sql, false)
        })
        .boxed()
}

/// A condition, mostly one that an index can serve.
fn filter(table: &'static Table) -> BoxedStrategy<String> {
    let Column(key, kind, _) = &table.columns[0];
    let by_key = select(literals(*kind)).prop_map(move |value| format!(" WHERE {key} = {value}"));
    Union::new_weighted(vec![
        (3, by_key.boxed()),
        (3, over(table).of(Kind::Flag).prop_map(|condition| format!(" WHERE {condition}")).boxed()),
        (1, Just(String::new()).boxed()),
    ])
    .boxed()
}

fn update(table: &'static Table) -> Sql {
    let expressions = over(table);
    let assignment = Union::new(table.columns.iter().map(|Column(name, kind, _)| {
        Union::new_weighted(vec![(2, value(*kind)), (1, expressions.of(*kind))])
            .prop_map(move |value| format!("{name} = {value}"))
            .boxed()
    }));
    (vec(assignment, 1..3), filter(table), returning(table))
        .prop_map(|(set, filter, returning)| {
            (format!("UPDATE {} SET {}{filter}{returning}", table.name, set.join(", ")), false)
        })
        .boxed()
}

fn delete(table: &'static Table) -> Sql {
    (filter(table), returning(table))
        .prop_map(|(filter, returning)| (format!("DELETE FROM {}{filter}{returning}", table.name), false))
        .boxed()
}

/// ` ORDER BY` every output, so that there is one order only, then a part of it; or nothing.
fn order(outputs: usize) -> BoxedStrategy<(String, bool)> {
    let key = select(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"][..]);
    let limit =
        select(&["", "", " LIMIT 3", " OFFSET 1", " LIMIT 2 OFFSET 1", " LIMIT 0", " LIMIT NULL"][..]);
    let ordered = (vec(key, outputs), limit).prop_map(|(keys, limit)| {
        let keys = keys.iter().enumerate().map(|(index, key)| format!("{}{key}", index + 1));
        (format!(" ORDER BY {}{limit}", keys.collect::<Vec<_>>().join(", ")), true)
    });
    Union::new(vec![Just((String::new(), false)).boxed(), ordered.boxed()]).boxed()
}

fn query(table: &'static Table) -> Sql {
    let expressions = over(table);
    let locks = select(&["", "", "", " FOR UPDATE", " FOR SHARE NOWAIT"][..]);
    let list =
        (vec(expressions.any(), 1..4), filter(table), locks).prop_flat_map(move |(list, filter, locks)| {
            order(list.len()).prop_map(move |(order, ordered)| {
                (format!("SELECT {} FROM {}{filter}{order}{locks}", list.join(", "), table.name), ordered)
            })
        });
    let distinct = (expressions.any(), filter(table)).prop_map(move |(item, filter)| {
        (format!("SELECT DISTINCT {item} FROM {}{filter}", table.name), false)
    });
    let whole =
        filter(table).prop_map(move |filter| (format!("SELECT * FROM {}{filter}", table.name), false));
    Union::new_weighted(vec![(3, list.boxed()), (1, distinct.boxed()), (1, whole.boxed())]).boxed()
}

/// Aggregates over whatever kind they take.
const AGGREGATES: &[&str] = &[
    "count(*)",
    "count({any})",
    "sum({int})",
    "sum({num})",
    "sum({big})",
    "avg({num})",
    "avg({int})",
    "min({int})",
    "max({text})",
    "max({time})",
    "min({num})",
    "bool_and({flag})",
    "bool_or({flag})",
    "count(DISTINCT {text})",
    "sum(DISTINCT {int})",
    "count(*) FILTER (WHERE {flag})",
];

const GROUP_CONDITIONS: &[&str] =
    &["", "", " HAVING count(*) > 1", " HAVING max({int}) IS NOT NULL", " HAVING bool_or({flag})"];

fn grouped(table: &'static Table) -> Sql {
    let expressions = over(table);
    let aggregates = Union::new(AGGREGATES.iter().map(|form| expressions.fill(form)));
    let having = Union::new(GROUP_CONDITIONS.iter().map(|form| expressions.fill(form)));
    let keys = vec(expressions.any(), 0..3);
    (keys, vec(aggregates, 1..3), filter(table), having)
        .prop_flat_map(move |(keys, aggregates, filter, having)| {
            let outputs = keys.len() + aggregates.len();
            let group = match keys.len() {
                0 => "",
                1 => " GROUP BY 1",
                _ => " GROUP BY 1, 2",
            };
            let list = [keys.as_slice(), &aggregates].concat().join(", ");
            let sql = format!("SELECT {list} FROM {}{filter}{group}{having}", table.name);
            order(outputs).prop_map(move |(order, ordered)| (format!("{sql}{order}"), ordered))
        })
        .boxed()
}

/// What is made of two tables, for every two of them that follow each other.
fn pairs(make: fn(&'static Table, &'static Table) -> Sql) -> Sql {
    let next = |index: usize| &TABLES[(index + 1) % TABLES.len()];
    let kinds =
        TABLES.iter().enumerate().flat_map(|(index, table)| [make(table, next(index)), make(table, table)]);
    Union::new(kinds).boxed()
}

fn both(left: &Table, right: &Table) -> Expressions {
    let scope = [scope(left, "l"), scope(right, "r")].concat();
    Expressions::over(&scope, 1)
}

const CONDITIONS: &[&str] =
    &["{int} = {int}", "{text} = {text}", "{text} = {text} AND {flag}", "{num} > {num}", "{flag}", "true"];

fn join(left: &'static Table, right: &'static Table) -> Sql {
    let expressions = both(left, right);
    let kinds = select(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", ","][..]);
    let on = Union::new(CONDITIONS.iter().map(|form| expressions.fill(form)));
    let filters = option::of(expressions.of(Kind::Flag));
    (vec(expressions.any(), 1..4), kinds, on, filters)
        .prop_flat_map(move |(list, kind, on, filter)| {
            // FULL JOIN takes only conditions that can be merged or hashed.
            let on = match kind {
                "CROSS JOIN" | "," => String::new(),
                "FULL JOIN" => format!(" ON l.{} = r.{}", left.columns[0].0, left.columns[0].0),
                _ => format!(" ON {on}"),
            };
            let right = if kind == "FULL JOIN" { left } else { right };
            let list = if kind == "FULL JOIN" { vec!["l".to_owned() + ".*"] } else { list };
            let filter = filter
                .filter(|_| kind != "FULL JOIN")
                .map_or(String::new(), |filter| format!(" WHERE {filter}"));
            let sql = format!(
                "SELECT {} FROM {} l {kind} {} r{on}{filter}",
                list.join(", "),
                left.name,
                right.name
            );
            let outputs = if kind == "FULL JOIN" { 1 } else { list.len() };
            order(outputs).prop_map(move |(order, ordered)| match kind {
                "FULL JOIN" => (sql.clone(), false),
                _ => (format!("{sql}{order}"), ordered),
            })
        })
        .boxed()
}

/// Subqueries: in conditions, in the list, in `FROM`, named by `WITH`.
fn nested(outer: &'static Table, inner: &'static Table) -> Sql {
    let (free, tied) = (Expressions::over(&scope(inner, "r"), 1), both(outer, inner));
    let own = Expressions::over(&scope(outer, "l"), 1);
    let (o, i) = (outer.name, inner.name);
    let forms: Vec<BoxedStrategy<String>> = vec![
        (own.any(), own.of(Kind::Int), free.fill("SELECT {int}"), free.of(Kind::Flag))
            .prop_map(move |(item, left, list, filter)| {
                format!("SELECT {item} FROM {o} l WHERE {left} IN ({list} FROM {i} r WHERE {filter})")
            })
            .boxed(),
        (own.any(), own.of(Kind::Text), free.fill("SELECT {text}"))
            .prop_map(move |(item, left, list)| {
                format!("SELECT {item} FROM {o} l WHERE {left} NOT IN ({list} FROM {i} r)")
            })
            .boxed(),
        (own.any(), any::<bool>(), tied.of(Kind::Flag))
            .prop_map(move |(item, not, filter)| {
                let not = if not { "NOT " } else { "" };
                format!("SELECT {item} FROM {o} l WHERE {not}EXISTS (SELECT 1 FROM {i} r WHERE {filter})")
            })
            .boxed(),
        (own.any(), tied.of(Kind::Flag), free.fill("max({num})"))
            .prop_map(move |(item, filter, aggregate)| {
                format!("SELECT {item}, (SELECT {aggregate} FROM {i} r WHERE {filter}) FROM {o} l")
            })
            .boxed(),
        (free.any(), free.of(Kind::Int), free.of(Kind::Flag))
            .prop_map(move |(item, number, filter)| {
                format!(
                    "SELECT q.x, count(*), sum(q.y) FROM (SELECT {item} AS x, {number} AS y FROM {i} r WHERE {filter}) q GROUP BY q.x"
                )
            })
            .boxed(),
        (free.any(), own.of(Kind::Int), free.of(Kind::Int))
            .prop_map(move |(item, left, right)| {
                format!(
                    "WITH q AS (SELECT {item} AS x, {right} AS y FROM {i} r) SELECT l.*, q.x FROM {o} l JOIN q ON {left} = q.y"
                )
            })
            .boxed(),
        (free.of(Kind::Int), own.of(Kind::Int))
            .prop_map(move |(right, left)| {
                format!("SELECT {left} > ALL (SELECT {right} FROM {i} r), {left} = ANY (SELECT {right} FROM {i} r) FROM {o} l")
            })
            .boxed(),
    ];
    Union::new(forms).prop_map(|sql| (sql, false)).boxed()
}

fn combined(left: &'static Table, right: &'static Table) -> Sql {
    let (one, two) = (over(left), over(right));
    let operators = select(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"][..]);
    Union::new([Kind::Int, Kind::Text, Kind::Number].map(|kind| {
        (one.of(kind), operators.clone(), two.of(kind), two.of(Kind::Flag))
            .prop_flat_map(move |(item, operator, other, filter)| {
                let sql = format!(
                    "SELECT {item} FROM {} {operator} SELECT {other} FROM {} WHERE {filter}",
                    left.name, right.name
                );
                order(1).prop_map(move |(order, ordered)| (format!("{sql}{order}"), ordered))
            })
            .boxed()
    }))
    .boxed()
}

/// Writes that read another table. Each row is written at most once, or the outcome would be nobody's promise.
fn write_from(target: &'static Table, source: &'static Table) -> Sql {
    let read = Expressions::over(&scope(source, "r"), 1);
    let (o, i) = (target.name, source.name);
    let Column(column, kind, _) = &target.columns[target.columns.len() - 1];
    let tied = both(target, source);
    let update = (tied.of(*kind), tied.of(Kind::Flag)).prop_map(move |(value, filter)| {
        format!("UPDATE {o} l SET {column} = (SELECT max({value}::text) FROM {i} r WHERE {filter})")
    });
    let delete = tied.of(Kind::Flag).prop_map(move |filter| {
        format!("DELETE FROM {o} l USING {i} r WHERE {filter} AND l.{column} IS NULL")
    });
    let insert = (read.of(target.columns[0].1), read.of(Kind::Flag)).prop_map(move |(value, filter)| {
        let Column(key, ..) = &target.columns[0];
        format!("INSERT INTO {o} ({key}) SELECT {value} FROM {i} r WHERE {filter} ON CONFLICT DO NOTHING")
    });
    Union::new(vec![update.boxed(), delete.boxed(), insert.boxed()]).prop_map(|sql| (sql, false)).boxed()
}

/// A statement in which one word is missing or has become another.
fn wrong(table: &'static Table) -> Sql {
    let sound = Union::new(vec![query(table), update(table), insert(table)]);
    (sound, any::<Index>(), any::<bool>())
        .prop_map(|((sql, _), at, drop)| {
            let mut words: Vec<&str> = sql.split(' ').collect();
            let at = at.index(words.len());
            if drop {
                words.remove(at);
            } else {
                words[at] = "nosuch";
            }
            (words.join(" "), false)
        })
        .boxed()
}

/// Statements with parameters, whose types the server infers.
fn with_params() -> BoxedStrategy<Statement> {
    let kinds = Union::new(TABLES.iter().flat_map(|table| [keyed(table), stored(table)]));
    let modes = select(&[Mode::Text, Mode::Binary][..]);
    (kinds, modes).prop_map(|((sql, params), mode)| Statement { sql, params, mode, ordered: false }).boxed()
}

/// The text form of a value, as a parameter has it.
fn param(kind: Kind) -> BoxedStrategy<Option<String>> {
    let fitting = select(literals(kind)).prop_map(|text| Some(text.trim_matches('\'').to_owned()));
    Union::new_weighted(vec![
        (9, fitting.boxed()),
        (1, Just(None).boxed()),
        (1, Just(Some("x1".to_owned())).boxed()),
    ])
    .boxed()
}

type WithParams = BoxedStrategy<(String, Vec<Option<String>>)>;

fn keyed(table: &'static Table) -> WithParams {
    let Column(key, kind, _) = &table.columns[0];
    let Column(last, last_kind, _) = &table.columns[table.columns.len() - 1];
    let name = table.name;
    let by_key = param(*kind)
        .prop_map(move |key_value| (format!("SELECT * FROM {name} WHERE {key} = $1"), vec![key_value]));
    let update = (param(*last_kind), param(*kind)).prop_map(move |(value, key_value)| {
        (format!("UPDATE {name} SET {last} = $1 WHERE {key} = $2 RETURNING {last}"), vec![value, key_value])
    });
    Union::new(vec![by_key.boxed(), update.boxed()]).boxed()
}

fn stored(table: &'static Table) -> WithParams {
    let values: Vec<_> = table.columns.iter().map(|column| param(column.1)).collect();
    values
        .prop_map(move |values| {
            let names: Vec<_> = table.columns.iter().map(|column| column.0).collect();
            let places: Vec<_> = (1..=values.len()).map(|number| format!("${number}")).collect();
            let sql = format!(
                "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING",
                table.name,
                names.join(", "),
                places.join(", ")
            );
            (sql, values)
        })
        .boxed()
}
