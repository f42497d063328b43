//! The event that flattens the account, and which such events count.
//!
//! The account is flattened for the watchdog only, once per event, and not for an event that lay around: it may have waited for
//! 30 s, and beyond that for as long as its reader could not read.

use std::{collections::VecDeque, fmt, str::FromStr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    LatchRecord,
    names::{NameError, checked},
};

/// Who may issue a panic event (emergency exit runbook, step 5: `issued_by`).
pub const TRUSTED_ISSUER: &str = "watchdog";

/// How long an event may have waited for its reader (*ours*): the supervisor restarts a dead reader within 30 s.
pub const EVENT_AGE_LIMIT: Duration = Duration::from_secs(30);

/// The longest event id; a UUID has 36 characters.
const EVENT_ID_MAX: usize = 64;

/// The longest reason that is passed on.
const REASON_MAX: usize = 200;

/// How many handled events are remembered: far more than fit into 30 s, after which their age tells, too.
const REMEMBERED: usize = 256;

/// Identifies a panic event. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Arc<str>);

impl EventId {
    /// A version 4 UUID (RFC 9562, section 5.4) of random bits.
    pub fn from_bits(high: u64, low: u64) -> Self {
        let high = high & 0xffff_ffff_ffff_0fff | 0x4000;
        let low = low & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
        let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
        let (d, e) = (low >> 48, low & 0xffff_ffff_ffff);
        Self(format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}").into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EventId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        checked(text, EVENT_ID_MAX, allowed, "the id of an event").map(Self)
    }
}

super::as_text!(EventId);

/// A panic event that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicEvent {
    /// Its name.
    pub event_id: EventId,
    /// Why everything is to be closed.
    pub reason: String,
    /// Who says so.
    pub issued_by: String,
    /// When it was issued, in milliseconds since 1970 by the issuer's clock. Part of the name of its halt, and of no age.
    pub issued_ms: i64,
}

impl PanicEvent {
    /// The latch that it calls for: the same for whoever sets it.
    pub fn latch(&self) -> LatchRecord {
        LatchRecord { set_by: self.issued_by.clone(), set_at: self.issued_ms, why: self.reason.clone() }
    }
}

/// The fields of an entry that may be a panic event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim<'a> {
    /// `event_id`
    pub event_id: Option<&'a str>,
    /// `reason`
    pub reason: Option<&'a str>,
    /// `issued_by`
    pub issued_by: Option<&'a str>,
    /// `ts`
    pub ts: Option<&'a str>,
}

/// Why an event does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// A field is missing or is not what it should be.
    Malformed(&'static str),
    /// Somebody else issued it.
    Untrusted,
    /// It has been handled.
    Duplicate,
    /// It waited for longer than its reader can account for.
    Old(Duration),
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(field) => write!(f, "MALFORMED: {field}"),
            Self::Untrusted => write!(f, "UNTRUSTED"),
            Self::Duplicate => write!(f, "DUPLICATE"),
            Self::Old(age) => write!(f, "OLD: {} s", age.as_secs()),
        }
    }
}

/// Judges events, and remembers those that were handled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handled {
    oldest_first: VecDeque<EventId>,
}

impl Handled {
    /// Takes note of a handled event.
    pub fn note(&mut self, event: EventId) {
        if !self.contains(&event) {
            self.oldest_first.push_back(event);
            if self.oldest_first.len() > REMEMBERED {
                self.oldest_first.pop_front();
            }
        }
    }

    /// Whether it was handled.
    pub fn contains(&self, event: &EventId) -> bool {
        self.oldest_first.contains(event)
    }

    /// Judges an entry that has waited on the bus for `waited`, by a reader that had not been able to read for `blind`.
    ///
    /// # Errors
    /// It does not count, and why.
    pub fn judge(&self, claim: Claim<'_>, waited: Duration, blind: Duration) -> Result<PanicEvent, Ignored> {
        let event_id: EventId =
            field(claim.event_id, "event_id")?.parse().map_err(|_| Ignored::Malformed("event_id"))?;
        let reason = field(claim.reason, "reason")?;
        let issued_by = field(claim.issued_by, "issued_by")?;
        let issued_ms = field(claim.ts, "ts")?.parse().map_err(|_| Ignored::Malformed("ts"))?;
        if reason.len() > REASON_MAX {
            return Err(Ignored::Malformed("reason"));
        }
        if issued_by != TRUSTED_ISSUER {
            return Err(Ignored::Untrusted);
        }
        if self.contains(&event_id) {
            return Err(Ignored::Duplicate);
        }
        if waited > EVENT_AGE_LIMIT + blind {
            return Err(Ignored::Old(waited));
        }
        Ok(PanicEvent { event_id, reason: reason.into(), issued_by: issued_by.into(), issued_ms })
    }
}

fn field<'a>(value: Option<&'a str>, name: &'static str) -> Result<&'a str, Ignored> {
    value.filter(|text| !text.is_empty()).ok_or(Ignored::Malformed(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(event_id: &'static str) -> Claim<'static> {
        Claim { event_id: Some(event_id), reason: Some("WHY"), issued_by: Some("watchdog"), ts: Some("7") }
    }

    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn an_event_of_the_watchdog_counts_once() {
        let mut handled = Handled::default();
        let event = handled.judge(claim("e-1"), AT_ONCE, AT_ONCE).unwrap();
        assert_eq!((event.event_id.as_str(), event.reason.as_str()), ("e-1", "WHY"));
        handled.note(event.event_id);
        assert_eq!(handled.judge(claim("e-1"), AT_ONCE, AT_ONCE), Err(Ignored::Duplicate));
        assert!(handled.judge(claim("e-2"), AT_ONCE, AT_ONCE).is_ok());
    }

    #[test]
    fn what_is_not_the_watchdogs_or_makes_no_sense_does_not_count() {
        let handled = Handled::default();
        let forged = Claim { issued_by: Some("ares"), ..claim("e-1") };
        assert_eq!(handled.judge(forged, AT_ONCE, AT_ONCE), Err(Ignored::Untrusted));
        for (broken, field) in [
            (Claim { event_id: None, ..claim("") }, "event_id"),
            (claim(""), "event_id"),
            (claim("e 1"), "event_id"),
            (Claim { reason: None, ..claim("e-1") }, "reason"),
            (Claim { issued_by: None, ..claim("e-1") }, "issued_by"),
            (Claim { ts: Some("now"), ..claim("e-1") }, "ts"),
        ] {
            assert_eq!(handled.judge(broken, AT_ONCE, AT_ONCE), Err(Ignored::Malformed(field)));
        }
        let long = "x".repeat(REASON_MAX + 1);
        let long = Claim { reason: Some(&long), ..claim("e-1") };
        assert_eq!(handled.judge(long, AT_ONCE, AT_ONCE), Err(Ignored::Malformed("reason")));
    }

    #[test]
    fn an_event_may_have_waited_for_thirty_seconds_and_for_as_long_as_nobody_could_read_it() {
        let handled = Handled::default();
        let judge = |waited: u64, blind: u64| {
            let (waited, blind) = (Duration::from_millis(waited), Duration::from_millis(blind));
            handled.judge(claim("e-1"), waited, blind).is_ok()
        };
        assert!(judge(30_000, 0));
        assert!(!judge(30_001, 0));
        assert!(judge(50_000, 20_000));
        assert!(!judge(50_001, 20_000));
    }

    #[test]
    fn the_memory_of_handled_events_is_bounded() {
        let mut handled = Handled::default();
        for n in 0..2 * REMEMBERED as u64 {
            handled.note(EventId::from_bits(n, n));
            handled.note(EventId::from_bits(n, n));
        }
        assert_eq!(handled.oldest_first.len(), REMEMBERED);
        assert!(!handled.contains(&EventId::from_bits(0, 0)));
    }

    proptest! {
        #[test]
        fn ids_of_random_bits_are_version_4_uuids(high in any::<u64>(), low in any::<u64>()) {
            let id = EventId::from_bits(high, low);
            let text = id.as_str();
            prop_assert_eq!(text.len(), 36);
            prop_assert_eq!(&text[14..15], "4");
            prop_assert!("89ab".contains(&text[19..20]));
            prop_assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
            prop_assert_eq!(text.parse::<EventId>(), Ok(id.clone()));
        }
    }
}
