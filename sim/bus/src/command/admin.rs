//! Commands about the server as a whole: BGREWRITEAOF, BGSAVE, DEBUG, LASTSAVE, SAVE, SHUTDOWN, TIME, WAIT.
//!
//! There are no snapshots: SAVE and BGSAVE are refused, and the last save is the start, as in a Redis that never saved.

use std::time::Duration;

use super::{
    Call, Command,
    Flag::{Fast, NoScript},
    at_least, exactly,
    options::integer,
};
use crate::{
    blocking::Pending,
    db::{Db, Key, WallMs},
    error::CommandError,
    resp::{Reply, parse_i64},
    server::Order,
};

/// The version whose behaviour is followed.
pub(super) const REDIS_VERSION: &str = "7.0.15";

pub(super) const COMMANDS: &[Command] = &[
    exactly("bgrewriteaof", 1, bgrewriteaof).flags(&[NoScript]),
    at_least("bgsave", 1, no_snapshots).flags(&[NoScript]),
    at_least("debug", 2, debug).flags(&[NoScript]),
    exactly("lastsave", 1, lastsave).flags(&[Fast]),
    exactly("save", 1, no_snapshots).flags(&[NoScript]),
    at_least("shutdown", 1, shutdown).flags(&[NoScript]),
    exactly("time", 1, time).flags(&[Fast]),
    exactly("wait", 3, wait).flags(&[NoScript]),
];

fn bgrewriteaof(call: &mut Call<'_>) -> Result<(), CommandError> {
    let journal = call.state.journal.as_mut();
    let journal = journal.ok_or(CommandError::Refused(
        "ERR BGREWRITEAOF is not supported without an append-only file: start with appendonly yes",
    ))?;
    if journal.rewriting() {
        return Err(CommandError::Refused("ERR Background append only file rewriting already in progress"));
    }
    journal.rewrite_wanted = true;
    call.shared.kick.notify_one();
    call.reply.simple("Background append only file rewriting started");
    Ok(())
}

fn no_snapshots(_: &mut Call<'_>) -> Result<(), CommandError> {
    Err(CommandError::Refused(
        "ERR snapshots (RDB files) are not supported: data is kept by the append-only file",
    ))
}

/// As a Redis with `enable-debug-command no`, its default.
fn debug(_: &mut Call<'_>) -> Result<(), CommandError> {
    Err(CommandError::Refused(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a \
         local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
    ))
}

fn lastsave(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.integer(call.shared.started_at.div_euclid(1_000));
    Ok(())
}

/// Makes everything durable and ends the process; the client sees its connection close.
fn shutdown(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (mut save, mut nosave, mut abort, mut rush) = (false, false, false, false);
    for option in call.args.from(1) {
        let chosen = match option.to_ascii_lowercase().as_slice() {
            b"save" => &mut save,
            b"nosave" => &mut nosave,
            b"abort" => &mut abort,
            b"now" | b"force" => &mut rush,
            _ => return Err(CommandError::Syntax),
        };
        *chosen = true;
    }
    if abort && (save || nosave || rush) || save && nosave {
        return Err(CommandError::Syntax);
    }
    if abort {
        return Err(CommandError::Refused("ERR No shutdown in progress."));
    }
    if save {
        return no_snapshots(call);
    }
    call.state.order = Some(Order::Stop);
    call.shared.kick.notify_one();
    call.session.closing = true;
    Ok(())
}

fn time(call: &mut Call<'_>) -> Result<(), CommandError> {
    let micros = call.now.as_micros();
    call.reply.array(2);
    call.reply.bulk_integer(micros.div_euclid(1_000_000));
    call.reply.bulk_integer(micros.rem_euclid(1_000_000));
    Ok(())
}

/// WAIT for replicas that never come.
struct NoReplicas;

impl Pending for NoReplicas {
    fn attempt(&self, _: &Key, _: &mut Db, _: WallMs, _: &mut Reply<'_>) -> bool {
        false
    }

    fn give_up(&self, reply: &mut Reply<'_>) {
        reply.integer(0);
    }
}

fn wait(call: &mut Call<'_>) -> Result<(), CommandError> {
    let replicas = integer(&call.args[1])?;
    let millis = parse_i64(&call.args[2])
        .ok_or(CommandError::Refused("ERR timeout is not an integer or out of range"))?;
    let millis = u64::try_from(millis).map_err(|_| CommandError::Refused("ERR timeout is negative"))?;
    if replicas <= 0 {
        call.reply.integer(0);
        return Ok(());
    }
    let timeout = (millis > 0).then(|| Duration::from_millis(millis));
    call.wait(Vec::new(), Box::new(NoReplicas), timeout);
    Ok(())
}
