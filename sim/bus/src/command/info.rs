//! INFO: what is true of the server at this moment. Nothing is shown that this server does not have.

use std::fmt::{self, Write};

use super::{Call, Command, admin::REDIS_VERSION, at_least};
use crate::{epoch, error::CommandError};

pub(super) const COMMANDS: &[Command] = &[at_least("info", 1, info)];

type Section = (&'static str, fn(&Call<'_>, &mut String) -> fmt::Result);

/// In the order in which Redis shows them.
const SECTIONS: [Section; 7] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("Keyspace", keyspace),
];

/// A section that is asked for and unknown is passed over, as in Redis.
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

fn server(call: &Call<'_>, text: &mut String) -> fmt::Result {
    let uptime = call.shared.started.elapsed().as_secs();
    write!(text, "redis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\n")?;
    write!(text, "tcp_port:{}\r\nserver_time_usec:{}\r\n", call.state.config.port, call.now.as_micros())?;
    write!(text, "uptime_in_seconds:{uptime}\r\nuptime_in_days:{}\r\n", uptime / 86_400)
}

fn clients(call: &Call<'_>, text: &mut String) -> fmt::Result {
    let state = &*call.state;
    write!(text, "connected_clients:{}\r\nmaxclients:{}\r\n", state.clients.len(), state.config.max_clients)?;
    write!(text, "blocked_clients:{}\r\n", state.waiters.len())
}

/// As far as the machine tells.
fn memory(call: &Call<'_>, text: &mut String) -> fmt::Result {
    if let Ok(memory) = call.shared.env.resources.memory() {
        write!(text, "used_memory_rss:{}\r\ntotal_system_memory:{}\r\n", memory.used, memory.limit)?;
    }
    text.write_str("maxmemory:0\r\nmaxmemory_policy:noeviction\r\n")
}

fn persistence(call: &Call<'_>, text: &mut String) -> fmt::Result {
    write!(text, "loading:0\r\naof_enabled:{}\r\n", u8::from(call.state.journal.is_some()))?;
    if let Some(journal) = &call.state.journal {
        let status = |failed| if failed { "err" } else { "ok" };
        write!(text, "aof_rewrite_in_progress:{}\r\n", u8::from(journal.rewriting()))?;
        write!(text, "aof_last_bgrewrite_status:{}\r\n", status(journal.rewrite_failed))?;
        write!(text, "aof_rewrites:{}\r\n", journal.rewrites)?;
        write!(text, "aof_last_write_status:{}\r\n", status(journal.denies_writes().is_some()))?;
        write!(text, "aof_current_size:{}\r\naof_base_size:{}\r\n", journal.size, journal.base_size)?;
        write!(text, "aof_buffer_length:{}\r\n", journal.waiting())?;
    }
    write!(text, "dataset_epoch:{}\r\n", epoch::current(call.state))
}

fn stats(call: &Call<'_>, text: &mut String) -> fmt::Result {
    let state = &*call.state;
    for (name, value) in [
        ("total_connections_received", state.statistics.connections),
        ("total_commands_processed", state.statistics.commands),
        ("total_net_input_bytes", state.statistics.input_bytes),
        ("total_net_output_bytes", state.statistics.output_bytes),
        ("rejected_connections", state.statistics.rejected),
        ("evicted_keys", state.statistics.evicted),
        ("pubsub_channels", state.pubsub.channels.len() as u64),
        ("pubsub_patterns", state.pubsub.patterns.len() as u64),
        ("total_error_replies", state.statistics.errors),
    ] {
        write!(text, "{name}:{value}\r\n")?;
    }
    Ok(())
}

fn replication(_: &Call<'_>, text: &mut String) -> fmt::Result {
    text.write_str("role:master\r\nconnected_slaves:0\r\n")
}

fn keyspace(call: &Call<'_>, text: &mut String) -> fmt::Result {
    match call.state.db.len() {
        0 => Ok(()),
        keys => write!(text, "db0:keys={keys},expires={},avg_ttl=0\r\n", call.state.db.expiring()),
    }
}
