//! Commands about the server: COMMAND, INFO, TIME.

use std::fmt::{self, Write};

use super::{COMMANDS as ALL_COMMANDS, Call, Command, at_least, dispatch_subcommand, exactly};
use crate::error::CommandError;

/// The version whose behaviour is followed.
pub(super) const REDIS_VERSION: &str = "7.4.1";

pub(super) const COMMANDS: &[Command] =
    &[at_least("command", 1, command), at_least("info", 1, info), exactly("time", 1, time)];

const COMMAND_SUBCOMMANDS: &[Command] =
    &[exactly("count", 2, command_count), at_least("docs", 2, command_docs)];

/// Descriptions of commands are for people and for cluster clients; there are none.
fn command(call: &mut Call<'_>) -> Result<(), CommandError> {
    if call.args.len() > 1 {
        return dispatch_subcommand(call, "command", COMMAND_SUBCOMMANDS);
    }
    call.reply.array(0);
    Ok(())
}

fn command_count(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.count(ALL_COMMANDS.len());
    Ok(())
}

fn command_docs(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.map(0);
    Ok(())
}

fn time(call: &mut Call<'_>) -> Result<(), CommandError> {
    let micros = call.now.as_micros();
    call.reply.array(2);
    call.reply.bulk_integer(micros.div_euclid(1_000_000));
    call.reply.bulk_integer(micros.rem_euclid(1_000_000));
    Ok(())
}

type Section = (&'static str, fn(&Call<'_>, &mut String) -> fmt::Result);

/// In the order in which Redis shows them.
const SECTIONS: [Section; 5] = [
    ("Server", info_server),
    ("Clients", info_clients),
    ("Stats", info_stats),
    ("Replication", info_replication),
    ("Keyspace", info_keyspace),
];

/// Only what is true of this server; a section that is asked for and unknown is passed over, as in Redis.
fn info(call: &mut Call<'_>) -> Result<(), CommandError> {
    let everything = ["all", "default", "everything"];
    let wanted = |name: &str| {
        call.args.len() == 1
            || call.args.from(1).any(|section| {
                section.eq_ignore_ascii_case(name.as_bytes())
                    || everything.iter().any(|all| section.eq_ignore_ascii_case(all.as_bytes()))
            })
    };
    let mut text = String::new();
    for (name, section) in SECTIONS.iter().filter(|(name, _)| wanted(name)) {
        let separator = if text.is_empty() { "" } else { "\r\n" };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}# {name}\r\n").and_then(|()| section(call, &mut text));
    }
    call.reply.verbatim(&text);
    Ok(())
}

fn info_server(call: &Call<'_>, text: &mut String) -> fmt::Result {
    write!(
        text,
        "redis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\ntcp_port:{}\r\nuptime_in_seconds:{}\r\n",
        call.shared.port,
        call.shared.started.elapsed().as_secs()
    )
}

fn info_clients(call: &Call<'_>, text: &mut String) -> fmt::Result {
    let connected = call.state.statistics.connected;
    write!(text, "connected_clients:{connected}\r\nblocked_clients:{}\r\n", call.state.waiters.len())
}

fn info_stats(call: &Call<'_>, text: &mut String) -> fmt::Result {
    let statistics = &call.state.statistics;
    write!(
        text,
        "total_connections_received:{}\r\ntotal_commands_processed:{}\r\n",
        statistics.connections, statistics.commands
    )
}

fn info_replication(_: &Call<'_>, text: &mut String) -> fmt::Result {
    text.write_str("role:master\r\nconnected_slaves:0\r\n")
}

fn info_keyspace(call: &Call<'_>, text: &mut String) -> fmt::Result {
    match call.state.db.len() {
        0 => Ok(()),
        keys => write!(text, "db0:keys={keys},expires={},avg_ttl=0\r\n", call.state.db.expiring()),
    }
}
