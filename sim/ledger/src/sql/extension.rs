//! What PostgreSQL's grammar has and the parser's lacks.
//!
//! Such words are rewritten, token by token, into a form that the parser reads, with a name that no text can contain: its
//! quotation mark is NUL. The binder recognises the name by [`marked`].
//!
//! - `CHECKPOINT` becomes `RESET «checkpoint»`;
//! - `FOR NO KEY UPDATE` becomes `FOR UPDATE OF «no key»`, `FOR KEY SHARE` becomes `FOR SHARE OF «key»`.

use sqlparser::{
    ast::{Ident, ObjectName, ObjectNamePart},
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan, Word},
};

const MARK: char = '\0';

/// The marked name that `name` begins with.
pub(super) fn marked(name: &ObjectName) -> Option<&str> {
    match name.0.first() {
        Some(ObjectNamePart::Identifier(Ident { value, quote_style: Some(MARK), .. })) => Some(value),
        _ => None,
    }
}

/// Rewrites the tokens of a text.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let lacking = |token: &TokenWithSpan| is(token, "checkpoint") || is(token, "key");
    if !tokens.iter().any(lacking) {
        return tokens;
    }
    let solid: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(solid.len() + 4);
    let mut rest = solid.as_slice();
    while let Some((token, after)) = rest.split_first() {
        let begins = out.last().is_none_or(|last| last.token == Token::SemiColon);
        let words = |words: &[&str]| {
            rest.len() >= words.len() && rest.iter().zip(words).all(|(token, word)| is(token, word))
        };
        if begins && words(&["checkpoint"]) {
            out.extend([word("RESET", None, token), word("checkpoint", Some(MARK), token)]);
            rest = after;
        } else if words(&["for", "no", "key", "update"]) {
            lock("UPDATE", "no key", token, &mut out);
            rest = of(&rest[4..], &mut out);
        } else if words(&["for", "key", "share"]) {
            lock("SHARE", "key", token, &mut out);
            rest = of(&rest[3..], &mut out);
        } else {
            out.push(token.clone());
            rest = after;
        }
    }
    out
}

/// The words of a lock, whose place is that of `at`.
fn lock(strength: &str, name: &str, at: &TokenWithSpan, out: &mut Vec<TokenWithSpan>) {
    out.extend([word("FOR", None, at), word(strength, None, at), word("OF", None, at)]);
    out.push(word(name, Some(MARK), at));
}

/// Lets the name after an `OF` follow the marked one.
fn of<'a>(rest: &'a [TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> &'a [TokenWithSpan] {
    match rest.split_first() {
        Some((token, after)) if is(token, "of") => {
            out.push(TokenWithSpan::new(Token::Period, token.span));
            after
        }
        _ => rest,
    }
}

fn is(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(it) if it.quote_style.is_none() && it.value.eq_ignore_ascii_case(word))
}

fn word(value: &str, quote_style: Option<char>, at: &TokenWithSpan) -> TokenWithSpan {
    let keyword = match value {
        "FOR" => Keyword::FOR,
        "OF" => Keyword::OF,
        "RESET" => Keyword::RESET,
        "SHARE" => Keyword::SHARE,
        "UPDATE" => Keyword::UPDATE,
        _ => Keyword::NoKeyword,
    };
    TokenWithSpan::new(Token::Word(Word { value: value.to_owned(), quote_style, keyword }), at.span)
}
