//! Run-time settings of a session: what `SET` takes and `SHOW` tells.
//!
//! Only settings that clients use by themselves. A value that would have to change how the server behaves is refused unless
//! it is the behaviour there is.

use std::collections::BTreeMap;

use crate::error::{Result, SqlError, state};

/// What may be done with a setting.
enum Rule {
    /// Any value is remembered; it has no effect here.
    Any,
    /// Only these values, the first of which is the default; the comparison ignores case.
    OneOf(&'static [&'static str]),
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
    setting("extra_float_digits", "1", Rule::Any, None),
    setting("idle_in_transaction_session_timeout", "0", Rule::OneOf(&["0"]), None),
    setting("integer_datetimes", "on", Rule::Fixed, Some("integer_datetimes")),
    setting("intervalstyle", "postgres", Rule::OneOf(&["postgres"]), Some("IntervalStyle")),
    setting("lock_timeout", "0", Rule::OneOf(&["0"]), None),
    setting(
        "search_path",
        "\"$user\", public",
        Rule::OneOf(&["\"$user\", public", "public", "$user, public"]),
        None,
    ),
    setting("server_encoding", "UTF8", Rule::Fixed, Some("server_encoding")),
    setting("server_version", "16.4", Rule::Fixed, Some("server_version")),
    setting("server_version_num", "160004", Rule::Fixed, None),
    setting("standard_conforming_strings", "on", Rule::OneOf(&["on"]), Some("standard_conforming_strings")),
    setting("statement_timeout", "0", Rule::OneOf(&["0"]), None),
    setting("synchronous_commit", "on", Rule::OneOf(&["on"]), None),
    setting("timezone", "UTC", Rule::OneOf(&["UTC", "GMT", "Etc/UTC"]), Some("TimeZone")),
    setting("transaction_isolation", "read committed", Rule::OneOf(&["read committed"]), None),
];

/// The settings of one session.
#[derive(Default)]
pub(crate) struct Settings {
    changed: BTreeMap<&'static str, String>,
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
    /// Sets `name`, or resets it; returns what the client must be told.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: Option<String>,
    ) -> Result<Option<(&'static str, String)>> {
        let setting = find(name)?;
        let value = value.unwrap_or_else(|| setting.default.to_owned());
        match setting.rule {
            Rule::Fixed => {
                return Err(SqlError::new(
                    "55P02",
                    format!("parameter \"{}\" cannot be changed", setting.name),
                ));
            }
            Rule::OneOf(values) if !values.iter().any(|allowed| allowed.eq_ignore_ascii_case(&value)) => {
                return Err(SqlError::unsupported(format!(
                    "the value \"{value}\" for parameter \"{}\"",
                    setting.name
                )));
            }
            Rule::OneOf(_) | Rule::Any => {}
        }
        let report = setting.reported.map(|reported| (reported, value.clone()));
        self.changed.insert(setting.name, value);
        Ok(report)
    }

    /// The value of `name`.
    pub(crate) fn show(&self, name: &str) -> Result<&str> {
        let setting = find(name)?;
        Ok(self.changed.get(setting.name).map_or(setting.default, String::as_str))
    }

    /// What a client is told when its session starts, in a fixed order.
    pub(crate) fn reported(&self) -> impl Iterator<Item = (&'static str, &str)> {
        ALL.iter().filter_map(|setting| {
            let value = self.changed.get(setting.name).map_or(setting.default, String::as_str);
            setting.reported.map(|reported| (reported, value))
        })
    }
}
