//! Run-time settings of a session: what `SET` takes and `SHOW` tells.
//!
//! Only settings that clients use by themselves. A value that would have to change how the server behaves is refused unless
//! it is the behaviour there is.

use std::{collections::BTreeMap, time::Duration};

use crate::error::{Result, SqlError, state};

/// What may be done with a setting.
enum Rule {
    /// Any value is remembered; it has no effect here.
    Any,
    /// Only these values, the first of which is the default; the comparison ignores case.
    OneOf(&'static [&'static str]),
    /// A time in milliseconds or with a unit; 0 means none.
    Time,
    /// It can be shown only.
    Fixed,
}

struct Setting {
    name: &'static str,
    default: &'static str,
    rule: Rule,
    /// Told to the client when a session starts.
    reported: Option<&'static str>,
}

const fn setting(
    name: &'static str,
    default: &'static str,
    rule: Rule,
    reported: Option<&'static str>,
) -> Setting {
    Setting { name, default, rule, reported }
}

const ALL: &[Setting] = &[
    setting("application_name", "", Rule::Any, Some("application_name")),
    setting("bytea_output", "hex", Rule::OneOf(&["hex"]), None),
    setting("client_encoding", "UTF8", Rule::OneOf(&["UTF8", "UTF-8", "unicode"]), Some("client_encoding")),
    setting("client_min_messages", "notice", Rule::Any, None),
    setting("datestyle", "ISO, MDY", Rule::OneOf(&["ISO, MDY", "ISO"]), Some("DateStyle")),
    setting("default_transaction_isolation", "read committed", Rule::OneOf(&["read committed"]), None),
    setting("deadlock_timeout", "1s", Rule::Time, None),
    setting(
        "default_transaction_read_only",
        "off",
        Rule::OneOf(&["off", "false", "no", "0"]),
        Some("default_transaction_read_only"),
    ),
    setting("extra_float_digits", "1", Rule::Any, None),
    setting("idle_in_transaction_session_timeout", "0", Rule::Time, None),
    setting("in_hot_standby", "off", Rule::Fixed, Some("in_hot_standby")),
    setting("integer_datetimes", "on", Rule::Fixed, Some("integer_datetimes")),
    setting("intervalstyle", "postgres", Rule::OneOf(&["postgres"]), Some("IntervalStyle")),
    setting("is_superuser", "on", Rule::Fixed, Some("is_superuser")),
    setting("lock_timeout", "0", Rule::Time, None),
    setting(
        "search_path",
        "\"$user\", public",
        Rule::OneOf(&["\"$user\", public", "public", "$user, public"]),
        None,
    ),
    setting("server_encoding", "UTF8", Rule::Fixed, Some("server_encoding")),
    setting("server_version", "16.4", Rule::Fixed, Some("server_version")),
    setting("server_version_num", "160004", Rule::Fixed, None),
    setting("session_authorization", "", Rule::Fixed, Some("session_authorization")),
    setting("standard_conforming_strings", "on", Rule::OneOf(&["on"]), Some("standard_conforming_strings")),
    setting("statement_timeout", "0", Rule::Time, None),
    setting("synchronous_commit", "on", Rule::OneOf(&["on"]), None),
    setting("timezone", "UTC", Rule::OneOf(&["UTC", "GMT", "Etc/UTC"]), Some("TimeZone")),
    setting("transaction_isolation", "read committed", Rule::OneOf(&["read committed"]), None),
];

/// The name under which `RESET ALL` resets everything.
pub(crate) const ALL_SETTINGS: &str = "all";

/// How long things may take; none means for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// How long a transaction waits before it looks for a deadlock.
    pub(crate) deadlock: Duration,
    pub(crate) idle_in_transaction: Option<Duration>,
    pub(crate) lock: Option<Duration>,
    pub(crate) statement: Option<Duration>,
}

/// The settings of one session.
pub(crate) struct Settings {
    changed: BTreeMap<&'static str, String>,
    /// What the transaction has changed, so that it can be taken back; oldest first.
    undo: Vec<Undo>,
    timeouts: Timeouts,
    /// What the client has been told.
    told: BTreeMap<&'static str, String>,
    /// Something has changed since the client was told.
    news: bool,
}

struct Undo {
    name: &'static str,
    before: Option<String>,
    /// `SET LOCAL`: taken back even by a commit.
    local: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let mut settings = Self {
            changed: BTreeMap::new(),
            undo: Vec::new(),
            timeouts: Timeouts {
                deadlock: Duration::ZERO,
                idle_in_transaction: None,
                lock: None,
                statement: None,
            },
            told: BTreeMap::new(),
            news: false,
        };
        settings.refresh();
        settings
    }
}

fn find(name: &str) -> Result<&'static Setting> {
    ALL.iter().find(|setting| setting.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        SqlError::new(state::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
    })
}

/// The name that `SHOW` puts over a setting's value.
pub(crate) fn heading(name: &str) -> &str {
    find(name).map_or(name, |setting| setting.reported.unwrap_or(setting.name))
}

impl Settings {
    /// Sets `name`, or resets it. What a transaction sets it takes back when it fails; with `local` in any case.
    pub(crate) fn set(&mut self, name: &str, value: Option<String>, local: bool) -> Result<()> {
        if name == ALL_SETTINGS && value.is_none() {
            let names: Vec<_> = self.changed.keys().copied().collect();
            names.into_iter().for_each(|name| self.store(name, None, local));
            return Ok(());
        }
        let setting = find(name)?;
        let value = match (&setting.rule, value) {
            (Rule::Fixed, _) => {
                let message = format!("parameter \"{}\" cannot be changed", setting.name);
                return Err(SqlError::new("55P02", message));
            }
            (Rule::OneOf(values), Some(value))
                if !values.iter().any(|allowed| allowed.eq_ignore_ascii_case(&value)) =>
            {
                return Err(SqlError::unsupported(format!(
                    "the value \"{value}\" for parameter \"{}\"",
                    setting.name
                )));
            }
            (Rule::Time, Some(value)) => Some(show_time(parse_time(setting.name, &value)?)),
            (_, value) => value,
        };
        self.store(setting.name, value, local);
        Ok(())
    }

    fn store(&mut self, name: &'static str, value: Option<String>, local: bool) {
        let before = match value {
            Some(value) => self.changed.insert(name, value),
            None => self.changed.remove(name),
        };
        self.undo.push(Undo { name, before, local });
        self.refresh();
    }

    fn refresh(&mut self) {
        let time = |name| {
            let millis = self.show(name).ok().and_then(|value| parse_time(name, value).ok()).unwrap_or(0);
            Some(Duration::from_millis(millis)).filter(|time| !time.is_zero())
        };
        self.timeouts = Timeouts {
            deadlock: time("deadlock_timeout").unwrap_or(Duration::from_secs(1)),
            idle_in_transaction: time("idle_in_transaction_session_timeout"),
            lock: time("lock_timeout"),
            statement: time("statement_timeout"),
        };
        self.news = true;
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Notes what the server has found out by itself.
    pub(crate) fn found(&mut self, name: &str, value: String) {
        if let Ok(setting) = find(name) {
            self.store(setting.name, Some(value), false);
        }
    }

    /// The place that has been reached, for [`Settings::undo_to`].
    pub(crate) fn mark(&self) -> usize {
        self.undo.len()
    }

    /// Takes back what was set after `mark`.
    pub(crate) fn undo_to(&mut self, mark: usize) {
        if self.undo.len() > mark {
            for undo in self.undo.split_off(mark).into_iter().rev() {
                self.put_back(undo.name, undo.before);
            }
            self.refresh();
        }
    }

    /// The transaction has committed: what was set stays, but for what was local to it.
    pub(crate) fn commit(&mut self) {
        if self.undo.is_empty() {
            return;
        }
        let mut settled: Vec<&str> = Vec::new();
        for undo in std::mem::take(&mut self.undo).into_iter().rev() {
            if settled.contains(&undo.name) {
                continue;
            }
            if undo.local {
                self.put_back(undo.name, undo.before);
            } else {
                settled.push(undo.name);
            }
        }
        self.refresh();
    }

    fn put_back(&mut self, name: &'static str, before: Option<String>) {
        match before {
            Some(before) => self.changed.insert(name, before),
            None => self.changed.remove(name),
        };
    }

    /// The value of `name`.
    pub(crate) fn show(&self, name: &str) -> Result<&str> {
        let setting = find(name)?;
        Ok(self.changed.get(setting.name).map_or(setting.default, String::as_str))
    }

    /// What the client has to be told, in a fixed order; everything at first, later what has changed.
    pub(crate) fn reports(&mut self) -> Vec<(&'static str, String)> {
        if !std::mem::take(&mut self.news) {
            return Vec::new();
        }
        let mut reports = Vec::new();
        for setting in ALL {
            let Some(reported) = setting.reported else {
                continue;
            };
            let value = self.changed.get(setting.name).map_or(setting.default, String::as_str);
            if self.told.get(reported).is_none_or(|told| told != value) {
                self.told.insert(reported, value.to_owned());
                reports.push((reported, value.to_owned()));
            }
        }
        reports
    }
}

/// Units of time (PostgreSQL 16 docs, §20.1.1), in milliseconds; the finest cannot be expressed.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];

/// Milliseconds.
fn parse_time(name: &str, value: &str) -> Result<u64> {
    let value = value.trim();
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = (&value[..digits], value[digits..].trim());
    let factor =
        if unit.is_empty() { Some(1) } else { UNITS.iter().find(|(it, _)| *it == unit).map(|it| it.1) };
    let millis = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
    millis.filter(|millis| *millis <= i32::MAX as u64).ok_or_else(|| {
        let message = format!("invalid value for parameter \"{name}\": \"{value}\"");
        SqlError::new(state::INVALID_PARAMETER_VALUE, message)
    })
}

/// In the largest unit that keeps the number whole, as `SHOW` shows it.
fn show_time(millis: u64) -> String {
    match UNITS.iter().find(|(_, factor)| millis > 0 && millis.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", millis / factor),
        None => "0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_unit_and_shown_in_the_largest() {
        for (text, shown) in [("0", "0"), ("250", "250ms"), ("1000", "1s"), ("90 s", "90s"), ("2min", "2min")]
        {
            assert_eq!(show_time(parse_time("t", text).unwrap()), shown);
        }
        for wrong in ["-1", "s", "1 fortnight", "99999999999"] {
            assert!(parse_time("t", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_local_goes_with_the_transaction_and_the_rest_stays() {
        let mut settings = Settings::default();
        let set = |settings: &mut Settings, value: &str, local| {
            settings.set("application_name", Some(value.to_owned()), local).unwrap();
        };
        set(&mut settings, "stays", false);
        set(&mut settings, "goes", true);
        settings.commit();
        assert_eq!(settings.show("application_name").unwrap(), "stays");
        set(&mut settings, "goes", true);
        set(&mut settings, "came later", false);
        settings.commit();
        assert_eq!(settings.show("application_name").unwrap(), "came later");
        set(&mut settings, "undone", false);
        settings.undo_to(0);
        assert_eq!(settings.show("application_name").unwrap(), "came later");
    }
}
