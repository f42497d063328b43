//! SQL text to syntax trees, bounded.
//!
//! The grammar is `sqlparser`'s; what it lets through beyond PostgreSQL is refused when the statement is bound.

use sqlparser::{
    dialect::PostgreSqlDialect,
    parser::{Parser, ParserError},
    tokenizer::{Token, TokenWithSpan},
};

pub(crate) use sqlparser::ast::{Expr, Statement};

use super::{extension, grammar, token::Text};
use crate::error::{Result, SqlError, state};

/// Operators in one text. A chain of binary operators becomes a tree as deep as it is long, and walking or dropping a tree
/// takes stack; PostgreSQL's limit (`max_stack_depth`) is in bytes and lies higher.
const MAX_OPERATORS: usize = 2_000;

/// Parses every statement of `sql`. The column of every place in the trees is the number of the character in `sql`.
pub(crate) fn parse(sql: &str) -> Result<Vec<Statement>> {
    let (text, unfinished) = Text::new(sql);
    if operators(text.tokens()) > MAX_OPERATORS {
        return Err(SqlError::new(state::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
    }
    let result = statements(&text);
    match unfinished {
        None => result,
        // PostgreSQL reads token by token: what is wrong before the unfinished one is reported first.
        Some(unfinished) => Err(match result {
            Err(error) if !text.is_end(&error) => error,
            _ => text.complain_of(&unfinished),
        }),
    }
}

/// Parses an expression alone.
pub(super) fn expression(sql: &str) -> Result<Expr> {
    let (text, _) = Text::new(sql);
    Parser::new(&PostgreSqlDialect {})
        .with_tokens_with_locations(text.tokens().to_vec())
        .parse_expr()
        .map_err(|error| complaint(&error, &text))
}

fn statements(text: &Text<'_>) -> Result<Vec<Statement>> {
    if let Some(error) = grammar::check(text) {
        return Err(error);
    }
    let error = match trees(text.tokens().to_vec()) {
        Ok(statements) => return Ok(statements),
        Err(error) => error,
    };
    // PostgreSQL's grammar takes any name for a type, and complains of it when nothing else is wrong.
    match place(&error).and_then(|place| grammar::without_type(text, place)) {
        Some((name, tokens)) => Err(match trees(tokens) {
            Ok(_) => name,
            Err(error) => complaint(&error, text),
        }),
        None => Err(complaint(&error, text)),
    }
}

fn trees(tokens: Vec<TokenWithSpan>) -> std::result::Result<Vec<Statement>, ParserError> {
    let tokens = extension::rewrite(tokens);
    Parser::new(&PostgreSqlDialect {}).with_tokens_with_locations(tokens).parse_statements()
}

/// The column at the end of the parser's "Expected: …, found: X at Line: 1, Column: 7".
fn place(error: &ParserError) -> Option<u64> {
    let message = error.to_string();
    message.rsplit_once(", Column: ").and_then(|(_, column)| column.parse().ok())
}

/// The parser's complaint in PostgreSQL's words.
fn complaint(error: &ParserError, text: &Text<'_>) -> Box<SqlError> {
    if matches!(error, ParserError::RecursionLimitExceeded) {
        return SqlError::new(state::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    }
    let message = error.to_string();
    match place(error) {
        _ if message.contains("found: EOF") => text.end(),
        Some(place) => text.near(place),
        None => SqlError::syntax(message),
    }
}

/// Tokens that can lengthen a chain: everything but names, literals, separators, and signs after a separator.
fn operators(tokens: &[TokenWithSpan]) -> usize {
    let mut count = 0;
    let mut after_separator = true;
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::Comma | Token::LParen | Token::SemiColon => after_separator = true,
            Token::Minus | Token::Plus if after_separator => after_separator = false,
            Token::Word(word) => {
                use sqlparser::keywords::Keyword;
                count += usize::from(matches!(
                    word.keyword,
                    Keyword::AND
                        | Keyword::OR
                        | Keyword::NOT
                        | Keyword::IS
                        | Keyword::IN
                        | Keyword::LIKE
                        | Keyword::ILIKE
                        | Keyword::BETWEEN
                        | Keyword::UNION
                        | Keyword::EXCEPT
                        | Keyword::INTERSECT
                        | Keyword::JOIN
                        | Keyword::COLLATE
                        | Keyword::AT
                        | Keyword::CASE
                ));
                after_separator = false;
            }
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_)
            | Token::RParen
            | Token::EOF => {
                after_separator = false;
            }
            _ => {
                count += 1;
                after_separator = false;
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_statements_in_one_text_are_all_parsed() {
        assert_eq!(parse("BEGIN; SELECT 1; COMMIT;").unwrap().len(), 3);
        assert_eq!(parse(" ; ").unwrap().len(), 0);
        let error = parse("SELEC 1").unwrap_err();
        assert_eq!(
            (error.state, error.message.as_str()),
            (state::SYNTAX_ERROR, "syntax error at or near \"SELEC\"")
        );
        assert_eq!(parse("INSERT INTO").unwrap_err().message, "syntax error at end of input");
        assert_eq!(parse("SELECT 'open").unwrap_err().state, state::SYNTAX_ERROR);
    }

    #[test]
    fn text_that_would_exhaust_the_stack_is_refused() {
        for (piece, end) in [
            ("1+", "1"),
            ("NOT ", "true"),
            ("1 OR ", "1"),
            ("(", "1"),
            ("- ", "1"),
            ("x::int", ""),
            ("a.", "b"),
        ] {
            let sql = format!("SELECT {}{end}", piece.repeat(100_000));
            assert!(parse(&sql).is_err(), "{piece}");
        }
    }

    #[test]
    fn words_that_mean_something_elsewhere_are_not_refused() {
        for sql in [
            "SET default_transaction_read_only = on",
            "SELECT DISTINCT ON (a) * FROM t",
            "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1 WHERE excluded.* IS NULL",
            "SELECT a FROM t ORDER BY a USING >, b USING <",
            "SELECT * FROM f('') AS x(a _int4, b mine)",
            "SELECT 1 AS limit, 2 AS where, 3 AS order",
            "SELECT by, t.limit FROM t",
            "SELECT a * b, count(*) c, t.* FROM t WHERE a IS DISTINCT FROM null",
            "SELECT 1 FROM t WHERE a OPERATOR(pg_catalog.=) b",
            "CREATE TABLE u (a INT, LIKE t)",
            "CREATE INDEX ON t (a) WITH (fastupdate = on)",
            "GRANT SELECT ON t TO GROUP g",
        ] {
            assert!(parse(sql).is_ok(), "{sql}: {:?}", parse(sql));
        }
    }

    #[test]
    fn what_lacks_an_operand_is_refused_where_it_lacks() {
        let refused = |sql: &str| parse(sql).unwrap_err().message;
        for (sql, word) in [
            ("SELECT a FROM WHERE b", "WHERE"),
            ("SELECT a, FROM t", "FROM"),
            ("SELECT a FROM t WHERE", ""),
            ("SELECT a FROM t WHERE a = AND b", "AND"),
            ("SELECT a FROM t ORDER a", "a"),
            ("INSERT t VALUES (1)", "t"),
            ("SELECT f(a b) FROM t", "b"),
            ("SELECT * t WHERE b", "t"),
            ("SELECT a FROM u false", "false"),
            ("SELECT a b 'x' FROM t", "'x'"),
            ("SELECT trim(leading from '  a')", "'  a'"),
        ] {
            let near = format!("at or near \"{word}\"");
            let expected = if word.is_empty() { "at end of input" } else { &near };
            assert_eq!(refused(sql), format!("syntax error {expected}"), "{sql}");
        }
        assert_eq!(refused("SELECT nosuch 'x' FROM"), "syntax error at end of input");
    }

    #[test]
    fn a_long_list_of_rows_is_not_complex() {
        let sql = format!("INSERT INTO t VALUES (0, -1){}", ", (1, -2)".repeat(20_000));
        assert_eq!(parse(&sql).unwrap().len(), 1);
    }
}
