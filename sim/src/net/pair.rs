//! One direction between two hosts: how long its packets take, and what makes them take longer.

use std::time::Duration;

use super::flow::{Flow, RETRIES};
use crate::{
    draw::Draw,
    plan::NetFault,
    time::{SimTime, ms},
};

/// The ordinary latency of a link: whole milliseconds, uniform between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkProfile {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}

impl Default for LinkProfile {
    fn default() -> Self {
        Self { least: ms(1), most: ms(5) }
    }
}

/// One direction between two hosts.
pub(super) struct Pair {
    profile: LinkProfile,
    latency: Draw,
    spike: Draw,
    loss: Draw,
    /// Until when a slow line is busy with earlier packets.
    busy: SimTime,
}

impl Pair {
    pub(super) fn new(seed: u64, from: &str, to: &str, profile: LinkProfile) -> Self {
        let link = format!("{from}>{to}");
        Self {
            profile,
            latency: Draw::new(seed, "net.latency", &link),
            spike: Draw::new(seed, "net.spike", &link),
            loss: Draw::new(seed, "net.loss", &link),
            busy: SimTime::ZERO,
        }
    }

    /// The ordinary latency of the next packet.
    pub(super) fn latency(&mut self) -> Duration {
        self.latency.span(self.profile.least, self.profile.most + ms(1))
    }

    /// How much longer the next packet takes because of a fault.
    pub(super) fn slowdown(
        &mut self,
        fault: &NetFault,
        (src, dst): (&str, &str),
        now: SimTime,
        size: u64,
    ) -> Duration {
        match fault {
            NetFault::Latency { link, least, most } if link.carries(src, dst) => {
                self.spike.span(*least, *most + ms(1))
            }
            NetFault::Loss { link, percent } if link.carries(src, dst) => {
                let lost = (0..RETRIES).take_while(|_| self.loss.chance(*percent)).count() as u32;
                (0..lost).map(|attempt| Flow::retransmission_timeout(attempt, false)).sum()
            }
            NetFault::Bandwidth { link, rate } if link.carries(src, dst) => {
                let sending = Duration::from_micros(size * 1_000_000 / rate);
                self.busy = self.busy.max(now) + sending;
                self.busy.since(now)
            }
            _ => Duration::ZERO,
        }
    }
}
