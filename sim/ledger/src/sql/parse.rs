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
    Parser::new(&PostgreSqlDialect {})
        .with_tokens_with_locations(extension::rewrite(text.tokens().to_vec()))
        .parse_statements()
        .map_err(|error| complaint(&error, text))
}

/// The parser's "Expected: …, found: X at Line: 1, Column: 7" in PostgreSQL's words.
fn complaint(error: &ParserError, text: &Text<'_>) -> Box<SqlError> {
    let message = error.to_string();
    if matches!(error, ParserError::RecursionLimitExceeded) {
        return SqlError::new(state::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    }
    let place = message.rsplit_once(", Column: ").and_then(|(_, column)| column.parse().ok());
    match place {
        _ if message.contains("found: EOF") => text.end(),
        Some(place) => grammar::near(text, place),
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
    fn a_long_list_of_rows_is_not_complex() {
        let sql = format!("INSERT INTO t VALUES (0, -1){}", ", (1, -2)".repeat(20_000));
        assert_eq!(parse(&sql).unwrap().len(), 1);
    }
}
