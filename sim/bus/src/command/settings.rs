//! CONFIG: how the server is set up, and what of it can be changed while it runs.
//!
//! Only settings that this server has are listed, under Redis's names and with Redis's checks (`config.c`).

use std::time::Duration;

use super::{Call, Command, Flag::NoScript, at_least, dispatch_subcommand, exactly, quoted_name};
use crate::{AppendFsync, Config, OutputLimit, epoch, error::CommandError, glob, resp::parse_i64};

pub(super) const COMMANDS: &[Command] =
    &[at_least("config", 2, config).flags(&[NoScript]).containing(SUBCOMMANDS)];

pub(super) const SUBCOMMANDS: &[Command] = &[
    at_least("get", 3, get),
    exactly("resetstat", 2, resetstat),
    exactly("rewrite", 2, rewrite),
    at_least("set", 4, set),
];

/// Changes a setting, or says why the argument will not do.
type Setter = fn(&mut Config, &[u8]) -> Result<(), String>;

struct Setting {
    name: &'static str,
    show: fn(&Config) -> String,
    /// None for what cannot change while the server runs.
    set: Option<Setter>,
}

const fn fixed(name: &'static str, show: fn(&Config) -> String) -> Setting {
    Setting { name, show, set: None }
}

const fn free(name: &'static str, show: fn(&Config) -> String, set: Setter) -> Setting {
    Setting { name, show, set: Some(set) }
}

/// Alphabetical.
const SETTINGS: &[Setting] = &[
    fixed("aof-load-truncated", |_| "yes".into()),
    fixed("aof-timestamp-enabled", |_| "yes".into()),
    fixed("appendfilename", |_| "appendonly.aof".into()),
    free("appendfsync", |config| config.append_fsync.to_string(), set_append_fsync),
    fixed("appendonly", |config| if config.append_only { "yes" } else { "no" }.into()),
    free(
        "auto-aof-rewrite-min-size",
        |config| config.rewrite_min_size.to_string(),
        |config, value| memory(value).map(|size| config.rewrite_min_size = size),
    ),
    free(
        "auto-aof-rewrite-percentage",
        |config| config.rewrite_percentage.to_string(),
        |config, value| number(value, 0, INT_MAX).map(|share| config.rewrite_percentage = share),
    ),
    free("client-output-buffer-limit", show_output_limit, set_output_limit),
    fixed("client-query-buffer-limit", |config| config.max_request.to_string()),
    fixed("databases", |_| "1".into()),
    free(
        "maxclients",
        |config| config.max_clients.to_string(),
        |config, value| number(value, 1, u32::MAX.into()).map(|count| config.max_clients = count as usize),
    ),
    fixed("maxmemory", |_| "0".into()),
    fixed("maxmemory-policy", |_| "noeviction".into()),
    fixed("port", |config| config.port.to_string()),
    fixed("proto-max-bulk-len", |config| config.max_bulk.to_string()),
    free(
        "requirepass",
        |config| config.password.clone().unwrap_or_default(),
        |config, value| {
            config.password = Some(lossy_whole(value)).filter(|password| !password.is_empty());
            Ok(())
        },
    ),
    fixed("save", |_| String::new()),
    free(
        "timeout",
        |config| config.idle_timeout.as_secs().to_string(),
        |config, value| {
            number(value, 0, INT_MAX).map(|seconds| config.idle_timeout = Duration::from_secs(seconds))
        },
    ),
];

/// Redis keeps such settings in an `int`.
const INT_MAX: u64 = i32::MAX as u64;

fn lossy_whole(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn number(value: &[u8], least: u64, most: u64) -> Result<u64, String> {
    let value = parse_i64(value).ok_or("argument couldn't be parsed into an integer")?;
    u64::try_from(value)
        .ok()
        .filter(|value| (least..=most).contains(value))
        .ok_or_else(|| format!("argument must be between {least} and {most} inclusive"))
}

/// Bytes with an optional unit (`memtoull`, Redis `util.c`).
fn memory(value: &[u8]) -> Result<u64, String> {
    let wrong = || "argument must be a memory value".to_owned();
    let text = std::str::from_utf8(value).map_err(|_| wrong())?.to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match &text[digits..] {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return Err(wrong()),
    };
    text[..digits].parse::<u64>().ok().and_then(|amount| amount.checked_mul(factor)).ok_or_else(wrong)
}

fn set_append_fsync(config: &mut Config, value: &[u8]) -> Result<(), String> {
    let policy = AppendFsync::ALL
        .into_iter()
        .find(|policy| value.eq_ignore_ascii_case(policy.to_string().as_bytes()))
        .ok_or("argument(s) must be one of the following: everysec, always, no")?;
    config.append_fsync = policy;
    Ok(())
}

/// Other clients than subscribers have no limit: they are slowed down instead. There are no replicas.
fn show_output_limit(config: &Config) -> String {
    let OutputLimit { hard, soft, soft_for } = config.pubsub_limit;
    format!("normal 0 0 0 slave 0 0 0 pubsub {hard} {soft} {}", soft_for.as_secs())
}

fn set_output_limit(config: &mut Config, value: &[u8]) -> Result<(), String> {
    let text = lossy_whole(value);
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() || !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    for class in words.chunks_exact(4) {
        let [class, hard, soft, seconds] = class else {
            return Err("Wrong number of arguments in buffer limit configuration.".into());
        };
        let wrong =
            |_| "Error in hard, soft or soft_seconds setting in buffer limit configuration.".to_owned();
        let limit = OutputLimit {
            hard: memory(hard.as_bytes()).map_err(wrong)? as usize,
            soft: memory(soft.as_bytes()).map_err(wrong)? as usize,
            soft_for: Duration::from_secs(number(seconds.as_bytes(), 0, INT_MAX).map_err(wrong)?),
        };
        match class.to_ascii_lowercase().as_str() {
            "pubsub" => config.pubsub_limit = limit,
            "normal" | "slave" | "replica" => {
                return Err("only the class pubsub has a limit here".into());
            }
            _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
        }
    }
    Ok(())
}

fn config(call: &mut Call<'_>) -> Result<(), CommandError> {
    dispatch_subcommand(call, "config", SUBCOMMANDS)
}

fn get(call: &mut Call<'_>) -> Result<(), CommandError> {
    let wanted = |setting: &&Setting| {
        call.args.from(2).any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), setting.name.as_bytes()))
    };
    let found: Vec<&Setting> = SETTINGS.iter().filter(wanted).collect();
    call.reply.map(found.len());
    for setting in found {
        call.reply.bulk(setting.name.as_bytes());
        call.reply.bulk((setting.show)(&call.state.config).as_bytes());
    }
    Ok(())
}

fn resetstat(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.state.statistics.reset();
    call.reply.ok();
    Ok(())
}

fn rewrite(_: &mut Call<'_>) -> Result<(), CommandError> {
    Err(CommandError::Refused("ERR The server is running without a config file"))
}

/// All settings are changed, or none.
fn set(call: &mut Call<'_>) -> Result<(), CommandError> {
    if !call.args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let mut config = call.state.config.clone();
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in call.args.from(2).step_by(2).zip(call.args.from(3).step_by(2)) {
        let setting = SETTINGS
            .iter()
            .find(|setting| name.eq_ignore_ascii_case(setting.name.as_bytes()))
            .ok_or_else(|| {
                CommandError::RefusedArgument(format!(
                    "ERR Unknown option or number of arguments for CONFIG SET - '{}'",
                    quoted_name(name)
                ))
            })?;
        let outcome = match setting.set {
            _ if seen.contains(&setting.name) => Err("duplicate parameter".into()),
            None => Err("can't set immutable config".into()),
            Some(set) => set(&mut config, value),
        };
        outcome.map_err(|reason: String| {
            CommandError::RefusedArgument(format!(
                "ERR CONFIG SET failed (possibly related to argument '{}') - {reason}",
                setting.name
            ))
        })?;
        seen.push(setting.name);
        env::fact!("bus.config_set", setting = setting.name);
    }
    let fsync_changed = config.append_fsync != call.state.config.append_fsync;
    call.state.config = config;
    if fsync_changed {
        epoch::record(call.state);
    }
    call.state.clients.ring_all();
    call.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_alphabetical() {
        assert!(SETTINGS.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn memory_values_have_units() {
        for (text, bytes) in
            [("0", 0), ("17b", 17), ("2k", 2_000), ("2KB", 2_048), ("3mb", 3 << 20), ("1gb", 1 << 30)]
        {
            assert_eq!(memory(text.as_bytes()), Ok(bytes), "{text}");
        }
        for text in ["", "x", "-1", "1tb", "1.5mb", "99999999999999999999gb"] {
            assert!(memory(text.as_bytes()).is_err(), "{text}");
        }
    }
}
