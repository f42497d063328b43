//! Publish and subscribe: PSUBSCRIBE, PUBLISH, PUBSUB, PUNSUBSCRIBE, SUBSCRIBE, UNSUBSCRIBE.
//!
//! A message is encoded once for each protocol version, however many listen.

use std::collections::BTreeSet;

use super::{Call, Command, Flag::NoScript, at_least, dispatch_subcommand, exactly, quoted_name};
use crate::{
    clients::{ClientId, Clients, OutputLimit},
    connection::Session,
    db::Key,
    error::CommandError,
    glob,
    pubsub::{PubSub, Topics},
    resp::{Protocol, Reply},
    server::State,
};

pub(super) const COMMANDS: &[Command] = &[
    at_least("psubscribe", 2, |call| subscribe(call, &PATTERNS)).flags(&[NoScript]),
    exactly("publish", 3, publish),
    at_least("pubsub", 2, pubsub).containing(PUBSUB_SUBCOMMANDS),
    at_least("punsubscribe", 1, |call| unsubscribe(call, &PATTERNS)).flags(&[NoScript]),
    at_least("subscribe", 2, |call| subscribe(call, &CHANNELS)).flags(&[NoScript]),
    at_least("unsubscribe", 1, |call| unsubscribe(call, &CHANNELS)).flags(&[NoScript]),
];

pub(super) const PUBSUB_SUBCOMMANDS: &[Command] = &[
    at_least("channels", 2, pubsub_channels),
    exactly("numpat", 2, pubsub_numpat),
    at_least("numsub", 2, pubsub_numsub),
];

/// Channels and patterns are subscribed to in the same way.
struct Kind {
    subscribed: &'static [u8],
    unsubscribed: &'static [u8],
    topics: fn(&mut PubSub) -> &mut Topics,
    own: fn(&mut Session) -> &mut BTreeSet<Key>,
}

const CHANNELS: Kind = Kind {
    subscribed: b"subscribe",
    unsubscribed: b"unsubscribe",
    topics: |pubsub| &mut pubsub.channels,
    own: |session| &mut session.subscriptions.channels,
};

const PATTERNS: Kind = Kind {
    subscribed: b"psubscribe",
    unsubscribed: b"punsubscribe",
    topics: |pubsub| &mut pubsub.patterns,
    own: |session| &mut session.subscriptions.patterns,
};

fn subscribe(call: &mut Call<'_>, kind: &Kind) -> Result<(), CommandError> {
    for name in call.args.from(1) {
        let name = (kind.topics)(&mut call.state.pubsub).insert(call.session.id, name);
        (kind.own)(call.session).insert(name.clone());
        confirm(call, kind.subscribed, Some(&name));
    }
    Ok(())
}

fn unsubscribe(call: &mut Call<'_>, kind: &Kind) -> Result<(), CommandError> {
    if call.args.len() == 1 {
        let all = std::mem::take((kind.own)(call.session));
        if all.is_empty() {
            confirm(call, kind.unsubscribed, None);
        }
        let mut left = all.len() + call.session.subscriptions.len();
        for name in all {
            (kind.topics)(&mut call.state.pubsub).remove(call.session.id, &name);
            left -= 1;
            confirm_with(&mut call.reply, kind.unsubscribed, Some(&name), left);
        }
        return Ok(());
    }
    for name in call.args.from(1) {
        if (kind.own)(call.session).remove(name) {
            (kind.topics)(&mut call.state.pubsub).remove(call.session.id, name);
        }
        confirm(call, kind.unsubscribed, Some(name));
    }
    Ok(())
}

fn confirm(call: &mut Call<'_>, what: &[u8], name: Option<&[u8]>) {
    confirm_with(&mut call.reply, what, name, call.session.subscriptions.len());
}

fn confirm_with(reply: &mut Reply<'_>, what: &[u8], name: Option<&[u8]>, subscriptions: usize) {
    reply.push(3);
    reply.bulk(what);
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.count(subscriptions);
}

fn publish(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (channel, message) = (&call.args[1], &call.args[2]);
    let State { pubsub, clients, config, .. } = &mut *call.state;
    let mut delivery = Delivery {
        clients,
        limit: config.pubsub_limit,
        publisher: call.session.id,
        reply: &mut call.reply,
        receivers: 0,
    };
    if let Some(subscribers) = pubsub.channels.subscribers(channel) {
        delivery.send(subscribers, &[b"message", channel, message]);
    }
    for (pattern, subscribers) in pubsub.matching(channel) {
        delivery.send(subscribers, &[b"pmessage", pattern, channel, message]);
    }
    let receivers = delivery.receivers;
    call.reply.count(receivers);
    Ok(())
}

/// One PUBLISH under way.
struct Delivery<'a, 'r> {
    clients: &'a mut Clients,
    limit: OutputLimit,
    publisher: ClientId,
    /// Where the publisher's own messages go: before the answer, as in Redis 7.0.
    reply: &'a mut Reply<'r>,
    receivers: usize,
}

impl Delivery<'_, '_> {
    fn send(&mut self, subscribers: &BTreeSet<ClientId>, frame: &[&[u8]]) {
        let mut encoded = [None, None];
        for &subscriber in subscribers {
            if subscriber == self.publisher {
                write_frame(self.reply, frame);
            } else {
                self.clients.send(subscriber, self.limit, |protocol| {
                    let slot = usize::from(protocol == Protocol::Resp3);
                    encoded[slot].get_or_insert_with(|| encode(frame, protocol))
                });
            }
            self.receivers += 1;
        }
    }
}

fn encode(frame: &[&[u8]], protocol: Protocol) -> Vec<u8> {
    let mut out = Vec::with_capacity(frame.iter().map(|part| part.len() + 16).sum());
    write_frame(&mut Reply::new(&mut out, protocol), frame);
    out
}

fn write_frame(reply: &mut Reply<'_>, frame: &[&[u8]]) {
    reply.push(frame.len());
    frame.iter().for_each(|part| reply.bulk(part));
}

fn pubsub(call: &mut Call<'_>) -> Result<(), CommandError> {
    dispatch_subcommand(call, "pubsub", PUBSUB_SUBCOMMANDS)
}

fn pubsub_channels(call: &mut Call<'_>) -> Result<(), CommandError> {
    if call.args.len() > 3 {
        return Err(CommandError::RefusedArgument(format!(
            "ERR unknown subcommand or wrong number of arguments for '{}'. Try PUBSUB HELP.",
            quoted_name(&call.args[1])
        )));
    }
    let pattern = call.args.get(2);
    let listed = |name: &&Key| pattern.is_none_or(|pattern| glob::matches(pattern, name));
    let channels = &call.state.pubsub.channels;
    call.reply.array(channels.names().filter(listed).count());
    channels.names().filter(listed).for_each(|name| call.reply.bulk(name));
    Ok(())
}

fn pubsub_numpat(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.count(call.state.pubsub.patterns.len());
    Ok(())
}

fn pubsub_numsub(call: &mut Call<'_>) -> Result<(), CommandError> {
    let channels = &call.state.pubsub.channels;
    call.reply.array(2 * (call.args.len() - 2));
    for channel in call.args.from(2) {
        call.reply.bulk(channel);
        call.reply.count(channels.subscribers(channel).map_or(0, |subscribers| subscribers.len()));
    }
    Ok(())
}
