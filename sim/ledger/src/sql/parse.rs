//! SQL text to syntax trees, bounded.
//!
//! The grammar is `sqlparser`'s; what it lets through beyond PostgreSQL is refused when the statement is bound.

use sqlparser::{
    dialect::PostgreSqlDialect,
    parser::Parser,
    tokenizer::{Token, TokenWithSpan, Tokenizer},
};

pub(crate) use sqlparser::ast::{Expr, Statement};

use super::extension;
use crate::error::{Result, SqlError, state};

/// Operators in one text. A chain of binary operators becomes a tree as deep as it is long, and walking or dropping a tree
/// takes stack; PostgreSQL's limit (`max_stack_depth`) is in bytes and lies higher.
const MAX_OPERATORS: usize = 2_000;

/// Parses every statement of `sql`.
pub(crate) fn parse(sql: &str) -> Result<Vec<Statement>> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| SqlError::syntax(error.to_string()))?;
    if operators(&tokens) > MAX_OPERATORS {
        return Err(SqlError::new(state::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
    }
    Parser::new(&PostgreSqlDialect {})
        .with_tokens_with_locations(extension::rewrite(tokens))
        .parse_statements()
        .map_err(|error| SqlError::syntax(reworded(&error.to_string())))
}

/// Parses an expression alone.
pub(super) fn expression(sql: &str) -> Result<Expr> {
    Parser::new(&PostgreSqlDialect {})
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|error| SqlError::syntax(reworded(&error.to_string())))
}

/// The parser's "Expected: …, found: X at Line: 1, Column: 1" in PostgreSQL's words.
fn reworded(message: &str) -> String {
    let found =
        message.rsplit_once("found: ").map(|(_, found)| found.split(" at Line: ").next().unwrap_or(found));
    match found {
        Some("EOF") => "syntax error at end of input".to_owned(),
        Some(token) => format!("syntax error at or near \"{token}\""),
        None => message.to_owned(),
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
    fn a_long_list_of_rows_is_not_complex() {
        let sql = format!("INSERT INTO t VALUES (0, -1){}", ", (1, -2)".repeat(20_000));
        assert_eq!(parse(&sql).unwrap().len(), 1);
    }
}
