//! Commands about the connection: CLIENT, ECHO, HELLO, PING, QUIT, SELECT.
//!
//! There are no passwords: AUTH does not exist, and HELLO admits the default user with any password, as Redis does without
//! `requirepass`. What CLIENT SETINFO says is checked and forgotten.

use super::{
    Call, Command,
    admin::REDIS_VERSION,
    arity, at_least, dispatch_subcommand, exactly, lossy,
    options::{Options, integer},
};
use crate::{
    error::CommandError,
    resp::{Protocol, Reply, parse_i64},
};

pub(super) const COMMANDS: &[Command] = &[
    at_least("client", 2, client),
    exactly("echo", 2, echo),
    at_least("hello", 1, hello),
    at_least("ping", 1, ping),
    at_least("quit", 1, quit),
    exactly("select", 2, select),
];

const CLIENT_SUBCOMMANDS: &[Command] = &[
    exactly("getname", 2, client_getname),
    exactly("id", 2, client_id),
    exactly("setinfo", 4, client_setinfo),
    exactly("setname", 3, client_setname),
];

fn client(call: &mut Call<'_>) -> Result<(), CommandError> {
    dispatch_subcommand(call, "client", CLIENT_SUBCOMMANDS)
}

fn client_getname(call: &mut Call<'_>) -> Result<(), CommandError> {
    match &*call.session.name {
        [] => call.reply.null(),
        name => call.reply.bulk(name),
    }
    Ok(())
}

fn client_id(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.integer(call.session.id);
    Ok(())
}

fn client_setinfo(call: &mut Call<'_>) -> Result<(), CommandError> {
    let attribute = &call.args[2];
    if !attribute.eq_ignore_ascii_case(b"lib-name") && !attribute.eq_ignore_ascii_case(b"lib-ver") {
        return Err(CommandError::RefusedArgument(format!("ERR Unrecognized option '{}'", lossy(attribute))));
    }
    if !is_printable(&call.args[3]) {
        let attribute = lossy(attribute);
        return Err(CommandError::RefusedArgument(format!(
            "ERR {attribute} cannot contain spaces, newlines or special characters."
        )));
    }
    call.reply.ok();
    Ok(())
}

fn client_setname(call: &mut Call<'_>) -> Result<(), CommandError> {
    let name = client_name(&call.args[2])?;
    call.session.name = name.to_vec();
    call.reply.ok();
    Ok(())
}

fn client_name(name: &[u8]) -> Result<&[u8], CommandError> {
    if is_printable(name) {
        Ok(name)
    } else {
        Err(CommandError::Refused("ERR Client names cannot contain spaces, newlines or special characters."))
    }
}

fn is_printable(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_graphic)
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
    let mut name = None;
    while let Some(option) = options.next() {
        if option.eq_ignore_ascii_case(b"auth") && options.left() >= 2 {
            let user = options.value()?;
            options.value()?;
            if user != b"default" {
                return Err(CommandError::Refused(
                    "WRONGPASS invalid username-password pair or user is disabled.",
                ));
            }
        } else if option.eq_ignore_ascii_case(b"setname") && options.left() >= 1 {
            name = Some(client_name(options.value()?)?);
        } else {
            let option = lossy(option);
            return Err(CommandError::RefusedArgument(format!(
                "ERR Syntax error in HELLO option '{option}'"
            )));
        }
    }
    if let Some(name) = name {
        call.session.name = name.to_vec();
    }
    call.session.protocol = protocol;
    let reply = &mut call.reply;
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
    reply.integer(call.session.id);
    text(reply, "mode", "standalone");
    text(reply, "role", "master");
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}

fn ping(call: &mut Call<'_>) -> Result<(), CommandError> {
    match call.args.get(1) {
        _ if call.args.len() > 2 => return Err(arity("ping")),
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

fn select(call: &mut Call<'_>) -> Result<(), CommandError> {
    match integer(&call.args[1])? {
        0 => call.reply.ok(),
        _ => return Err(CommandError::Refused("ERR DB index is out of range")),
    }
    Ok(())
}
