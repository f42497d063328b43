//! Reading a plan.

use std::time::Duration;

use faults::{Unexpected, Words, parse_span};

use super::{ClockFault, DiskFault, Entry, Fault, HostFault, Link, NetFault, Plan, Survival, When};
use crate::time::SimTime;

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

const FAMILIES: &str = "net, disk, host, clock or peer";
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
        let entry = entry(Words::new(line)).map_err(|Unexpected { expected, found }| PlanError {
            line: index + 1,
            expected,
            found,
        })?;
        plan.entries.push(entry);
    }
    Ok(plan)
}

fn host_name(words: &mut Words<'_>) -> Result<String, Unexpected> {
    words.read("the name of a host", |word| is_host(word).then(|| word.into()))
}

fn link(words: &mut Words<'_>) -> Result<Link, Unexpected> {
    words.read("a link: a|b for both directions, a>b for one", |word| {
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

fn is_host(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn entry(mut words: Words<'_>) -> Result<Entry, Unexpected> {
    let when = when(&mut words)?;
    let fault = match words.next(FAMILIES)? {
        "net" => Fault::Net(net(&mut words)?),
        "disk" => disk(&mut words)?,
        "host" => host(&mut words)?,
        "clock" => clock(&mut words)?,
        "peer" => peer(&mut words)?,
        other => return Err(words.unexpected(FAMILIES, Some(other))),
    };
    let lasting = if fault.lasts() && words.skip("for") {
        Some(words.read("how long, such as 12s", parse_span)?)
    } else {
        None
    };
    let open_end = fault.lasts() && lasting.is_none();
    words.end(if open_end { "`for` or the end of the line" } else { "the end of the line" })?;
    Ok(Entry { when, fault, lasting })
}

fn when(words: &mut Words<'_>) -> Result<When, Unexpected> {
    if !words.skip("on") {
        let time = words.read("a time such as 40.250s, or `on EVENT #N`", parse_span)?;
        return Ok(When::At(SimTime::after(time)));
    }
    let event = words.next("the name of an event")?.into();
    let nth = words.read("which occurrence, such as #1", |word| {
        word.strip_prefix('#')?.parse().ok().filter(|nth| *nth > 0)
    })?;
    let delay = match words.next_if(|word| word.starts_with('+')) {
        Some(word) => {
            parse_span(&word[1..]).ok_or_else(|| words.unexpected("a delay such as +250ms", Some(word)))?
        }
        None => Duration::ZERO,
    };
    Ok(When::On { event, nth, delay })
}

fn net(words: &mut Words<'_>) -> Result<NetFault, Unexpected> {
    Ok(match words.next(NET)? {
        "partition" => NetFault::Partition(link(words)?),
        "latency" => {
            let (link, (least, most)) = (link(words)?, words.spans()?);
            NetFault::Latency { link, least, most }
        }
        "loss" => NetFault::Loss { link: link(words)?, percent: words.percent()? },
        "bandwidth" => NetFault::Bandwidth {
            link: link(words)?,
            rate: words.read("a rate above zero such as 64000B/s", |word| {
                word.strip_suffix("B/s")?.parse().ok().filter(|rate| *rate > 0)
            })?,
        },
        "hold" => NetFault::Hold(link(words)?),
        "reset" => NetFault::Reset(link(words)?),
        "half-open" => NetFault::HalfOpen(link(words)?),
        "refuse" => NetFault::Refuse(host_name(words)?),
        "black-hole" => NetFault::BlackHole(host_name(words)?),
        "connect-timeout" => NetFault::ConnectTimeout(link(words)?),
        "dns" => NetFault::Dns(host_name(words)?),
        other => return Err(words.unexpected(NET, Some(other))),
    })
}

fn disk(words: &mut Words<'_>) -> Result<Fault, Unexpected> {
    let kind = words.next(DISK)?;
    if !DISK.split([',', ' ']).any(|word| word == kind) || kind == "or" {
        return Err(words.unexpected(DISK, Some(kind)));
    }
    let host = host_name(words)?;
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
        _ => DiskFault::Vanish { path: words.next("a path")?.into() },
    };
    Ok(Fault::Disk { host, fault })
}

fn host(words: &mut Words<'_>) -> Result<Fault, Unexpected> {
    let kind = words.next(HOST)?;
    if !HOST.split([',', ' ']).any(|word| word == kind) || kind == "or" {
        return Err(words.unexpected(HOST, Some(kind)));
    }
    let host = host_name(words)?;
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

fn peer(words: &mut Words<'_>) -> Result<Fault, Unexpected> {
    let host = host_name(words)?;
    let mut fault = words.next("a fault of that server")?.to_string();
    while let Some(word) = words.next_if(|word| word != "for") {
        fault.push(' ');
        fault.push_str(word);
    }
    Ok(Fault::Peer { host, words: fault })
}

fn clock(words: &mut Words<'_>) -> Result<Fault, Unexpected> {
    let step = words.read("step or drift", |word| match word {
        "step" => Some(true),
        "drift" => Some(false),
        _ => None,
    })?;
    let host = host_name(words)?;
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
