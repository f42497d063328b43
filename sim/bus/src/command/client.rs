//! CLIENT: what the server knows of its clients, and what clients may do to each other.
//!
//! Deliberately absent: tracking (client-side caching), and in CLIENT LIST what this server has not: file descriptors and
//! the sizes of Redis's buffers.

use std::fmt::Write;

use tokio::time::{Duration, Instant};

use super::{
    Call, Command,
    Flag::NoScript,
    at_least, dispatch_subcommand, exactly,
    options::{Options, integer},
    quoted_name,
};
use crate::{
    clients::{ClientId, Seen},
    connection::{Replies, Session},
    error::CommandError,
    resp::parse_i64,
};

pub(super) const COMMANDS: &[Command] =
    &[at_least("client", 2, client).flags(&[NoScript]).containing(SUBCOMMANDS)];

pub(super) const SUBCOMMANDS: &[Command] = &[
    exactly("getname", 2, getname),
    exactly("getredir", 2, getredir),
    exactly("id", 2, id),
    exactly("info", 2, info),
    at_least("kill", 3, kill),
    at_least("list", 2, list),
    exactly("no-evict", 3, no_evict),
    at_least("pause", 3, pause),
    exactly("reply", 3, reply),
    exactly("setinfo", 4, setinfo),
    exactly("setname", 3, setname),
    at_least("tracking", 3, tracking),
    at_least("unblock", 3, unblock),
    exactly("unpause", 2, unpause),
];

fn client(call: &mut Call<'_>) -> Result<(), CommandError> {
    dispatch_subcommand(call, "client", SUBCOMMANDS)
}

fn getname(call: &mut Call<'_>) -> Result<(), CommandError> {
    match &*call.session.name {
        [] => call.reply.null(),
        name => call.reply.bulk(name),
    }
    Ok(())
}

/// Tracking is never on.
fn getredir(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.integer(-1);
    Ok(())
}

fn id(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.integer(call.session.id);
    Ok(())
}

fn info(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut text = String::new();
    describe(call.session, Seen { waits: false, doomed: false, outbox: 0 }, &mut text);
    call.reply.verbatim(&text);
    Ok(())
}

/// One line of CLIENT LIST (`catClientInfoString`, Redis `networking.c`).
fn describe(session: &Session, seen: Seen, text: &mut String) {
    let mut flags = String::new();
    for (is, flag) in [
        (session.subscriptions.len() > 0, 'P'),
        (session.transaction.is_some(), 'x'),
        (seen.waits, 'b'),
        (session.closing, 'c'),
        (seen.doomed, 'A'),
        (session.no_evict, 'e'),
    ] {
        flags.extend(is.then_some(flag));
    }
    if flags.is_empty() {
        flags.push('N');
    }
    let peer = session.peer.map(|peer| peer.to_string()).unwrap_or_default();
    let multi = session.transaction.as_ref().map_or(-1, |transaction| transaction.len() as i64);
    let (command, subcommand) = session.last_command;
    let separator = if subcommand.is_some() { "|" } else { "" };
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "id={} addr={peer} name={} age={} idle={} flags={flags} db=0 sub={} psub={} ssub=0 multi={multi} omem={} \
         cmd={command}{separator}{} user=default redir=-1 resp={}",
        session.id,
        String::from_utf8_lossy(&session.name),
        session.connected_at.elapsed().as_secs(),
        session.active_at.elapsed().as_secs(),
        session.subscriptions.channels.len(),
        session.subscriptions.patterns.len(),
        seen.outbox,
        subcommand.unwrap_or_default(),
        session.protocol.number(),
    );
}

/// What TYPE tells apart. This server has no masters and no replicas; they can be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    PubSub,
    Replication,
}

impl Kind {
    fn read(name: &[u8]) -> Result<Self, CommandError> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Self::Normal),
            b"pubsub" => Ok(Self::PubSub),
            b"master" | b"replica" | b"slave" => Ok(Self::Replication),
            _ => {
                Err(CommandError::RefusedArgument(format!("ERR Unknown client type '{}'", quoted_name(name))))
            }
        }
    }

    fn of(session: &Session) -> Self {
        if session.subscriptions.len() > 0 { Self::PubSub } else { Self::Normal }
    }
}

fn list(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut options = Options::from(call.args, 2);
    let mut kind = None;
    let mut ids: Option<Vec<ClientId>> = None;
    match options.next() {
        None => {}
        Some(option) if option.eq_ignore_ascii_case(b"type") && options.left() == 1 => {
            kind = Some(Kind::read(options.value()?)?);
        }
        Some(option) if option.eq_ignore_ascii_case(b"id") && options.left() > 0 => {
            let read = |id| parse_i64(id).ok_or(CommandError::Refused("ERR Invalid client ID"));
            ids = Some(call.args.from(3).map(read).collect::<Result<_, _>>()?);
        }
        Some(_) => return Err(CommandError::Syntax),
    }
    let mut text = String::new();
    for (session, seen) in call.state.clients.sessions(call.session) {
        let wanted = kind.is_none_or(|kind| kind == Kind::of(session))
            && ids.as_ref().is_none_or(|ids| ids.contains(&session.id));
        if wanted {
            describe(session, seen, &mut text);
        }
    }
    call.reply.verbatim(&text);
    Ok(())
}

/// Whom CLIENT KILL means; all conditions must hold.
struct Target<'a> {
    id: Option<ClientId>,
    kind: Option<Kind>,
    address: Option<&'a [u8]>,
    spare_me: bool,
}

impl<'a> Target<'a> {
    fn parse(mut options: Options<'a>) -> Result<Self, CommandError> {
        let mut target = Self { id: None, kind: None, address: None, spare_me: true };
        while let Some(option) = options.next() {
            let value = options.value()?;
            match option.to_ascii_lowercase().as_slice() {
                b"id" => {
                    let id = parse_i64(value).filter(|id| *id > 0);
                    target.id =
                        Some(id.ok_or(CommandError::Refused("ERR client-id should be greater than 0"))?);
                }
                b"type" => target.kind = Some(Kind::read(value)?),
                b"addr" => target.address = Some(value),
                b"user" if value == b"default" => {}
                b"user" => {
                    return Err(CommandError::RefusedArgument(format!(
                        "ERR No such user '{}'",
                        quoted_name(value)
                    )));
                }
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => target.spare_me = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => target.spare_me = false,
                _ => return Err(CommandError::Syntax),
            }
        }
        Ok(target)
    }

    fn is(&self, session: &Session) -> bool {
        self.id.is_none_or(|id| id == session.id)
            && self.kind.is_none_or(|kind| kind == Kind::of(session))
            && self
                .address
                .is_none_or(|address| session.peer.is_some_and(|peer| peer.to_string().as_bytes() == address))
    }
}

fn kill(call: &mut Call<'_>) -> Result<(), CommandError> {
    let by_address = call.args.len() == 3;
    let target = if by_address {
        Target { id: None, kind: None, address: call.args.get(2), spare_me: false }
    } else {
        Target::parse(Options::from(call.args, 2))?
    };
    let own = call.session.id;
    let hit: Vec<ClientId> = call
        .state
        .clients
        .sessions(call.session)
        .filter(|(session, seen)| {
            !seen.doomed && target.is(session) && !(target.spare_me && session.id == own)
        })
        .map(|(session, _)| session.id)
        .collect();
    for &id in &hit {
        if id == own {
            call.session.closing = true;
        } else {
            call.state.clients.send_away(id, "killed");
        }
    }
    match (by_address, hit.len()) {
        (true, 0) => return Err(CommandError::Refused("ERR No such client")),
        (true, _) => call.reply.ok(),
        (false, count) => call.reply.count(count),
    }
    Ok(())
}

fn no_evict(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.session.no_evict = match &call.args[2] {
        mode if mode.eq_ignore_ascii_case(b"on") => true,
        mode if mode.eq_ignore_ascii_case(b"off") => false,
        _ => return Err(CommandError::Syntax),
    };
    call.reply.ok();
    Ok(())
}

/// A pause under way is only made longer, and WRITE never weakens ALL, as in Redis (`pauseClients`).
fn pause(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut all = true;
    match call.args.get(3) {
        None => {}
        Some(mode) if call.args.len() == 4 && mode.eq_ignore_ascii_case(b"all") => {}
        Some(mode) if call.args.len() == 4 && mode.eq_ignore_ascii_case(b"write") => all = false,
        Some(_) => return Err(CommandError::Refused("ERR CLIENT PAUSE mode must be WRITE or ALL")),
    }
    let millis = parse_i64(&call.args[2])
        .ok_or(CommandError::Refused("ERR timeout is not an integer or out of range"))?;
    let millis = u64::try_from(millis).map_err(|_| CommandError::Refused("ERR timeout is negative"))?;
    let now = Instant::now();
    let until = now
        .checked_add(Duration::from_millis(millis))
        .ok_or(CommandError::Refused("ERR timeout is out of range"))?;
    let (old_until, old_all) = call.state.paused.filter(|(until, _)| *until > now).unwrap_or((now, false));
    call.state.paused = Some((until.max(old_until), all || old_all));
    call.reply.ok();
    Ok(())
}

fn unpause(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.state.paused = None;
    call.state.clients.ring_all();
    call.reply.ok();
    Ok(())
}

fn reply(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.session.replies = match call.args[2].to_ascii_lowercase().as_slice() {
        b"on" => {
            call.reply.ok();
            Replies::On
        }
        b"off" => Replies::Off,
        b"skip" if call.session.replies == Replies::Off => Replies::Off,
        b"skip" => Replies::SkipThisAndNext,
        _ => return Err(CommandError::Syntax),
    };
    Ok(())
}

/// Of Redis 7.2; what it says is checked and forgotten.
fn setinfo(call: &mut Call<'_>) -> Result<(), CommandError> {
    let attribute = &call.args[2];
    if !attribute.eq_ignore_ascii_case(b"lib-name") && !attribute.eq_ignore_ascii_case(b"lib-ver") {
        return Err(CommandError::RefusedArgument(format!(
            "ERR Unrecognized option '{}'",
            quoted_name(attribute)
        )));
    }
    if !is_printable(&call.args[3]) {
        let attribute = quoted_name(attribute);
        return Err(CommandError::RefusedArgument(format!(
            "ERR {attribute} cannot contain spaces, newlines or special characters."
        )));
    }
    call.reply.ok();
    Ok(())
}

fn setname(call: &mut Call<'_>) -> Result<(), CommandError> {
    let name = checked_name(&call.args[2])?;
    call.session.name = name.to_vec();
    call.reply.ok();
    Ok(())
}

/// A client's name, if it may be one.
pub(super) fn checked_name(name: &[u8]) -> Result<&[u8], CommandError> {
    if is_printable(name) {
        Ok(name)
    } else {
        Err(CommandError::Refused("ERR Client names cannot contain spaces, newlines or special characters."))
    }
}

fn is_printable(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_graphic)
}

fn tracking(_: &mut Call<'_>) -> Result<(), CommandError> {
    Err(CommandError::Refused("ERR CLIENT TRACKING is not supported: this server has no client-side caching"))
}

fn unblock(call: &mut Call<'_>) -> Result<(), CommandError> {
    let error = match call.args.get(3) {
        None => None,
        Some(reason) if call.args.len() == 4 && reason.eq_ignore_ascii_case(b"timeout") => None,
        Some(reason) if call.args.len() == 4 && reason.eq_ignore_ascii_case(b"error") => {
            Some("UNBLOCKED client unblocked via CLIENT UNBLOCK")
        }
        Some(_) => {
            return Err(CommandError::Refused("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
        }
    };
    let id = integer(&call.args[2])?;
    let released =
        call.state.clients.ticket(id).is_some_and(|ticket| call.state.waiters.release(ticket, error));
    call.reply.integer(i64::from(released));
    Ok(())
}
