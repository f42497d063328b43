//! Every command by name, and the door through which each is executed.
//!
//! A family of commands is a file with a table; adding one means a line in [`FAMILIES`].

mod admin;
mod client;
mod connection;
mod describe;
mod expiry;
mod gate;
mod hashes;
mod info;
mod key_scans;
mod keys;
mod numbers;
mod options;
mod pubsub;
mod scripts;
mod set;
mod settings;
mod stream_claims;
mod stream_group_reads;
mod stream_groups;
mod stream_ids;
mod stream_info;
mod stream_reads;
mod streams;
mod strings;
mod transactions;

pub(crate) use transactions::Transaction;

use std::{cmp::Ordering, sync::LazyLock, time::Duration};

use env::WallTime;

use crate::{
    blocking::{Blocked, Pending},
    connection::Session,
    db::{Key, WallMs},
    error::{CommandError, quoted},
    resp::{Args, Reply},
    server::{Shared, State},
};

/// Alphabetical by file.
const FAMILIES: &[&[Command]] = &[
    admin::COMMANDS,
    client::COMMANDS,
    connection::COMMANDS,
    describe::COMMANDS,
    expiry::COMMANDS,
    hashes::COMMANDS,
    info::COMMANDS,
    key_scans::COMMANDS,
    keys::COMMANDS,
    numbers::COMMANDS,
    pubsub::COMMANDS,
    scripts::COMMANDS,
    set::COMMANDS,
    settings::COMMANDS,
    stream_claims::COMMANDS,
    stream_group_reads::COMMANDS,
    stream_groups::COMMANDS,
    stream_info::COMMANDS,
    stream_reads::COMMANDS,
    streams::COMMANDS,
    strings::COMMANDS,
    transactions::COMMANDS,
];

static COMMANDS: LazyLock<Vec<Command>> = LazyLock::new(|| {
    let mut commands: Vec<Command> = FAMILIES.iter().copied().flatten().copied().collect();
    commands.sort_unstable_by_key(|command| command.name);
    commands
});

/// Quoted arguments in errors and traces end here.
const QUOTED_MAX: usize = 128;

/// One request while it is executed.
pub(crate) struct Call<'a> {
    pub(crate) args: Args<'a>,
    /// One moment for all of the command, as in Redis (`commandTimeSnapshot`).
    pub(crate) now: WallTime,
    pub(crate) shared: &'a Shared,
    pub(crate) state: &'a mut State,
    pub(crate) session: &'a mut Session,
    pub(crate) reply: Reply<'a>,
    pub(crate) origin: Origin,
    /// Set instead of writing a reply: the command waits.
    pub(crate) blocked: Option<Blocked>,
}

/// Who asks for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client, which may wait for the answer.
    Client,
    /// EXEC.
    Transaction,
    /// A script.
    Script,
}

impl Call<'_> {
    fn now_ms(&self) -> WallMs {
        self.now.as_millis()
    }

    /// Lets the client wait; a command that may not wait is answered as if its time were up.
    fn wait(&mut self, keys: Vec<Key>, pending: Box<dyn Pending>, timeout: Option<Duration>) {
        match self.origin {
            Origin::Client => self.blocked = Some(Blocked { keys, pending, timeout }),
            Origin::Transaction | Origin::Script => self.reply.null_array(),
        }
    }
}

/// Writes one reply, or sets [`Call::blocked`]. On an error what it wrote is taken back; it must not have changed anything.
type Handler = fn(&mut Call<'_>) -> Result<(), CommandError>;

/// An entry of the table.
#[derive(Clone, Copy)]
struct Command {
    /// In lower case.
    name: &'static str,
    arity: Arity,
    flags: &'static [Flag],
    keys: Keys,
    /// Of a container command, alphabetically; its handler is [`dispatch_subcommand`] with them.
    subcommands: &'static [Command],
    run: Handler,
}

/// What is true of a command, as COMMAND tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    /// It may wait.
    Blocking,
    /// It may need more memory.
    DenyOom,
    /// It takes constant or logarithmic time.
    Fast,
    /// Its keys are found only by looking at its other arguments.
    MovableKeys,
    /// Scripts may not call it.
    NoScript,
    /// It only reads.
    ReadOnly,
    /// It changes data.
    Write,
}

/// Where a command's keys are: the index of the first and the last, which counts from the end when negative, and from
/// one to the next. All zero without keys.
#[derive(Clone, Copy, Default)]
struct Keys {
    first: i8,
    last: i8,
    step: i8,
}

const NO_KEYS: Keys = Keys { first: 0, last: 0, step: 0 };

/// How many arguments a command takes, its name included; for a subcommand both names.
#[derive(Clone, Copy)]
enum Arity {
    Exactly(usize),
    AtLeast(usize),
}

const fn exactly(name: &'static str, count: usize, run: Handler) -> Command {
    Command { name, arity: Arity::Exactly(count), flags: &[], keys: NO_KEYS, subcommands: &[], run }
}

/// A subcommand or variation that a command's syntax does not know.
fn subcommand_syntax(call: &Call<'_>, container: &'static str) -> CommandError {
    CommandError::SubcommandSyntax { name: quoted_name(&call.args[1]), container }
}

const fn at_least(name: &'static str, count: usize, run: Handler) -> Command {
    Command { name, arity: Arity::AtLeast(count), flags: &[], keys: NO_KEYS, subcommands: &[], run }
}

impl Command {
    const fn flags(self, flags: &'static [Flag]) -> Self {
        Self { flags, ..self }
    }

    const fn keys(self, first: i8, last: i8, step: i8) -> Self {
        Self { keys: Keys { first, last, step }, ..self }
    }

    const fn containing(self, subcommands: &'static [Command]) -> Self {
        Self { subcommands, ..self }
    }

    fn is(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }

    /// The keys among a request's arguments, as far as their places are fixed.
    fn keys_in<'a>(&self, args: &Args<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let Keys { first, last, step } = self.keys;
        let first = usize::try_from(first).unwrap_or(0);
        let end = match usize::try_from(last) {
            Ok(last) => last + 1,
            Err(_) => (args.len() + 1).saturating_sub(usize::from(last.unsigned_abs())),
        };
        let count = if first == 0 { 0 } else { end.min(args.len()).saturating_sub(first) };
        let step = usize::try_from(step).unwrap_or(1).max(1);
        args.from(first.min(args.len())).take(count).step_by(step)
    }

    fn admits(&self, count: usize) -> bool {
        match self.arity {
            Arity::Exactly(exact) => count == exact,
            Arity::AtLeast(least) => count >= least,
        }
    }
}

/// Whether a request may change data.
pub(crate) fn writes(args: &Args<'_>) -> bool {
    find(&COMMANDS, &args[0]).is_some_and(|command| command.is(Flag::Write))
}

/// Executes a request of the append-only file and returns its answer.
pub(crate) fn repeat(shared: &Shared, state: &mut State, session: &mut Session, args: Args<'_>) -> Vec<u8> {
    let mut answer = Vec::new();
    let reply = Reply::new(&mut answer, session.protocol);
    let (now, origin) = (shared.env.clock.now(), Origin::Client);
    execute(&mut Call { args, now, shared, state, session, reply, origin, blocked: None });
    answer
}

/// Executes a request, or keeps it for EXEC, and serves whoever waited for what it did.
pub(crate) fn execute(call: &mut Call<'_>) {
    let now = call.now_ms();
    let start = call.reply.mark();
    call.state.db.expire(now);
    answer(call, |call| match admit(&call.args).and_then(|command| gate::admit(call, command)) {
        Ok(command) if transactions::keeps(call, command) => {
            transactions::keep(call);
            Ok(())
        }
        Ok(command) => run(call, command),
        Err(refusal) => Err(transactions::refuse(call, refusal)),
    });
    if call.session.replies.withhold() {
        call.reply.rewind(start);
    }
    let State { db, waiters, .. } = &mut *call.state;
    db.effects.commit();
    waiters.serve(db, now);
}

/// Lets `attempt` write the reply, or writes why it was refused.
fn answer<'a>(call: &mut Call<'a>, attempt: impl FnOnce(&mut Call<'a>) -> Result<(), CommandError>) {
    let start = call.reply.mark();
    if let Err(error) = attempt(call) {
        call.reply.rewind(start);
        call.reply.error(&error);
        call.state.statistics.errors += 1;
    }
}

/// The command that a request names, if it has as many arguments as that takes. A container command must also have the
/// subcommand that is named: a transaction is broken as soon as it does not.
fn admit(args: &Args<'_>) -> Result<&'static Command, CommandError> {
    let command = find(&COMMANDS, &args[0]).ok_or_else(|| unknown_command(args))?;
    if !command.admits(args.len()) {
        return Err(arity(command.name));
    }
    if !command.subcommands.is_empty() && args.len() > 1 {
        subcommand(args, command.name, command.subcommands)?;
    }
    Ok(command)
}

/// Runs a command and sees to it that its effect is recorded.
fn run(call: &mut Call<'_>, command: &Command) -> Result<(), CommandError> {
    gate::may_write(call, command)?;
    call.state.statistics.commands += 1;
    call.session.last_command = (command.name, None);
    let before = (call.state.db.changes(), call.state.db.effects.unit_len());
    let outcome = (command.run)(call);
    let db = &mut call.state.db;
    if db.changes() != before.0 && db.effects.unit_len() == before.1 {
        db.effects.repeat(call.args);
    }
    outcome
}

/// Executes a container command: `table` holds its subcommands, alphabetically.
fn dispatch_subcommand(
    call: &mut Call<'_>,
    container: &'static str,
    table: &[Command],
) -> Result<(), CommandError> {
    let command = subcommand(&call.args, container, table)?;
    call.session.last_command = (container, Some(command.name));
    (command.run)(call)
}

fn subcommand<'t>(
    args: &Args<'_>,
    container: &str,
    table: &'t [Command],
) -> Result<&'t Command, CommandError> {
    let command = find(table, &args[1]).ok_or_else(|| CommandError::UnknownSubcommand {
        name: quoted_name(&args[1]),
        container: container.to_ascii_uppercase(),
    })?;
    if command.admits(args.len()) {
        Ok(command)
    } else {
        Err(CommandError::Arity(format!("{container}|{}", command.name)))
    }
}

fn find<'t>(table: &'t [Command], name: &[u8]) -> Option<&'t Command> {
    table.binary_search_by(|command| compare(command.name, name)).ok().map(|index| &table[index])
}

/// Compares a name in lower case with one in any case.
fn compare(lower: &str, any: &[u8]) -> Ordering {
    lower.bytes().cmp(any.iter().map(u8::to_ascii_lowercase))
}

fn arity(name: &str) -> CommandError {
    CommandError::Arity(name.to_owned())
}

fn unknown_command(args: &Args<'_>) -> CommandError {
    let mut arguments = Vec::new();
    for argument in args.from(1) {
        if arguments.len() >= QUOTED_MAX {
            break;
        }
        let shown = until_zero(&argument[..argument.len().min(QUOTED_MAX - arguments.len())]);
        arguments.extend([b"'", shown, b"' "].concat());
    }
    let arguments = quoted(&arguments);
    CommandError::UnknownCommand { name: quoted_name(&args[0]), arguments }
}

/// What an error shows of a name: as Redis prints it, a C string.
fn quoted_name(name: &[u8]) -> String {
    quoted(until_zero(&name[..name.len().min(QUOTED_MAX)]))
}

/// Bytes as a C string: up to the first zero.
fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_alphabetical_and_no_command_has_two_entries() {
        for family in FAMILIES {
            assert!(
                family.is_sorted_by(|a, b| a.name < b.name),
                "{:?}",
                family.iter().map(|c| c.name).collect::<Vec<_>>()
            );
        }
        assert!(COMMANDS.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn commands_are_found_in_any_case() {
        for command in COMMANDS.iter() {
            assert_eq!(command.name, command.name.to_ascii_lowercase());
            let found = find(&COMMANDS, command.name.to_ascii_uppercase().as_bytes());
            assert_eq!(found.map(|found| found.name), Some(command.name));
        }
        assert!(
            find(&COMMANDS, b"ge").is_none()
                && find(&COMMANDS, b"gets").is_none()
                && find(&COMMANDS, b"").is_none()
        );
    }
}
