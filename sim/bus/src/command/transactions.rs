//! Transactions: DISCARD, EXEC, MULTI, UNWATCH, WATCH.
//!
//! As in Redis nobody comes between the commands of a transaction, and a command that fails does not stop the others.

use super::{Call, Command, Flag, Origin, admit, answer, at_least, exactly, run};
use crate::{error::CommandError, resp::OwnedArgs};

pub(super) const COMMANDS: &[Command] = &[
    exactly("discard", 1, discard).flags(&[Flag::NoScript, Flag::Fast]),
    exactly("exec", 1, exec).flags(&[Flag::NoScript]),
    exactly("multi", 1, multi).flags(&[Flag::NoScript, Flag::Fast]),
    exactly("unwatch", 1, unwatch).flags(&[Flag::NoScript, Flag::Fast]),
    at_least("watch", 2, watch).flags(&[Flag::NoScript, Flag::Fast]).keys(1, -1, 1),
];

/// What runs at once even between MULTI and EXEC (`processCommand`, Redis `server.c`).
const NEVER_KEPT: [&str; 6] = ["discard", "exec", "multi", "quit", "reset", "watch"];

/// The commands since MULTI.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    kept: Vec<OwnedArgs>,
    /// How many bytes the kept requests took on the wire.
    size: usize,
    /// A command was refused: EXEC will refuse the rest.
    broken: bool,
}

impl Transaction {
    /// How many commands are kept.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }
}

/// Whether the command waits for EXEC.
pub(super) fn keeps(call: &Call<'_>, command: &Command) -> bool {
    call.origin == Origin::Client && call.session.transaction.is_some() && !NEVER_KEPT.contains(&command.name)
}

/// Keeps the request for EXEC. A transaction may be as large as one request; Redis counts both against
/// `client-query-buffer-limit` and closes the connection.
pub(super) fn keep(call: &mut Call<'_>) {
    let Some(transaction) = &mut call.session.transaction else {
        return;
    };
    if !transaction.broken {
        transaction.size += call.args.wire_len();
        if transaction.size > call.shared.limits.request {
            call.session.transaction = None;
            call.session.closing = true;
            return;
        }
        transaction.kept.push(call.args.into());
    }
    call.reply.simple("QUEUED");
}

/// What becomes of a command that was refused: EXEC will refuse the transaction of which it was to be a part. A refused EXEC
/// ends the transaction and says so in words of its own (`execCommandAbort`, Redis `multi.c`).
pub(super) fn refuse(call: &mut Call<'_>, refusal: CommandError) -> CommandError {
    if call.args[0].eq_ignore_ascii_case(b"exec") {
        forget(call);
        let words = refusal.to_string();
        let words = words.strip_prefix("ERR ").unwrap_or(&words);
        return CommandError::RefusedArgument(format!("EXECABORT Transaction discarded because of: {words}"));
    }
    if call.origin == Origin::Client
        && let Some(transaction) = &mut call.session.transaction
    {
        transaction.broken = true;
        transaction.kept.clear();
    }
    refusal
}

/// Forgets the client's transaction and what it watches.
fn forget(call: &mut Call<'_>) -> Option<(Transaction, bool)> {
    let transaction = call.session.transaction.take()?;
    let touched = call.state.db.watches.forget(call.session.id);
    Some((transaction, touched))
}

fn discard(call: &mut Call<'_>) -> Result<(), CommandError> {
    forget(call).ok_or(CommandError::Refused("ERR DISCARD without MULTI"))?;
    call.reply.ok();
    Ok(())
}

fn exec(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (transaction, touched) = forget(call).ok_or(CommandError::Refused("ERR EXEC without MULTI"))?;
    if transaction.broken {
        return Err(CommandError::Refused("EXECABORT Transaction discarded because of previous errors."));
    }
    if touched {
        call.reply.null_array();
        return Ok(());
    }
    call.reply.array(transaction.kept.len());
    for request in &transaction.kept {
        execute_kept(call, request);
    }
    Ok(())
}

fn execute_kept(call: &mut Call<'_>, request: &OwnedArgs) {
    let protocol = call.session.protocol;
    let mut inner = Call {
        args: request.args(),
        now: call.now,
        shared: call.shared,
        state: &mut *call.state,
        session: &mut *call.session,
        reply: call.reply.reborrow(protocol),
        origin: Origin::Transaction,
        blocked: None,
    };
    answer(&mut inner, |call| run(call, admit(&call.args)?));
}

fn multi(call: &mut Call<'_>) -> Result<(), CommandError> {
    if call.session.transaction.is_some() {
        return Err(CommandError::Refused("ERR MULTI calls can not be nested"));
    }
    call.session.transaction = Some(Transaction::default());
    call.reply.ok();
    Ok(())
}

fn unwatch(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.state.db.watches.forget(call.session.id);
    call.reply.ok();
    Ok(())
}

fn watch(call: &mut Call<'_>) -> Result<(), CommandError> {
    if call.session.transaction.is_some() {
        return Err(CommandError::Refused("ERR WATCH inside MULTI is not allowed"));
    }
    for key in call.args.from(1) {
        call.state.db.watches.watch(call.session.id, key);
    }
    call.reply.ok();
    Ok(())
}
