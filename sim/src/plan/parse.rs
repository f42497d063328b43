//! Reading a plan.

use std::time::Duration;

use super::{ClockFault, DiskFault, Entry, Fault, HostFault, Link, NetFault, Plan, Survival, When};
use crate::time::{SimTime, parse_span};

/// A line that is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}, found {found}")]
pub struct PlanError {
    /// Counted from 1.
    pub line: usize,
    /// What would have been right.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

const NET: &str =
    "partition, latency, loss, bandwidth, hold, reset, half-open, refuse, black-hole, connect-timeout or dns";
const DISK: &str =
    "full, fsync-fails, short-writes, short-reads, read-only, lose-unsynced, slow, corrupt or vanish";
const HOST: &str = "kill, restart, stop, power-loss, pause, slow or memory";

pub(super) fn plan(text: &str) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = Words { line: index + 1, rest: line.split_whitespace().peekable() };
        plan.entries.push(entry(&mut words)?);
    }
    Ok(plan)
}

struct Words<'a> {
    line: usize,
    rest: std::iter::Peekable<std::str::SplitWhitespace<'a>>,
}

impl<'a> Words<'a> {
    fn error(&self, expected: &str, found: Option<&str>) -> PlanError {
        let found = found.map_or_else(|| "the end of the line".into(), |word| format!("`{word}`"));
        PlanError { line: self.line, expected: expected.into(), found }
    }

    fn next(&mut self, expected: &str) -> Result<&'a str, PlanError> {
        self.rest.next().ok_or_else(|| self.error(expected, None))
    }

    /// The next word, read by `read`.
    fn read<T>(&mut self, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, PlanError> {
        let word = self.next(expected)?;
        read(word).ok_or_else(|| self.error(expected, Some(word)))
    }

    fn keyword(&mut self, keyword: &str) -> Result<(), PlanError> {
        self.read(&format!("`{keyword}`"), |word| (word == keyword).then_some(()))
    }

    fn skip(&mut self, keyword: &str) -> bool {
        self.rest.next_if(|word| *word == keyword).is_some()
    }

    fn host(&mut self) -> Result<String, PlanError> {
        self.read("the name of a host", |word| is_host(word).then(|| word.into()))
    }

    fn path(&mut self) -> Result<String, PlanError> {
        self.next("a path").map(Into::into)
    }

    fn link(&mut self) -> Result<Link, PlanError> {
        self.read("a link: a|b for both directions, a>b for one", |word| {
            let (at, separator) = word.char_indices().find(|(_, c)| matches!(c, '|' | '>'))?;
            let (from, to) = (&word[..at], &word[at + 1..]);
            let is_end = |name| name == "*" || is_host(name);
            (is_end(from) && is_end(to)).then(|| Link {
                from: from.into(),
                to: to.into(),
                both: separator == '|',
            })
        })
    }

    fn spans(&mut self) -> Result<(Duration, Duration), PlanError> {
        self.read("a range of time such as 50ms..2s", |word| {
            let (least, most) = word.split_once("..")?;
            let (least, most) = (parse_span(least)?, parse_span(most)?);
            (least <= most).then_some((least, most))
        })
    }

    fn percent(&mut self) -> Result<u64, PlanError> {
        self.read("a share from 0% to 100%", |word| {
            word.strip_suffix('%')?.parse().ok().filter(|share| *share <= 100)
        })
    }
}

fn is_host(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn entry(words: &mut Words<'_>) -> Result<Entry, PlanError> {
    let when = when(words)?;
    let fault = match words.next("net, disk, host or clock")? {
        "net" => Fault::Net(net(words)?),
        "disk" => disk(words)?,
        "host" => host(words)?,
        "clock" => clock(words)?,
        other => return Err(words.error("net, disk, host or clock", Some(other))),
    };
    let lasting = if fault.lasts() && words.skip("for") {
        Some(words.read("how long, such as 12s", parse_span)?)
    } else {
        None
    };
    match words.rest.next() {
        None => Ok(Entry { when, fault, lasting }),
        Some(word) => {
            let open_end = fault.lasts() && lasting.is_none();
            Err(words.error(
                if open_end { "`for` or the end of the line" } else { "the end of the line" },
                Some(word),
            ))
        }
    }
}

fn when(words: &mut Words<'_>) -> Result<When, PlanError> {
    if !words.skip("on") {
        let time = words.read("a time such as 40.250s, or `on EVENT #N`", parse_span)?;
        return Ok(When::At(SimTime::after(time)));
    }
    let event = words.next("the name of an event")?.into();
    let nth = words.read("which occurrence, such as #1", |word| {
        word.strip_prefix('#')?.parse().ok().filter(|nth| *nth > 0)
    })?;
    let delay = match words.rest.next_if(|word| word.starts_with('+')) {
        Some(word) => {
            parse_span(&word[1..]).ok_or_else(|| words.error("a delay such as +250ms", Some(word)))?
        }
        None => Duration::ZERO,
    };
    Ok(When::On { event, nth, delay })
}

fn net(words: &mut Words<'_>) -> Result<NetFault, PlanError> {
    Ok(match words.next(NET)? {
        "partition" => NetFault::Partition(words.link()?),
        "latency" => {
            let (link, (least, most)) = (words.link()?, words.spans()?);
            NetFault::Latency { link, least, most }
        }
        "loss" => NetFault::Loss { link: words.link()?, percent: words.percent()? },
        "bandwidth" => NetFault::Bandwidth {
            link: words.link()?,
            rate: words.read("a rate above zero such as 64000B/s", |word| {
                word.strip_suffix("B/s")?.parse().ok().filter(|rate| *rate > 0)
            })?,
        },
        "hold" => NetFault::Hold(words.link()?),
        "reset" => NetFault::Reset(words.link()?),
        "half-open" => NetFault::HalfOpen(words.link()?),
        "refuse" => NetFault::Refuse(words.host()?),
        "black-hole" => NetFault::BlackHole(words.host()?),
        "connect-timeout" => NetFault::ConnectTimeout(words.link()?),
        "dns" => NetFault::Dns(words.host()?),
        other => return Err(words.error(NET, Some(other))),
    })
}

fn disk(words: &mut Words<'_>) -> Result<Fault, PlanError> {
    let kind = words.next(DISK)?;
    if !DISK.split([',', ' ']).any(|word| word == kind) || kind == "or" {
        return Err(words.error(DISK, Some(kind)));
    }
    let host = words.host()?;
    let fault = match kind {
        "full" => {
            words.keyword("after")?;
            let bytes =
                words.read("a number of bytes such as 117B", |word| word.strip_suffix('B')?.parse().ok())?;
            DiskFault::FullAfter { bytes }
        }
        "fsync-fails" => DiskFault::FsyncFails,
        "short-writes" => DiskFault::ShortWrites,
        "short-reads" => DiskFault::ShortReads,
        "read-only" => DiskFault::ReadOnly,
        "lose-unsynced" => DiskFault::LoseUnsynced,
        "slow" => {
            let (least, most) = words.spans()?;
            DiskFault::Slow { least, most }
        }
        "corrupt" => words.read("PATH@OFFSET+LENGTH", |word| {
            let (path, range) = word.rsplit_once('@')?;
            let (offset, len) = range.split_once('+')?;
            Some(DiskFault::Corrupt {
                path: path.into(),
                offset: offset.parse().ok()?,
                len: len.parse().ok()?,
            })
        })?,
        _ => DiskFault::Vanish { path: words.path()? },
    };
    Ok(Fault::Disk { host, fault })
}

fn host(words: &mut Words<'_>) -> Result<Fault, PlanError> {
    let kind = words.next(HOST)?;
    if !HOST.split([',', ' ']).any(|word| word == kind) || kind == "or" {
        return Err(words.error(HOST, Some(kind)));
    }
    let host = words.host()?;
    let fault = match kind {
        "kill" => HostFault::Kill,
        "restart" => HostFault::Restart,
        "stop" => HostFault::Stop,
        "power-loss" if words.skip("keeping") => {
            HostFault::PowerLoss(Some(words.read("none, torn or all", |word| {
                Survival::ALL.into_iter().find(|kept| kept.word() == word)
            })?))
        }
        "power-loss" => HostFault::PowerLoss(None),
        "pause" => HostFault::Pause,
        "slow" => {
            let (least, most) = words.spans()?;
            HostFault::Slow { least, most }
        }
        _ => HostFault::Memory { percent: words.percent()? },
    };
    Ok(Fault::Host { host, fault })
}

fn clock(words: &mut Words<'_>) -> Result<Fault, PlanError> {
    let step = words.read("step or drift", |word| match word {
        "step" => Some(true),
        "drift" => Some(false),
        _ => None,
    })?;
    let host = words.host()?;
    let fault = if step {
        let millis = words.read("a signed time such as +2s or -250ms", |word| {
            let (sign, span) = word.split_at_checked(1)?;
            let millis = i64::try_from(parse_span(span)?.as_millis()).ok()?;
            match sign {
                "+" => Some(millis),
                "-" => Some(-millis),
                _ => None,
            }
        })?;
        ClockFault::Step { millis }
    } else {
        let ppm = words.read("a rate such as +200ppm", |word| word.strip_suffix("ppm")?.parse().ok())?;
        ClockFault::Drift { ppm }
    };
    Ok(Fault::Clock { host, fault })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_line_and_what_was_expected() {
        let told = |text: &str| plan(text).expect_err(text).to_string();
        assert_eq!(
            told("# all quiet\n\nsoon  host kill a"),
            "line 3: expected a time such as 40.250s, or `on EVENT #N`, found `soon`"
        );
        assert_eq!(
            told("1s net partition a-b"),
            "line 1: expected a link: a|b for both directions, a>b for one, found `a-b`"
        );
        assert_eq!(
            told("1s disk full a after 9"),
            "line 1: expected a number of bytes such as 117B, found `9`"
        );
        assert_eq!(told("1s disk or a"), format!("line 1: expected {DISK}, found `or`"));
        assert_eq!(told("1s host pause"), "line 1: expected the name of a host, found the end of the line");
        assert_eq!(told("1s host pause a 3s"), "line 1: expected `for` or the end of the line, found `3s`");
        assert_eq!(told("1s net reset a|b for 3s"), "line 1: expected the end of the line, found `for`");
        assert_eq!(told("on x #0 host kill a"), "line 1: expected which occurrence, such as #1, found `#0`");
        assert_eq!(
            told("1s clock step a 2s"),
            "line 1: expected a signed time such as +2s or -250ms, found `2s`"
        );
        assert_eq!(told("1s net loss a|b 101%"), "line 1: expected a share from 0% to 100%, found `101%`");
    }
}
