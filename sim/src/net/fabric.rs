//! What happens to packets between hosts: latency, loss, order, obstacles.
//!
//! The stack of each host is `turmoil-net`'s, with its own retransmission switched off, for it counts calls instead of
//! time. So a lost packet is not dropped here but comes late, as if TCP had sent it again; a packet that meets a
//! partition waits in its flow and is sent again at TCP's doubling intervals until the way is free. Pure
//! acknowledgements, which no process can notice, travel at once if their receiver waits for them, and otherwise not at
//! all: a later packet of the same flow says the same.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use turmoil_net::{Packet, TcpSegment};

use super::{
    flow::{Flow, LOW_WINDOW, RETRIES, SYN_RETRIES},
    packet::{FlowKey, is_control, is_pure_ack, next_sequence, opens, reset, tcp, window_update},
    pair::{LinkProfile, Pair},
    queue::{Queue, What},
};
use crate::{
    plan::{Link, NetFault},
    recorder::Recorder,
    time::{SimTime, secs},
};

/// How long a closed connection is remembered (TIME_WAIT of Linux).
const FORGET_AFTER: Duration = secs(60);

/// The profile of the link between two hosts, by their names.
pub(crate) type Profile = Box<dyn Fn(&str, &str) -> LinkProfile + Send>;

pub(crate) struct Node {
    pub(crate) name: Arc<str>,
    pub(crate) powered: bool,
    pub(crate) boots: u64,
}

pub(crate) struct Fabric {
    recorder: Arc<Recorder>,
    nodes: Vec<Node>,
    seed: u64,
    profile: Profile,
    /// By sender and receiver; made when the first packet goes from one to the other.
    pairs: Vec<Option<Box<Pair>>>,
    faults: Vec<(usize, NetFault)>,
    flows: BTreeMap<FlowKey, Flow>,
    queue: Queue,
    /// What has arrived makes a stack answer by itself, before any process does.
    answers_due: bool,
}

impl Fabric {
    pub(crate) fn new(seed: u64, nodes: Vec<Node>, recorder: Arc<Recorder>, profile: Profile) -> Self {
        let pairs = (0..nodes.len() * nodes.len()).map(|_| None).collect();
        Self {
            recorder,
            nodes,
            seed,
            profile,
            pairs,
            faults: Vec::new(),
            flows: BTreeMap::new(),
            queue: Queue::default(),
            answers_due: false,
        }
    }

    /// When the next packet is due.
    pub(crate) fn next_due(&self) -> Option<SimTime> {
        self.queue.next()
    }

    /// The flow that a segment belongs to, if it is one between hosts of this world.
    fn flow_of(&self, packet: &Packet, segment: &TcpSegment) -> Option<FlowKey> {
        let known = |flow_key: &FlowKey| flow_key.from.host.max(flow_key.to.host) < self.nodes.len();
        FlowKey::of(packet, segment).filter(known)
    }

    /// Takes a packet from a host's stack; what is to be delivered this instant goes to `deliver`.
    pub(crate) fn send(&mut self, now: SimTime, packet: Packet, deliver: &mut Vec<Packet>) {
        let Some(segment) = tcp(&packet) else { return };
        let Some(flow_key) = self.flow_of(&packet, segment) else {
            return;
        };
        let (from, to) = (flow_key.from.host, flow_key.to.host);
        if !self.nodes[from].powered {
            return;
        }
        let opening = opens(segment);
        let pure_ack = is_pure_ack(segment);
        if pure_ack && self.is_superfluous(flow_key, segment) {
            return;
        }
        let numbers = [(from as u64) << 32 | to as u64, u64::from(next_sequence(segment))];
        self.recorder.note("net.packet", &self.nodes[from].name, numbers, &segment.payload);
        if opening {
            let boots = (self.nodes[from].boots, self.nodes[to].boots);
            self.flows.insert(flow_key, Flow::new(boots));
            self.flows.insert(flow_key.back(), Flow::new((boots.1, boots.0)));
            if let Some(entry) = self.refuses(to) {
                self.recorder.bite(entry);
                let there_and_back = self.latency(now, from, to, 0) + self.latency(now, to, from, 0);
                self.queue.push(now + there_and_back, What::Deliver(reset(flow_key.back())));
                return;
            }
        }
        if let Some(flow) = self.flows.get_mut(&flow_key) {
            flow.sent(segment);
            if !flow.stalled.is_empty() {
                stall(flow, packet);
                return;
            }
        }
        match self.obstacle(from, to, opening) {
            Some(obstacle) => self.obstruct(now, flow_key, packet, obstacle),
            None if pure_ack => {
                self.acknowledge(flow_key, segment.ack);
                deliver.push(packet);
            }
            None => self.dispatch(now, flow_key, packet),
        }
    }

    /// Whether nobody waits for this acknowledgement. The stack keeps the promise of an earlier window, so its peer may go
    /// on by that.
    fn is_superfluous(&self, flow_key: FlowKey, segment: &TcpSegment) -> bool {
        let told =
            self.flows.get(&flow_key).is_some_and(|flow| !flow.window_is_low() && flow.stalled.is_empty());
        let waits = self.flows.get(&flow_key.back()).is_none_or(Flow::awaits_acknowledgement);
        told && !waits && segment.window >= LOW_WINDOW
    }

    /// The other end of a flow hears what has arrived.
    fn acknowledge(&mut self, flow_key: FlowKey, ack: u32) {
        if let Some(flow) = self.flows.get_mut(&flow_key.back()) {
            flow.acknowledged = ack;
        }
    }

    /// Puts a packet on its way.
    fn dispatch(&mut self, now: SimTime, flow_key: FlowKey, packet: Packet) {
        let mut at = now + self.latency(now, flow_key.from.host, flow_key.to.host, packet.size().into());
        if let Some(flow) = self.flows.get_mut(&flow_key) {
            at = at.max(flow.floor);
            flow.floor = at;
        }
        self.queue.push(at, What::Deliver(packet));
    }

    fn obstruct(&mut self, now: SimTime, flow_key: FlowKey, packet: Packet, obstacle: Obstacle) {
        if let Some(entry) = obstacle.entry {
            self.recorder.bite(entry);
        }
        let opening = tcp(&packet).is_some_and(opens);
        let Some(flow) = self.flows.get_mut(&flow_key) else {
            return;
        };
        flow.attempt = 0;
        stall(flow, packet);
        if !obstacle.held {
            self.retry_later(now, flow_key, opening);
        }
    }

    fn retry_later(&mut self, now: SimTime, flow_key: FlowKey, opening: bool) {
        let Some(flow) = self.flows.get_mut(&flow_key) else {
            return;
        };
        if !std::mem::replace(&mut flow.retrying, true) {
            let at = now + Flow::retransmission_timeout(flow.attempt, opening);
            self.queue.push(at, What::Retry(flow_key));
        }
    }

    /// Takes what is due by now; what is to be delivered goes to `deliver`, in order. True when the stacks' answers must
    /// be collected at once; otherwise it is enough to do so when a process has said something.
    pub(crate) fn take_due(&mut self, now: SimTime, deliver: &mut Vec<Packet>) -> bool {
        self.answers_due = false;
        while let Some(what) = self.queue.pop(now) {
            match what {
                What::Deliver(packet) => self.arrive(now, packet, deliver),
                What::Retry(flow_key) => self.retry(now, flow_key),
                What::Forget(flow_key) => self.forget(flow_key),
            }
        }
        self.answers_due
    }

    fn arrive(&mut self, now: SimTime, packet: Packet, deliver: &mut Vec<Packet>) {
        let Some(segment) = tcp(&packet) else { return };
        let Some(flow_key) = self.flow_of(&packet, segment) else {
            return;
        };
        let back = flow_key.back();
        let (from, to) = (flow_key.from.host, flow_key.to.host);
        if !self.nodes[to].powered {
            return self.obstruct(now, flow_key, packet, Obstacle { entry: None, held: false });
        }
        if opens(segment) {
            // Whoever answers, it is the machine as it is now.
            let boots = self.nodes[to].boots;
            self.flows.entry(flow_key).and_modify(|flow| flow.boots.1 = boots);
            self.flows.entry(back).and_modify(|flow| flow.boots.0 = boots);
        }
        let flow = self.flows.get(&flow_key);
        let stale = flow.is_some_and(|flow| flow.boots.1 != self.nodes[to].boots);
        let answered_at_once = flow.is_none_or(Flow::awaits_acknowledgement)
            || is_control(segment)
            || segment.payload.is_empty();
        let orphan = match self.flows.get_mut(&back) {
            Some(flow) => {
                flow.acknowledged = segment.ack;
                flow.orphan
            }
            None => false,
        };
        let closed = orphan && !segment.payload.is_empty();
        self.answers_due |= answered_at_once || stale || closed;
        if segment.flags.rst {
            // The stack never forgets a handshake that is reset, and with it the port stays in use; one that is left alone
            // goes with its listener.
            let unfinished = self.flows.remove(&flow_key).is_some_and(|flow| flow.half_open);
            self.flows.remove(&back);
            if !unfinished {
                deliver.push(packet);
            }
        } else if stale || closed {
            // Nobody is there to read: the machine answers with a reset and forgets the connection.
            let latency = self.latency(now, to, from, 0);
            self.queue.push(now + latency, What::Deliver(reset(back)));
            if closed && !stale {
                deliver.push(reset(flow_key));
            }
        } else {
            deliver.push(packet);
        }
    }

    fn retry(&mut self, now: SimTime, flow_key: FlowKey) {
        let (from, to) = (flow_key.from.host, flow_key.to.host);
        let Some(flow) = self.flows.get_mut(&flow_key) else {
            return;
        };
        flow.retrying = false;
        let Some(opening) = flow.stalled.front().map(|packet| tcp(packet).is_some_and(opens)) else {
            return;
        };
        flow.attempt += 1;
        let attempt = flow.attempt;
        let obstacle =
            if self.nodes[to].powered { self.obstacle(from, to, opening) } else { Some(Obstacle::default()) };
        match obstacle {
            None => self.release(now, flow_key),
            Some(_) if attempt >= if opening { SYN_RETRIES } else { RETRIES } => {
                self.give_up(now, flow_key, opening)
            }
            Some(_) => self.retry_later(now, flow_key, opening),
        }
    }

    /// Sends on what has waited in a flow.
    fn release(&mut self, now: SimTime, flow_key: FlowKey) {
        let Some(flow) = self.flows.get_mut(&flow_key) else {
            return;
        };
        for packet in std::mem::take(&mut flow.stalled) {
            self.dispatch(now, flow_key, packet);
        }
    }

    fn give_up(&mut self, now: SimTime, flow_key: FlowKey, opening: bool) {
        if let Some(flow) = self.flows.get_mut(&flow_key) {
            flow.stalled.clear();
        }
        if !opening {
            // Only the sender knows; what it sent last is what the other end has.
            self.queue.push(now, What::Deliver(reset(flow_key.back())));
        }
    }

    fn forget(&mut self, flow_key: FlowKey) {
        let back = flow_key.back();
        let closed = |key: &FlowKey| self.flows.get(key).is_none_or(|flow| flow.orphan && flow.finished);
        if closed(&flow_key) && closed(&back) {
            self.flows.remove(&flow_key);
            self.flows.remove(&back);
        }
    }

    /// How long a packet takes from one host to another, with every fault that makes it slower.
    fn latency(&mut self, now: SimTime, from: usize, to: usize, size: u64) -> Duration {
        let (src, dst) = (&*self.nodes[from].name, &*self.nodes[to].name);
        let pair = self.pairs[from * self.nodes.len() + to]
            .get_or_insert_with(|| Box::new(Pair::new(self.seed, src, dst, (self.profile)(src, dst))));
        let mut latency = pair.latency();
        for (entry, fault) in &self.faults {
            let more = pair.slowdown(fault, (src, dst), now, size);
            if !more.is_zero() {
                self.recorder.bite(*entry);
            }
            latency += more;
        }
        latency
    }

    /// What keeps a packet from travelling, if anything does.
    fn obstacle(&self, from: usize, to: usize, opening: bool) -> Option<Obstacle> {
        let (src, dst) = (&*self.nodes[from].name, &*self.nodes[to].name);
        self.faults.iter().find_map(|(entry, fault)| {
            let (obstructed, held) = match fault {
                NetFault::Partition(link) => (link.carries(src, dst), false),
                NetFault::Hold(link) => (link.carries(src, dst), true),
                NetFault::ConnectTimeout(link) => (opening && link.carries(src, dst), false),
                NetFault::BlackHole(host) => (**host == *src || **host == *dst, false),
                _ => (false, false),
            };
            obstructed.then_some(Obstacle { entry: Some(*entry), held })
        })
    }

    fn refuses(&self, to: usize) -> Option<usize> {
        let name = &*self.nodes[to].name;
        self.faults.iter().find_map(|(entry, fault)| match fault {
            NetFault::Refuse(host) if host == name => Some(*entry),
            _ => None,
        })
    }

    /// The fault that keeps a name from being resolved.
    pub(crate) fn unresolvable(&self, name: &str) -> Option<usize> {
        self.faults.iter().find_map(|(entry, fault)| match fault {
            NetFault::Dns(host) if host == name => Some(*entry),
            _ => None,
        })
    }

    /// Begins a fault; one that is over at once has its effect now.
    pub(crate) fn begin(&mut self, entry: usize, fault: &NetFault, deliver: &mut Vec<Packet>) {
        let hit = match fault {
            NetFault::Reset(link) => self.reset_all(link, deliver),
            NetFault::HalfOpen(link) => self.half_open(link, deliver),
            lasting => {
                self.faults.push((entry, lasting.clone()));
                return;
            }
        };
        if hit {
            self.recorder.bite(entry);
        }
    }

    pub(crate) fn end(&mut self, now: SimTime, entry: usize) {
        let Some(position) = self.faults.iter().position(|(active, _)| *active == entry) else {
            return;
        };
        if let (_, NetFault::Hold(link)) = self.faults.remove(position) {
            for flow_key in self.carried(&link) {
                match self.obstacle(flow_key.from.host, flow_key.to.host, false) {
                    None => self.release(now, flow_key),
                    Some(_) => self.retry_later(now, flow_key, false),
                }
            }
        }
    }

    /// The flows whose packets travel a link.
    fn carried(&self, link: &Link) -> Vec<FlowKey> {
        let name = |host: usize| &*self.nodes[host].name;
        let on_link = |key: &&FlowKey| link.carries(name(key.from.host), name(key.to.host));
        self.flows.keys().filter(on_link).copied().collect()
    }

    fn reset_all(&mut self, link: &Link, deliver: &mut Vec<Packet>) -> bool {
        let both_ways = Link { both: true, ..link.clone() };
        let hit = self.carried(&both_ways);
        for flow_key in &hit {
            self.flows.remove(flow_key);
            deliver.push(reset(*flow_key));
        }
        !hit.is_empty()
    }

    fn half_open(&mut self, link: &Link, deliver: &mut Vec<Packet>) -> bool {
        // The end that forgets is the one which the reset, seemingly from its peer, reaches.
        let towards = Link { from: link.to.clone(), to: link.from.clone(), both: false };
        let hit = self.carried(&towards);
        for flow_key in &hit {
            if let Some(forgotten) = self.flows.get_mut(&flow_key.back()) {
                forgotten.orphan = true;
            }
            deliver.push(reset(*flow_key));
        }
        !hit.is_empty()
    }

    /// A machine's power goes or comes. When it goes, its sockets vanish without a word to anybody.
    pub(crate) fn set_power(&mut self, host: usize, powered: bool, boots: u64, deliver: &mut Vec<Packet>) {
        self.nodes[host].powered = powered;
        self.nodes[host].boots = boots;
        if powered {
            return;
        }
        let of_host: Vec<FlowKey> = self.flows.keys().filter(|key| key.from.host == host).copied().collect();
        for flow_key in of_host {
            if let Some(flow) = self.flows.get_mut(&flow_key) {
                flow.stalled.clear();
            }
            // Half of a handshake goes with its listener; see `arrive`.
            if !self.flows.get(&flow_key.back()).is_some_and(|back| back.half_open) {
                deliver.push(reset(flow_key.back()));
            }
        }
    }

    /// Takes away the sockets that closed processes of a host have left, on one port or on all.
    pub(crate) fn reap(&mut self, host: usize, port: Option<u16>, deliver: &mut Vec<Packet>) {
        let left = |(FlowKey { from, .. }, flow): &(&FlowKey, &Flow)| {
            from.host == host && flow.orphan && port.is_none_or(|port| from.port == port)
        };
        let left: Vec<FlowKey> = self.flows.iter().filter(left).map(|(flow_key, _)| *flow_key).collect();
        for flow_key in left {
            self.flows.remove(&flow_key);
            deliver.push(reset(flow_key.back()));
        }
    }

    /// A process has read from the socket that sends this flow. True when a window update has to go out.
    pub(crate) fn read_by_process(&mut self, flow_key: FlowKey, bytes: usize) -> bool {
        let Some(flow) = self.flows.get_mut(&flow_key) else {
            return false;
        };
        let Some((seq, ack, window)) = flow.freed(bytes) else {
            return false;
        };
        let update = window_update(flow_key, seq, ack, window);
        self.queue.push(SimTime::ZERO, What::Deliver(update));
        true
    }

    /// A process has closed the socket that sends this flow.
    pub(crate) fn closed_by_process(&mut self, flow_key: FlowKey) {
        if let Some(flow) = self.flows.get_mut(&flow_key) {
            flow.orphan = true;
            let at = self.recorder.now() + FORGET_AFTER;
            self.queue.push(at, What::Forget(flow_key));
        }
    }
}

/// What keeps a packet from travelling.
#[derive(Default)]
struct Obstacle {
    /// The fault that does it; none when it is the lack of power at the other end.
    entry: Option<usize>,
    /// It is kept until the fault ends, instead of being sent again.
    held: bool,
}

/// Adds a packet to those that wait, in the order of their sequence numbers: one that was on its way when the obstacle
/// came arrives here after one that was sent later.
fn stall(flow: &mut Flow, packet: Packet) {
    let sequence = |packet: &Packet| tcp(packet).map_or(0, |segment| segment.seq);
    let number = sequence(&packet);
    let later = |waiting: &Packet| sequence(waiting).wrapping_sub(number).cast_signed() > 0;
    let position = flow.stalled.iter().position(later).unwrap_or(flow.stalled.len());
    flow.stalled.insert(position, packet);
}
