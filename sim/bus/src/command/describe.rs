//! COMMAND: what commands there are, and where their keys stand, for clients that route or complete.
//!
//! Deliberately absent: texts for people (COMMAND DOCS knows none), access categories and key specifications.

use super::{
    Arity, COMMANDS as ALL_COMMANDS, Call, Command, Flag, at_least, dispatch_subcommand, exactly, find,
};
use crate::{error::CommandError, resp::Reply};

pub(super) const COMMANDS: &[Command] = &[at_least("command", 1, command).containing(SUBCOMMANDS)];

pub(super) const SUBCOMMANDS: &[Command] = &[
    exactly("count", 2, count),
    at_least("docs", 2, docs),
    at_least("getkeys", 3, getkeys),
    at_least("info", 2, info),
    exactly("list", 2, list),
];

fn command(call: &mut Call<'_>) -> Result<(), CommandError> {
    if call.args.len() > 1 {
        return dispatch_subcommand(call, "command", SUBCOMMANDS);
    }
    describe_all(&mut call.reply);
    Ok(())
}

fn describe_all(reply: &mut Reply<'_>) {
    reply.array(ALL_COMMANDS.len());
    ALL_COMMANDS.iter().for_each(|command| describe(reply, command));
}

/// Ten elements, as Redis 7.0 gives them; the last four are empty.
fn describe(reply: &mut Reply<'_>, command: &Command) {
    reply.array(10);
    reply.bulk(command.name.as_bytes());
    reply.integer(match command.arity {
        Arity::Exactly(count) => count as i64,
        Arity::AtLeast(count) => -(count as i64),
    });
    reply.set(command.flags.len());
    command.flags.iter().for_each(|flag| reply.simple(word(*flag)));
    for position in [command.keys.first, command.keys.last, command.keys.step] {
        reply.integer(position.into());
    }
    reply.set(0);
    (0..3).for_each(|_| reply.array(0));
}

fn word(flag: Flag) -> &'static str {
    match flag {
        Flag::Blocking => "blocking",
        Flag::DenyOom => "denyoom",
        Flag::Fast => "fast",
        Flag::MovableKeys => "movablekeys",
        Flag::NoScript => "noscript",
        Flag::ReadOnly => "readonly",
        Flag::Write => "write",
    }
}

fn count(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.count(ALL_COMMANDS.len());
    Ok(())
}

fn docs(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.map(0);
    Ok(())
}

fn getkeys(call: &mut Call<'_>) -> Result<(), CommandError> {
    let args = call.args.tail(2);
    let command =
        find(&ALL_COMMANDS, &args[0]).ok_or(CommandError::Refused("ERR Invalid command specified"))?;
    if !command.admits(args.len()) {
        return Err(CommandError::Refused("ERR Invalid number of arguments specified for command"));
    }
    let keys: Vec<&[u8]> = command.keys_in(&args).collect();
    if keys.is_empty() {
        return Err(CommandError::Refused("ERR The command has no key arguments"));
    }
    call.reply.array(keys.len());
    keys.into_iter().for_each(|key| call.reply.bulk(key));
    Ok(())
}

fn info(call: &mut Call<'_>) -> Result<(), CommandError> {
    if call.args.len() == 2 {
        describe_all(&mut call.reply);
        return Ok(());
    }
    call.reply.array(call.args.len() - 2);
    for name in call.args.from(2) {
        match find(&ALL_COMMANDS, name) {
            Some(command) => describe(&mut call.reply, command),
            None => call.reply.null_array(),
        }
    }
    Ok(())
}

fn list(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.set(ALL_COMMANDS.len());
    ALL_COMMANDS.iter().for_each(|command| call.reply.bulk(command.name.as_bytes()));
    Ok(())
}
