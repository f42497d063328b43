//! Reads `commands.txt`, a grammar of commands as the Redis documentation writes them, into strategies that generate them.
//!
//! `[theme]` begins a group of commands. A line `name = …` defines `<name>`; any other line is a command, with a weight
//! before it if it should come more often. `[a]` may be missing, `(a | b)` is one of them, `{a}` comes one to three times,
//! `"…"` is a word with spaces, brackets or nothing in it and knows Rust's escapes of bytes. `#` begins a comment.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*, strategy::Union};

/// The words of a command.
pub type Words = Vec<Vec<u8>>;

/// The commands by theme, as strategies.
pub struct Grammar {
    themes: BTreeMap<String, Vec<(u32, BoxedStrategy<Words>)>>,
    /// The names of all commands.
    commands: BTreeSet<String>,
}

impl Grammar {
    /// # Panics
    /// When the text is not as the header says, with the line.
    pub fn read(text: &str) -> Self {
        let mut names = BTreeMap::new();
        let mut grammar = Self { themes: BTreeMap::new(), commands: BTreeSet::new() };
        let mut theme = String::new();
        for line in text.lines() {
            let mut tokens = tokens(line).into_iter().peekable();
            match tokens.peek() {
                None => continue,
                Some(Token::Mark('[')) => {
                    theme = line.trim_matches(['[', ']']).to_owned();
                    continue;
                }
                Some(_) => {}
            }
            let mut rest: Vec<Token> = tokens.collect();
            if let [Token::Word(name), Token::Word(equals), ..] = &rest[..]
                && equals == b"="
            {
                let name = String::from_utf8(name.clone()).expect(line);
                let strategy = Parser { line, tokens: &rest[2..], names: &names }.whole();
                names.insert(name, strategy);
                continue;
            }
            let weight = match &rest[0] {
                Token::Word(word) => std::str::from_utf8(word).ok().and_then(|word| word.parse().ok()),
                _ => None,
            };
            if weight.is_some() {
                rest.remove(0);
            }
            if let [Token::Word(name), ..] = &rest[..] {
                grammar.commands.insert(String::from_utf8_lossy(name).into_owned());
            }
            let strategy = Parser { line, tokens: &rest, names: &names }.whole();
            grammar.themes.entry(theme.clone()).or_default().push((weight.unwrap_or(1), strategy));
        }
        grammar
    }

    /// Whether a command, in upper case, may be generated.
    pub fn knows(&self, command: &str) -> bool {
        self.commands.contains(command)
    }

    /// Commands of these themes.
    pub fn themes(&self, themes: &[&str]) -> BoxedStrategy<Words> {
        let commands = themes.iter().flat_map(|theme| {
            self.themes.get(*theme).unwrap_or_else(|| panic!("commands.txt has no theme [{theme}]")).clone()
        });
        Union::new_weighted(commands.collect()).boxed()
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(Vec<u8>),
    Name(String),
    Mark(char),
}

fn tokens(line: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '#' => break,
            '[' | ']' | '(' | ')' | '{' | '}' | '|' => (Token::Mark(first), 1),
            '"' => {
                let end = rest[1..].find('"').expect(line) + 1;
                (Token::Word(unescaped(&rest[1..end])), end + 1)
            }
            '<' => {
                let end = rest.find('>').expect(line);
                (Token::Name(rest[1..end].to_owned()), end + 1)
            }
            _ => {
                let end = rest.find([' ', ']', ')', '}']).unwrap_or(rest.len());
                (Token::Word(rest[..end].into()), end)
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b'0') => 0,
                Some(b'q') => b'"',
                Some(b'x') => {
                    let digits = [rest.next(), rest.next()].map(|digit| digit.expect("two digits") as char);
                    u8::from_str_radix(&String::from_iter(digits), 16).expect("hexadecimal digits")
                }
                other => other.expect("something to escape"),
            },
            other => other,
        });
    }
    bytes
}

struct Parser<'a> {
    line: &'a str,
    tokens: &'a [Token],
    names: &'a BTreeMap<String, BoxedStrategy<Words>>,
}

impl Parser<'_> {
    fn whole(mut self) -> BoxedStrategy<Words> {
        let strategy = self.choice();
        assert!(self.tokens.is_empty(), "{}: a bracket too many", self.line);
        strategy
    }

    fn choice(&mut self) -> BoxedStrategy<Words> {
        let mut choices = vec![self.sequence()];
        while let [Token::Mark('|'), rest @ ..] = self.tokens {
            self.tokens = rest;
            choices.push(self.sequence());
        }
        if choices.len() == 1 { choices.remove(0) } else { Union::new(choices).boxed() }
    }

    fn sequence(&mut self) -> BoxedStrategy<Words> {
        let mut parts = Vec::new();
        while let [first, rest @ ..] = self.tokens {
            if matches!(first, Token::Mark('|' | ']' | ')' | '}')) {
                break;
            }
            self.tokens = rest;
            parts.push(match first {
                Token::Word(word) => Just(vec![word.clone()]).boxed(),
                Token::Name(name) => {
                    let found = self.names.get(name);
                    found.unwrap_or_else(|| panic!("{}: <{name}> is not defined above", self.line)).clone()
                }
                Token::Mark(open) => self.group(*open),
            });
        }
        if parts.len() == 1 { parts.remove(0) } else { parts.prop_map(|parts| parts.concat()).boxed() }
    }

    fn group(&mut self, open: char) -> BoxedStrategy<Words> {
        let inner = self.choice();
        let close = match open {
            '[' => ']',
            '{' => '}',
            _ => ')',
        };
        match self.tokens {
            [Token::Mark(found), rest @ ..] if *found == close => self.tokens = rest,
            _ => panic!("{}: {close:?} is missing", self.line),
        }
        match open {
            '[' => prop::option::of(inner).prop_map(Option::unwrap_or_default).boxed(),
            '{' => vec(inner, 1..=3).prop_map(|parts| parts.concat()).boxed(),
            _ => inner,
        }
    }
}
