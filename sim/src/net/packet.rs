//! TCP segments as the fabric looks at them, and the few that it makes up itself.

use std::net::SocketAddr;

use bytes::Bytes;
use turmoil_net::{Packet, TcpFlags, TcpSegment, Transport};

/// One direction of a connection: from, to.
pub(crate) type FlowKey = (SocketAddr, SocketAddr);

pub(crate) fn tcp(packet: &Packet) -> Option<&TcpSegment> {
    match &packet.payload {
        Transport::Tcp(segment) => Some(segment),
        Transport::Udp(_) => None,
    }
}

pub(crate) fn key(packet: &Packet, segment: &TcpSegment) -> FlowKey {
    (
        SocketAddr::new(packet.src, segment.src_port),
        SocketAddr::new(packet.dst, segment.dst_port),
    )
}

pub(crate) fn opens(segment: &TcpSegment) -> bool {
    segment.flags.syn && !segment.flags.ack
}

/// Carries nothing that a process could notice: no data, no open, no close.
pub(crate) fn is_pure_ack(segment: &TcpSegment) -> bool {
    let flags = &segment.flags;
    segment.payload.is_empty() && !flags.syn && !flags.fin && !flags.rst
}

/// The sequence number after the segment (RFC 9293, §3.4: SYN and FIN count as one byte each).
pub(crate) fn next_sequence(segment: &TcpSegment) -> u32 {
    let control = u32::from(segment.flags.syn) + u32::from(segment.flags.fin);
    segment
        .seq
        .wrapping_add(segment.payload.len() as u32)
        .wrapping_add(control)
}

/// A reset that looks as if the flow's sender had sent it.
pub(crate) fn reset((from, to): FlowKey) -> Packet {
    let flags = TcpFlags {
        rst: true,
        ack: true,
        ..TcpFlags::default()
    };
    segment((from, to), 0, 0, flags, 0)
}

/// An acknowledgement that announces room for `window` more bytes.
pub(crate) fn window_update(flow: FlowKey, seq: u32, ack: u32, window: u16) -> Packet {
    segment(
        flow,
        seq,
        ack,
        TcpFlags {
            ack: true,
            ..TcpFlags::default()
        },
        window,
    )
}

fn segment((from, to): FlowKey, seq: u32, ack: u32, flags: TcpFlags, window: u16) -> Packet {
    let payload = TcpSegment {
        src_port: from.port(),
        dst_port: to.port(),
        seq,
        ack,
        flags,
        window,
        payload: Bytes::new(),
    };
    Packet {
        src: from.ip(),
        dst: to.ip(),
        ttl: 64,
        payload: Transport::Tcp(payload),
    }
}
