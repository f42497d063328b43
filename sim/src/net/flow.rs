//! One direction of a connection: what keeps its packets in order and its receiver's window open.

use std::{collections::VecDeque, time::Duration};

use turmoil_net::{Packet, TcpSegment};

use super::packet::next_sequence;
use crate::time::{SimTime, ms, secs};

/// Below this the sender is told when the receiver's process has made room. The stack announces room only when a single
/// read takes half the buffer, so a sender that filled the window would otherwise wait for ever.
pub(crate) const LOW_WINDOW: u16 = 16 * 1024;

/// A sender with this many unacknowledged bytes, a quarter of its buffer, must hear of what has arrived.
const MANY_UNACKNOWLEDGED: u32 = 16 * 1024;

/// After how many vain retransmissions a connection is given up (Linux tcp_retries2, tcp_syn_retries).
pub(crate) const RETRIES: u32 = 15;
pub(crate) const SYN_RETRIES: u32 = 6;

#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// No packet is due before this: the stack drops what arrives out of order.
    pub(crate) floor: SimTime,
    /// Packets that TCP keeps sending in vain.
    pub(crate) stalled: VecDeque<Packet>,
    /// How often the oldest stalled packet has been sent again.
    pub(crate) attempt: u32,
    /// A time to send again has been set.
    pub(crate) retrying: bool,
    /// The machines' boots that the connection belongs to: sender's, receiver's.
    pub(crate) boots: (u64, u64),
    /// The sender's process has closed its end.
    pub(crate) orphan: bool,
    /// The sender has sent its FIN.
    pub(crate) finished: bool,
    /// The sender has asked for the connection and not yet confirmed it: the receiver has half of a handshake.
    pub(crate) half_open: bool,
    /// What the receiver has acknowledged, as far as the sender knows.
    pub(crate) acknowledged: u32,
    seq: u32,
    ack: u32,
    window: u16,
    freed: usize,
}

impl Flow {
    /// A flow that begins, between these boots of the sender's and the receiver's machine.
    pub(crate) fn new(boots: (u64, u64)) -> Self {
        Self { boots, ..Self::default() }
    }

    /// Notes what the sender has told about itself.
    pub(crate) fn sent(&mut self, segment: &TcpSegment) {
        self.seq = next_sequence(segment);
        self.ack = segment.ack;
        self.window = segment.window;
        self.freed = 0;
        self.finished |= segment.flags.fin;
        if !segment.flags.rst {
            self.half_open = segment.flags.syn && !segment.flags.ack;
        }
    }

    /// Whether the sender waits, or will soon wait, to hear what has arrived: it has much under way, or opens or closes.
    pub(crate) fn awaits_acknowledgement(&self) -> bool {
        self.finished || self.seq.wrapping_sub(self.acknowledged) >= MANY_UNACKNOWLEDGED
    }

    /// Whether the receiver must hear of the sender's window.
    pub(crate) fn window_is_low(&self) -> bool {
        self.window < LOW_WINDOW
    }

    /// The sender's process has read this many bytes; the window update to send, if its peer needs one.
    pub(crate) fn freed(&mut self, bytes: usize) -> Option<(u32, u32, u16)> {
        if self.window >= LOW_WINDOW {
            return None;
        }
        self.freed += bytes;
        let window = u16::try_from(usize::from(self.window) + self.freed).unwrap_or(u16::MAX);
        if window < LOW_WINDOW {
            return None;
        }
        (self.window, self.freed) = (window, 0);
        Some((self.seq, self.ack, window))
    }

    /// How long TCP waits before it sends again: doubling from 200 ms (1 s for the first SYN) to 120 s
    /// (RFC 6298; Linux TCP_RTO_MIN, TCP_TIMEOUT_INIT, TCP_RTO_MAX).
    pub(crate) fn retransmission_timeout(attempt: u32, opening: bool) -> Duration {
        let first = if opening { secs(1) } else { ms(200) };
        first.saturating_mul(1 << attempt.min(10)).min(secs(120))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_retransmission_timeout_doubles_to_its_bound() {
        let spans: Vec<u128> = (0..4).map(|n| Flow::retransmission_timeout(n, false).as_millis()).collect();
        assert_eq!(spans, [200, 400, 800, 1_600]);
        assert_eq!(Flow::retransmission_timeout(2, true), secs(4));
        assert_eq!(Flow::retransmission_timeout(40, false), secs(120));
    }

    #[test]
    fn a_closed_window_reopens_when_enough_has_been_read() {
        let mut flow = Flow { window: 100, seq: 7, ack: 9, ..Flow::default() };
        assert_eq!(flow.freed(1_000), None);
        assert_eq!(flow.freed(20_000), Some((7, 9, 21_100)));
        assert_eq!(flow.freed(50_000), None, "the peer knows of enough room");
    }
}
