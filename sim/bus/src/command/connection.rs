//! Commands about the connection: AUTH, ECHO, HELLO, PING, QUIT, RESET, SELECT. CLIENT has a file of its own.
//!
//! There is one user, `default`, with one password or none.

use super::{
    Call, Command,
    Flag::{Fast, NoScript},
    admin::REDIS_VERSION,
    arity, at_least,
    client::checked_name,
    exactly,
    options::{Options, integer},
    quoted_name,
};
use crate::{
    connection::Replies,
    error::CommandError,
    resp::{Protocol, Reply, parse_i64},
};

pub(super) const COMMANDS: &[Command] = &[
    at_least("auth", 2, auth).flags(&[NoScript, Fast]),
    exactly("echo", 2, echo).flags(&[Fast]),
    at_least("hello", 1, hello).flags(&[NoScript, Fast]),
    at_least("ping", 1, ping).flags(&[Fast]),
    at_least("quit", 1, quit).flags(&[NoScript, Fast]),
    exactly("reset", 1, reset).flags(&[NoScript, Fast]),
    exactly("select", 2, select).flags(&[Fast]),
];

const WRONG_PASSWORD: CommandError =
    CommandError::Refused("WRONGPASS invalid username-password pair or user is disabled.");

fn auth(call: &mut Call<'_>) -> Result<(), CommandError> {
    let args = call.args;
    let (user, password) = match args.len() {
        2 if call.state.config.password.is_none() => {
            return Err(CommandError::Refused(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure \
                 your configuration is correct?",
            ));
        }
        2 => (&b"default"[..], &args[1]),
        3 => (&args[1], &args[2]),
        _ => return Err(CommandError::Syntax),
    };
    authenticate(call, user, password)?;
    call.reply.ok();
    Ok(())
}

/// Without a password any is right.
fn authenticate(call: &mut Call<'_>, user: &[u8], password: &[u8]) -> Result<(), CommandError> {
    let right = call.state.config.password.as_ref().is_none_or(|right| right.as_bytes() == password);
    if user != b"default" || !right {
        env::fact!("bus.wrong_password", client = call.session.id);
        return Err(WRONG_PASSWORD);
    }
    call.session.authenticated = true;
    Ok(())
}

fn echo(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.bulk(&call.args[1]);
    Ok(())
}

fn hello(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut options = Options::from(call.args, 1);
    let protocol = match options.next().map(parse_i64) {
        None => call.session.protocol,
        Some(Some(2)) => Protocol::Resp2,
        Some(Some(3)) => Protocol::Resp3,
        Some(Some(_)) => return Err(CommandError::Refused("NOPROTO unsupported protocol version")),
        Some(None) => {
            return Err(CommandError::Refused("ERR Protocol version is not an integer or out of range"));
        }
    };
    // As in Redis each option takes effect where it stands, even if a later one is refused.
    while let Some(option) = options.next() {
        if option.eq_ignore_ascii_case(b"auth") && options.left() >= 2 {
            authenticate(call, options.value()?, options.value()?)?;
        } else if option.eq_ignore_ascii_case(b"setname") && options.left() >= 1 {
            call.session.name = checked_name(options.value()?)?.to_vec();
        } else {
            let option = quoted_name(option);
            return Err(CommandError::RefusedArgument(format!(
                "ERR Syntax error in HELLO option '{option}'"
            )));
        }
    }
    if !call.session.authenticated {
        return Err(CommandError::Refused(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> \
             option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    call.session.protocol = protocol;
    greet(&mut call.reply, protocol, call.session.id);
    Ok(())
}

fn greet(reply: &mut Reply<'_>, protocol: Protocol, id: i64) {
    reply.switch_to(protocol);
    reply.map(7);
    let text = |reply: &mut Reply<'_>, key: &str, value: &str| {
        reply.bulk(key.as_bytes());
        reply.bulk(value.as_bytes());
    };
    text(reply, "server", "redis");
    text(reply, "version", REDIS_VERSION);
    reply.bulk(b"proto");
    reply.integer(protocol.number());
    reply.bulk(b"id");
    reply.integer(id);
    text(reply, "mode", "standalone");
    text(reply, "role", "master");
    reply.bulk(b"modules");
    reply.array(0);
}

fn ping(call: &mut Call<'_>) -> Result<(), CommandError> {
    let message = call.args.get(1);
    match message {
        _ if call.args.len() > 2 => return Err(arity("ping")),
        // Where a simple string would be mistaken for the answer to something else.
        _ if call.session.subscriptions.len() > 0 && call.session.protocol == Protocol::Resp2 => {
            call.reply.array(2);
            call.reply.bulk(b"pong");
            call.reply.bulk(message.unwrap_or_default());
        }
        None => call.reply.simple("PONG"),
        Some(message) => call.reply.bulk(message),
    }
    Ok(())
}

fn quit(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.session.closing = true;
    call.reply.ok();
    Ok(())
}

/// As if the client had just connected (`resetCommand`, Redis `networking.c`).
fn reset(call: &mut Call<'_>) -> Result<(), CommandError> {
    let session = &mut *call.session;
    call.state.pubsub.leave(session.id, &std::mem::take(&mut session.subscriptions));
    call.state.db.watches.forget(session.id);
    session.transaction = None;
    session.name.clear();
    session.protocol = Protocol::Resp2;
    session.authenticated = call.state.config.password.is_none();
    session.replies = Replies::On;
    session.no_evict = false;
    call.reply.switch_to(Protocol::Resp2);
    call.reply.simple("RESET");
    Ok(())
}

fn select(call: &mut Call<'_>) -> Result<(), CommandError> {
    match integer(&call.args[1])? {
        0 => call.reply.ok(),
        _ => return Err(CommandError::Refused("ERR DB index is out of range")),
    }
    Ok(())
}
