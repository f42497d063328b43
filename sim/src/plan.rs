//! Faults as data: what is broken, when, for how long – written, printed, parsed, stored and replayed as text.
//!
//! One fault a line; `#` begins a comment line:
//!
//! ```text
//! 40.250s  net partition trader|bus  for 12s
//! on order.sent #3 +250ms  disk full ledger after 117B  for 20s
//! 90.000s  peer bus evict lock:leader
//! ```
//!
//! A fault begins at a time, or at the n-th event of a name (and a span later); it ends after its `for`, or, without
//! one, when the run is healed.

mod build;
mod fault;
mod parse;

use std::{fmt, time::Duration};

pub use build::{ClockInject, DiskInject, HostInject, Inject, NetInject};
pub use fault::{ClockFault, DiskFault, Fault, HostFault, Link, NetFault, Survival};
pub use parse::PlanError;

use faults::Span;

use crate::time::SimTime;

/// When a fault begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// At a time of the run.
    At(SimTime),
    /// `delay` after the `nth` event (from 1) with this name. Survives an edit of the program better than a time.
    On {
        /// The event's name.
        event: String,
        /// Which occurrence, from 1.
        nth: u64,
        /// How long after it.
        delay: Duration,
    },
}

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it begins.
    pub when: When,
    /// What is broken.
    pub fault: Fault,
    /// How long it lasts; `None`: until the run is healed, or the fault is over at once by its nature.
    pub lasting: Option<Duration>,
}

impl Entry {
    /// Ends the fault this long after it began.
    ///
    /// # Panics
    /// When the fault is over at once by its nature (a reset has no duration).
    pub fn lasting(&mut self, span: Duration) {
        assert!(self.fault.lasts(), "`{}` is over at once and cannot last {span:?}", self.fault);
        self.lasting = Some(span);
    }
}

/// The faults of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they were written.
    pub entries: Vec<Entry>,
}

impl Plan {
    /// A fault that begins at `elapsed` after the start of the run.
    pub fn at(&mut self, elapsed: Duration) -> Inject<'_> {
        Inject::new(self, When::At(SimTime::after(elapsed)))
    }

    /// A fault that begins at the `nth` event (from 1) named `event`.
    pub fn on(&mut self, event: &str, nth: u64) -> Inject<'_> {
        Inject::new(self, When::On { event: event.into(), nth, delay: Duration::ZERO })
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// The first line that is no fault, with what was expected there.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        parse::plan(text)
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => write!(f, "{time}"),
            Self::On { event, nth, delay } => {
                write!(f, "on {event} #{nth}")?;
                if delay.is_zero() { Ok(()) } else { write!(f, " +{}", Span(*delay)) }
            }
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.when, self.fault)?;
        match self.lasting {
            Some(span) => write!(f, "  for {}", Span(span)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            writeln!(f, "{entry}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::{ms, secs};

    #[test]
    fn the_builder_writes_what_the_parser_reads() {
        let mut plan = Plan::default();
        plan.at(ms(40_250)).net().partition("trader", "bus").lasting(secs(12));
        plan.on("order.sent", 3).after(ms(250)).disk("ledger").full_after(117).lasting(secs(20));
        plan.at(secs(1)).host("trader").kill();
        plan.at(secs(2)).peer("bus", "evict lock:leader");
        let text = "40.250s  net partition trader|bus  for 12s\n\
                    on order.sent #3 +250ms  disk full ledger after 117B  for 20s\n\
                    1.000s  host kill trader\n\
                    2.000s  peer bus evict lock:leader\n";
        assert_eq!(plan.to_string(), text);
        assert_eq!(Plan::parse(text), Ok(plan));
    }

    fn name() -> impl Strategy<Value = String> {
        "[a-z][a-z0-9_-]{0,8}"
    }

    fn millis() -> impl Strategy<Value = Duration> {
        (0_u64..100_000_000).prop_map(Duration::from_millis)
    }

    fn link() -> impl Strategy<Value = Link> {
        (name(), prop_oneof![name(), Just("*".to_string())], any::<bool>())
            .prop_map(|(from, to, both)| Link { from, to, both })
    }

    fn net() -> impl Strategy<Value = NetFault> {
        let spans = (millis(), millis()).prop_map(|(a, b)| (a.min(b), a.max(b)));
        prop_oneof![
            link().prop_map(NetFault::Partition),
            (link(), spans).prop_map(|(link, (least, most))| NetFault::Latency { link, least, most }),
            (link(), 1_u64..=100).prop_map(|(link, percent)| NetFault::Loss { link, percent }),
            (link(), 1_u64..1_000_000).prop_map(|(link, rate)| NetFault::Bandwidth { link, rate }),
            link().prop_map(NetFault::Hold),
            link().prop_map(NetFault::Reset),
            link().prop_map(NetFault::HalfOpen),
            name().prop_map(NetFault::Refuse),
            name().prop_map(NetFault::BlackHole),
            link().prop_map(NetFault::ConnectTimeout),
            name().prop_map(NetFault::Dns),
        ]
    }

    fn disk() -> impl Strategy<Value = DiskFault> {
        let path = "[a-z]{1,6}(/[a-z._]{1,6})?";
        prop_oneof![
            (0_u64..1_000_000).prop_map(|bytes| DiskFault::FullAfter { bytes }),
            Just(DiskFault::FsyncFails),
            Just(DiskFault::ShortWrites),
            Just(DiskFault::ShortReads),
            Just(DiskFault::ReadOnly),
            Just(DiskFault::LoseUnsynced),
            (millis(), millis()).prop_map(|(a, b)| DiskFault::Slow { least: a.min(b), most: a.max(b) }),
            (path, any::<u32>(), 1_u64..999).prop_map(|(path, at, len)| DiskFault::Corrupt {
                path,
                offset: at.into(),
                len
            }),
            path.prop_map(|path| DiskFault::Vanish { path }),
        ]
    }

    fn host() -> impl Strategy<Value = HostFault> {
        prop_oneof![
            Just(HostFault::Kill),
            Just(HostFault::Restart),
            Just(HostFault::Stop),
            proptest::option::of(proptest::sample::select(Survival::ALL.to_vec()))
                .prop_map(HostFault::PowerLoss),
            Just(HostFault::Pause),
            (millis(), millis()).prop_map(|(a, b)| HostFault::Slow { least: a.min(b), most: a.max(b) }),
            (0_u64..=100).prop_map(|percent| HostFault::Memory { percent }),
        ]
    }

    fn fault() -> impl Strategy<Value = Fault> {
        let clock = prop_oneof![
            (-99_999_999_i64..99_999_999).prop_map(|millis| ClockFault::Step { millis }),
            (-99_999_i64..99_999).prop_map(|ppm| ClockFault::Drift { ppm }),
        ];
        prop_oneof![
            net().prop_map(Fault::Net),
            (name(), disk()).prop_map(|(host, fault)| Fault::Disk { host, fault }),
            (name(), host()).prop_map(|(host, fault)| Fault::Host { host, fault }),
            (name(), clock).prop_map(|(host, fault)| Fault::Clock { host, fault }),
            (name(), "[a-e]{1,4}( [a-z0-9:%.]{1,6}){0,3}")
                .prop_filter("`for` begins the duration", |(_, words)| words.split(' ').all(|w| w != "for"))
                .prop_map(|(host, words)| Fault::Peer { host, words }),
        ]
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let when =
            prop_oneof![
                millis().prop_map(|span| When::At(SimTime::after(span))),
                ("[a-z]{1,5}\\.[a-z_]{1,9}", 1_u64..1_000, millis())
                    .prop_map(|(event, nth, delay)| When::On { event, nth, delay }),
            ];
        (when, fault(), proptest::option::of(millis())).prop_map(|(when, fault, lasting)| {
            let lasting = lasting.filter(|_| fault.lasts());
            Entry { when, fault, lasting }
        })
    }

    proptest! {
        #[test]
        fn every_plan_is_read_back_as_it_is_written(entries in proptest::collection::vec(entry(), 0..8)) {
            let plan = Plan { entries };
            prop_assert_eq!(Plan::parse(&plan.to_string()), Ok(plan));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(?s).{0,200}") {
            let _ = Plan::parse(&text);
        }

        #[test]
        fn a_damaged_plan_is_read_or_refused_with_its_line(entry in entry(), cut in 0_usize..80) {
            let text = entry.to_string();
            let damaged: String = text.chars().take(cut).collect();
            if let Err(error) = Plan::parse(&damaged) {
                prop_assert_eq!(error.line, 1);
            }
        }
    }
}
