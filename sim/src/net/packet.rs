//! TCP segments as the fabric looks at them, and the few that it makes up itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use turmoil_net::{Packet, TcpFlags, TcpSegment, Transport};

/// The address of the first host; the others follow it.
const FIRST: u32 = Ipv4Addr::new(10, 0, 0, 1).to_bits();

/// The address of the host with this number.
pub(crate) fn address(host: usize) -> IpAddr {
    let host = u32::try_from(host).expect("a world has fewer hosts than there are addresses");
    Ipv4Addr::from_bits(FIRST + host).into()
}

/// One end of a connection: a host, by its number, and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End {
    pub(crate) host: usize,
    pub(crate) port: u16,
}

impl End {
    fn at(ip: IpAddr, port: u16) -> Option<Self> {
        let IpAddr::V4(ip) = ip else { return None };
        let host = ip.to_bits().checked_sub(FIRST)? as usize;
        Some(Self { host, port })
    }
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FlowKey {
    pub(crate) from: End,
    pub(crate) to: End,
}

impl FlowKey {
    /// The flow between two sockets; none when an address is no host's.
    pub(crate) fn between(from: SocketAddr, to: SocketAddr) -> Option<Self> {
        Some(Self { from: End::at(from.ip(), from.port())?, to: End::at(to.ip(), to.port())? })
    }

    /// The flow that a segment belongs to.
    pub(crate) fn of(packet: &Packet, segment: &TcpSegment) -> Option<Self> {
        Some(Self {
            from: End::at(packet.src, segment.src_port)?,
            to: End::at(packet.dst, segment.dst_port)?,
        })
    }

    /// The other direction.
    pub(crate) fn back(self) -> Self {
        Self { from: self.to, to: self.from }
    }
}

pub(crate) fn tcp(packet: &Packet) -> Option<&TcpSegment> {
    match &packet.payload {
        Transport::Tcp(segment) => Some(segment),
        Transport::Udp(_) => None,
    }
}

pub(crate) fn opens(segment: &TcpSegment) -> bool {
    segment.flags.syn && !segment.flags.ack
}

/// Opens, closes or breaks a connection.
pub(crate) fn is_control(segment: &TcpSegment) -> bool {
    segment.flags.syn || segment.flags.fin || segment.flags.rst
}

/// Carries nothing that a process could notice: no data, no open, no close.
pub(crate) fn is_pure_ack(segment: &TcpSegment) -> bool {
    segment.payload.is_empty() && !is_control(segment)
}

/// The sequence number after the segment (RFC 9293, §3.4: SYN and FIN count as one byte each).
pub(crate) fn next_sequence(segment: &TcpSegment) -> u32 {
    let control = u32::from(segment.flags.syn) + u32::from(segment.flags.fin);
    segment.seq.wrapping_add(segment.payload.len() as u32).wrapping_add(control)
}

/// A reset that looks as if the flow's sender had sent it.
pub(crate) fn reset(flow: FlowKey) -> Packet {
    let flags = TcpFlags { rst: true, ack: true, ..TcpFlags::default() };
    segment(flow, 0, 0, flags, 0)
}

/// An acknowledgement that announces room for `window` more bytes.
pub(crate) fn window_update(flow: FlowKey, seq: u32, ack: u32, window: u16) -> Packet {
    segment(flow, seq, ack, TcpFlags { ack: true, ..TcpFlags::default() }, window)
}

fn segment(FlowKey { from, to }: FlowKey, seq: u32, ack: u32, flags: TcpFlags, window: u16) -> Packet {
    let payload =
        TcpSegment { src_port: from.port, dst_port: to.port, seq, ack, flags, window, payload: Bytes::new() };
    Packet { src: address(from.host), dst: address(to.host), ttl: 64, payload: Transport::Tcp(payload) }
}
