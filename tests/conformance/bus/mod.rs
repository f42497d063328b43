//! The bus beside Redis: generated sessions of several clients, command by command.

mod clients;
mod grammar;
mod normal;
mod pair;
mod resp;

use std::cell::RefCell;

use grammar::{Grammar, Words};
use normal::NOT_COMPARED;
use pair::{CLIENTS, Pair, Session, Step, Tally, words};
use proptest::{
    collection::vec,
    prelude::*,
    strategy::Union,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

use crate::{
    report,
    servers::{Server, version},
    tolerated::Tolerance,
};

/// Operations to compare, unless `CONFORMANCE_OPS` says otherwise.
const OPERATIONS: u64 = 20_000;
/// Commands in a session, on average.
const SESSION: u64 = 30;

/// What a session is about: the themes of `commands.txt` that meet in it.
const SUBJECTS: &[&[&str]] = &[
    &["strings"],
    &["strings", "keys"],
    &["strings", "transactions"],
    &["strings", "objects", "hashes", "streams"],
    &["hashes"],
    &["hashes", "keys"],
    &["streams"],
    &["streams", "keys"],
    &["streams", "groups"],
    &["groups"],
    &["groups", "waiting"],
    &["groups", "transactions"],
    &["pubsub"],
    &["pubsub", "connection"],
    &["scripts", "strings"],
    &["connection", "server"],
    &[
        "strings",
        "hashes",
        "streams",
        "groups",
        "keys",
        "transactions",
        "scripts",
        "pubsub",
        "connection",
        "server",
    ],
];

/// Commands that generated sessions leave out, and why.
const NOT_GENERATED: &[(&str, &str)] = &[
    ("BGREWRITEAOF", "writes files in its own time"),
    ("BGSAVE", "writes files in its own time"),
    ("COMMAND", "describes what the server has, which is not the same"),
    ("DEBUG", "Redis refuses it by default"),
    ("HRANDFIELD", "answers at random"),
    ("INFO", "describes the server; what clients read of it is part of their sessions"),
    ("LASTSAVE", "a moment"),
    ("RANDOMKEY", "answers at random"),
    ("SAVE", "writes files"),
    ("SHUTDOWN", "ends the server"),
    ("TIME", "a moment"),
];

fn grammar() -> Grammar {
    let path = tests::root().join("tests/conformance/bus/commands.txt");
    Grammar::read(&std::fs::read_to_string(path).expect("the grammar is there"))
}

fn sessions(grammar: &Grammar) -> impl Strategy<Value = Session> + use<> {
    let step = |commands: BoxedStrategy<Words>| {
        let spoilt =
            (commands, prop::option::weighted(0.06, spoiling())).prop_map(|(words, spoil)| match spoil {
                Some((how, at)) => how.spoil(words, at),
                None => words,
            });
        (0..CLIENTS, spoilt).prop_map(|(client, words)| Step { client, words })
    };
    let subjects = SUBJECTS.iter().map(|themes| {
        vec(step(grammar.themes(themes)), 1..=2 * SESSION as usize - 1).prop_map(Session).boxed()
    });
    Union::new(subjects)
}

/// How a command is made wrong.
#[derive(Clone, Debug)]
enum Spoil {
    Drop,
    Repeat,
    Replace(&'static [u8]),
    LowerCase,
}

fn spoiling() -> impl Strategy<Value = (Spoil, prop::sample::Index)> {
    let junk: Vec<&[u8]> =
        vec![b"", b"x", b"-1", b"1.5", b"9223372036854775808", b"NX", b"COUNT", b"\r\n", b" ", b"\xFF\xE9"];
    let junk = prop::sample::select(junk);
    let how = prop_oneof![
        Just(Spoil::Drop),
        Just(Spoil::Repeat),
        junk.prop_map(Spoil::Replace),
        Just(Spoil::LowerCase)
    ];
    (how, any::<prop::sample::Index>())
}

impl Spoil {
    fn spoil(self, mut words: Words, at: prop::sample::Index) -> Words {
        let last = words.len() - 1;
        // The name stays: unknown commands are a theme of their own.
        let at = 1 + at.index(last.max(1));
        match self {
            Self::Drop if last > 0 => drop(words.remove(at)),
            Self::Replace(junk) if last > 0 => words[at] = junk.into(),
            Self::Repeat if last > 0 => words.insert(at, words[at].clone()),
            Self::LowerCase => words[0].make_ascii_lowercase(),
            _ => words.push(b"more".into()),
        }
        words
    }
}

#[test]
fn the_bus_answers_as_redis_does() {
    let wanted = std::env::var("CONFORMANCE_OPS").map(|text| text.parse().expect("a number of operations"));
    let operations = wanted.clone().unwrap_or(OPERATIONS);
    let grammar = grammar();
    let tolerance = Tolerance::of("bus commands");
    let pair =
        RefCell::new(Pair::new(Server::redis(&["--databases", "1"]), Server::ours("bus", &[]), tolerance));
    let config = Config {
        cases: u32::try_from(operations / SESSION).expect("so many sessions"),
        failure_persistence: None,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    // The same sessions on every run.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcome = runner
        .run(&sessions(&grammar), |session| pair.borrow_mut().run(&session).map_err(TestCaseError::fail));
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, _)) => {
            panic!("ours differs from Redis; the shortest session that shows it:\n{reason}")
        }
        Err(abort) => panic!("{abort}"),
    }
    let pair = pair.into_inner();
    if wanted.is_err() {
        pair.tolerance().assert_all_used();
        report(pair, &grammar);
    }
}

/// Commands that Redis has and ours does not know. Each command that it knows must be generated or be named above, and each
/// that is named above must be known.
fn unknown(pair: &mut Pair, grammar: &Grammar) -> Vec<String> {
    let [mut all, _] = pair.ask(&words(&["COMMAND", "LIST"]));
    let names =
        all.elements().iter().filter_map(|name| Some(String::from_utf8_lossy(name.bytes()?).to_uppercase()));
    let mut names: Vec<String> = names.filter(|name| !name.contains('|') && !grammar.knows(name)).collect();
    names.sort();
    let mut left_out = NOT_GENERATED.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    names.retain(|name| {
        // So many arguments that no command does anything.
        let [_, ours] = pair.ask(&words(&[&[name.as_str()][..], &["x"; 40]].concat()));
        let known = !ours.to_string().starts_with("-ERR unknown command");
        if known {
            let index = left_out.iter().position(|known| known == name);
            left_out.remove(index.unwrap_or_else(|| panic!("commands.txt lacks {name}, which ours has")));
        }
        !known
    });
    assert!(left_out.is_empty(), "ours does not have {left_out:?}, which NOT_GENERATED names");
    names
}

fn report(mut pair: Pair, grammar: &Grammar) {
    let unknown = unknown(&mut pair, grammar);
    let Tally { commands, operations, refused, sessions } = &pair.tally;
    let mut text = format!(
        "## The bus beside Redis {}\n\n\
         {operations} operations of {} commands in {sessions} sessions of {CLIENTS} interleaved clients were compared, {refused} of \
         which both servers refused with the same words.\n\n",
        version("redis-server"),
        commands.len(),
    );
    let rows = commands.iter().map(|(name, count)| [format!("`{name}`"), count.to_string()]);
    text += &report::table(["command", "operations"], rows);
    text += "\nNot compared, because it cannot be the same:\n\n";
    NOT_COMPARED.iter().for_each(|what| text += &format!("- {what}\n"));
    text += "\nNot generated:\n\n";
    NOT_GENERATED.iter().for_each(|(name, why)| text += &format!("- `{name}`: {why}\n"));
    text += &format!("\nTolerated:\n\n{}", pair.tolerance().table());
    text += &format!(
        "\nThe bus does not have, and says so as Redis would of a command that it does not know: {}.\n",
        unknown.join(", ")
    );
    report::check("bus commands", &text);
}
