//! What a client must be admitted to before a command runs, in the order of Redis's `processCommand` (`server.c`).

use super::{Call, Command, Flag};
use crate::{epoch, error::CommandError, resp::Protocol};

/// Commands that need no password.
const NO_AUTH: [&str; 4] = ["auth", "hello", "quit", "reset"];

/// What a RESP2 client may do while it is subscribed: its replies would be mistaken for messages.
const IN_SUBSCRIBER_MODE: [&str; 7] =
    ["ping", "psubscribe", "punsubscribe", "quit", "reset", "subscribe", "unsubscribe"];

/// Commands that are known by two words.
const CONTAINERS: [&str; 8] =
    ["client", "command", "config", "object", "pubsub", "script", "xgroup", "xinfo"];

/// Whether the client may run this command now; returns the command if so.
pub(super) fn admit(call: &Call<'_>, command: &'static Command) -> Result<&'static Command, CommandError> {
    if !call.session.authenticated && !NO_AUTH.contains(&command.name) {
        return Err(CommandError::Refused("NOAUTH Authentication required."));
    }
    may_write(call, command)?;
    if call.session.subscriptions.len() > 0
        && call.session.protocol == Protocol::Resp2
        && !IN_SUBSCRIBER_MODE.contains(&command.name)
    {
        return Err(CommandError::RefusedArgument(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            full_name(call, command)
        )));
    }
    Ok(command)
}

/// Whether the command may change what it wants to change, whoever asks. PING is refused with the writes, so that who
/// watches the server learns that it cannot persist.
pub(super) fn may_write(call: &Call<'_>, command: &Command) -> Result<(), CommandError> {
    let writes = command.is(Flag::Write);
    if (writes || command.name == "ping")
        && let Some(reason) = call.state.journal.as_ref().and_then(|journal| journal.denies_writes())
    {
        return Err(CommandError::RefusedArgument(format!(
            "MISCONF Errors writing to the AOF file: {reason}"
        )));
    }
    if writes && command.keys_in(&call.args).any(|key| key == epoch::KEY) {
        return Err(CommandError::Refused("ERR the key 'bus:dataset_epoch' is read-only"));
    }
    Ok(())
}

fn full_name(call: &Call<'_>, command: &Command) -> String {
    match call.args.get(1) {
        Some(subcommand) if CONTAINERS.contains(&command.name) => {
            format!("{}|{}", command.name, super::quoted_name(subcommand).to_ascii_lowercase())
        }
        _ => command.name.to_owned(),
    }
}
