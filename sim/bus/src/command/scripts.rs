//! Scripts: EVAL, EVALSHA, SCRIPT. What a script may say is told in [`crate::script`].

use std::sync::Arc;

use super::{
    Call, Command, Flag, Origin, admit, at_least, dispatch_subcommand, exactly, find, options::integer,
    run as run_command,
};
use crate::{
    error::{CommandError, line, quoted},
    resp::{OwnedArgs, Protocol, Reply, parse_i64},
    script::{self, Commands, Script, Scripts, Value},
};

pub(super) const COMMANDS: &[Command] = &[
    at_least("eval", 3, eval).flags(&[Flag::NoScript, Flag::MovableKeys]),
    at_least("evalsha", 3, evalsha).flags(&[Flag::NoScript, Flag::MovableKeys]),
    at_least("script", 2, script_command).flags(&[Flag::NoScript]).containing(SCRIPT_SUBCOMMANDS),
];

const SCRIPT_SUBCOMMANDS: &[Command] = &[
    at_least("exists", 3, script_exists).flags(&[Flag::NoScript]),
    at_least("flush", 2, script_flush).flags(&[Flag::NoScript]),
    exactly("load", 3, script_load).flags(&[Flag::NoScript]),
];

fn eval(call: &mut Call<'_>) -> Result<(), CommandError> {
    check_key_count(call)?;
    let (digest, script) = load(&mut call.state.scripts, &call.args[1])?;
    execute(call, &digest, &script)
}

fn evalsha(call: &mut Call<'_>) -> Result<(), CommandError> {
    check_key_count(call)?;
    let digest = &call.args[1];
    let script = call
        .state
        .scripts
        .get(digest)
        .ok_or(CommandError::Refused("NOSCRIPT No matching script. Please use EVAL."))?;
    let digest = String::from_utf8_lossy(digest).to_ascii_lowercase();
    execute(call, &digest, &script)
}

fn script_command(call: &mut Call<'_>) -> Result<(), CommandError> {
    dispatch_subcommand(call, "script", SCRIPT_SUBCOMMANDS)
}

fn script_exists(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.array(call.args.len() - 2);
    for digest in call.args.from(2) {
        let known = call.state.scripts.get(digest).is_some();
        call.reply.integer(i64::from(known));
    }
    Ok(())
}

fn script_flush(call: &mut Call<'_>) -> Result<(), CommandError> {
    match call.args.get(2) {
        None => {}
        Some(mode)
            if call.args.len() == 3
                && (mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async")) => {}
        Some(_) => return Err(CommandError::Refused("ERR SCRIPT FLUSH only support SYNC|ASYNC option")),
    }
    call.state.scripts.clear();
    call.reply.ok();
    Ok(())
}

fn script_load(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (digest, _) = load(&mut call.state.scripts, &call.args[2])?;
    if call.state.scripts.get(digest.as_bytes()).is_none() {
        return Err(CommandError::Refused("ERR too many scripts are loaded, use SCRIPT FLUSH"));
    }
    call.reply.bulk(digest.as_bytes());
    Ok(())
}

fn load(scripts: &mut Scripts, source: &[u8]) -> Result<(String, Arc<Script>), CommandError> {
    scripts.load(source).map_err(|error| CommandError::RefusedArgument(error.to_string()))
}

/// Checks the argument that says how many of the others are keys.
fn check_key_count(call: &Call<'_>) -> Result<usize, CommandError> {
    let count = integer(&call.args[2])?;
    if count > i64::try_from(call.args.len() - 3).unwrap_or(i64::MAX) {
        return Err(CommandError::Refused("ERR Number of keys can't be greater than number of args"));
    }
    usize::try_from(count).map_err(|_| CommandError::Refused("ERR Number of keys can't be negative"))
}

fn execute(call: &mut Call<'_>, digest: &str, script: &Script) -> Result<(), CommandError> {
    let key_count = check_key_count(call)?;
    let mut keys: Vec<Vec<u8>> = call.args.from(3).map(<[u8]>::to_vec).collect();
    let arguments = keys.split_off(key_count);
    match script::run(script, keys, arguments, &mut Inside { call }) {
        Ok(value) => write(&mut call.reply, &value),
        Err(failure) => {
            let message = quoted(&failure.message);
            let line = failure.line;
            // What the script did before it failed stays done, and recorded.
            call.reply.error(&format!("{message} script: {digest}, on @user_script:{line}."));
        }
    }
    Ok(())
}

/// Writes what a script returns (`luaReplyToRedisReply`, Redis `script_lua.c`).
fn write(reply: &mut Reply<'_>, value: &Value) {
    match value {
        Value::Nil | Value::Bool(false) => reply.null(),
        Value::Bool(true) => reply.integer(1),
        Value::Number(number) => reply.integer(truncated(*number)),
        Value::Text(text) => reply.bulk(text),
        Value::Status(text) => reply.simple(text),
        Value::Error(text) => reply.error(&quoted(text)),
        Value::Array(items) => {
            let len = items.iter().position(|item| *item == Value::Nil).unwrap_or(items.len());
            reply.array(len);
            items[..len].iter().for_each(|item| write(reply, item));
        }
    }
}

/// A number without its fraction, as C on x86 converts it: what does not fit becomes the smallest number.
fn truncated(number: f64) -> i64 {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if (-BOUND..BOUND).contains(&number) { number as i64 } else { i64::MIN }
}

/// The server as a script sees it.
struct Inside<'c, 'a> {
    call: &'c mut Call<'a>,
}

impl Commands for Inside<'_, '_> {
    fn execute(&mut self, words: &[Vec<u8>]) -> Result<Value, Vec<u8>> {
        let request = OwnedArgs::from_words(words);
        let mut wire = Vec::new();
        let mut inner = Call {
            args: request.args(),
            now: self.call.now,
            shared: self.call.shared,
            state: &mut *self.call.state,
            session: &mut *self.call.session,
            reply: Reply::new(&mut wire, Protocol::Resp2),
            origin: Origin::Script,
            blocked: None,
        };
        let outcome = match find(&super::COMMANDS, &words[0]) {
            None => Err(CommandError::Refused("ERR Unknown Redis command called from script")),
            Some(command) if command.is(Flag::NoScript) => {
                Err(CommandError::Refused("ERR This Redis command is not allowed from script"))
            }
            Some(_) => match admit(&inner.args) {
                Ok(command) => run_command(&mut inner, command),
                Err(_) => {
                    Err(CommandError::Refused("ERR Wrong number of args calling Redis command from script"))
                }
            },
        };
        outcome.map_err(|error| line(&error))?;
        match read(&mut wire.as_slice()) {
            Some(Value::Error(refusal)) => Err(refusal),
            Some(value) => Ok(value),
            None => Err(b"ERR the command gave no answer that a script can use".to_vec()),
        }
    }
}

/// Reads a reply in RESP2 (`redisProtocolToLuaType`, Redis `script_lua.c`).
fn read(wire: &mut &[u8]) -> Option<Value> {
    let end = wire.iter().position(|&byte| byte == b'\r')?;
    let (line, rest) = wire.split_at(end);
    *wire = rest.get(2..)?;
    let (kind, line) = line.split_first()?;
    match kind {
        b'+' => Some(Value::Status(line.to_vec())),
        b'-' => Some(Value::Error(line.to_vec())),
        b':' => Some(Value::Number(parse_i64(line)? as f64)),
        b'$' | b'*' => match (kind, usize::try_from(parse_i64(line)?)) {
            (_, Err(_)) => Some(Value::Bool(false)),
            (b'*', Ok(len)) => (0..len).map(|_| read(wire)).collect::<Option<_>>().map(Value::Array),
            (_, Ok(len)) => {
                let text = wire.get(..len)?.to_vec();
                *wire = wire.get(len + 2..)?;
                Some(Value::Text(text))
            }
        },
        _ => None,
    }
}
