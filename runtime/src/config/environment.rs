//! The environment variables of the operators' documents, each with its own unit.

use std::time::Duration;

use super::{ChaosImpact, Config, ConfigError};

/// Lets the variables that are set win over the file.
pub(super) fn apply(
    config: &mut Config,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    let take = |name: &'static str, expected: &'static str, take: &mut dyn FnMut(&str) -> Option<()>| {
        match variable(name) {
            Some(text) if take(&text).is_none() => Err(ConfigError::Environment { name, text, expected }),
            _ => Ok(()),
        }
    };
    let Config { watch, chaos, .. } = config;
    take("HEARTBEAT_MAX", "a whole number of seconds", &mut |text| {
        watch.heartbeat_max = seconds(text)?;
        Some(())
    })?;
    take("WAIT_READY_TIMEOUT", "a whole number of seconds", &mut |text| {
        watch.wait_ready_timeout = seconds(text)?;
        Some(())
    })?;
    take("PAUSE_ON_FAIL", "0 or 1", &mut |text| {
        watch.pause_on_fail = flag(text)?;
        Some(())
    })?;
    take("CHAOS_ENABLED", "true or false", &mut |text| {
        chaos.enabled = flag(text)?;
        Some(())
    })?;
    take("CHAOS_PROBABILITY", "a number from 0 to 1", &mut |text| {
        chaos.probability = text.parse().ok()?;
        Some(())
    })?;
    take("CHAOS_MAX_DURATION", "a whole number of milliseconds", &mut |text| {
        chaos.max_duration = Duration::from_millis(text.parse().ok()?);
        Some(())
    })?;
    take("CHAOS_IMPACT_LEVEL", "low, medium, high or critical", &mut |text| {
        chaos.impact = match text {
            "low" => ChaosImpact::Low,
            "medium" => ChaosImpact::Medium,
            "high" => ChaosImpact::High,
            "critical" => ChaosImpact::Critical,
            _ => return None,
        };
        Some(())
    })
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_secs)
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read("x.toml", "", |name| {
            set.iter().find(|(n, _)| *n == name).map(|(_, text)| (*text).into())
        })
    }

    #[test]
    fn variables_win_over_the_file() {
        let config = read(&[
            ("HEARTBEAT_MAX", "7"),
            ("WAIT_READY_TIMEOUT", "120"),
            ("PAUSE_ON_FAIL", "1"),
            ("CHAOS_ENABLED", "true"),
            ("CHAOS_PROBABILITY", "0.5"),
            ("CHAOS_MAX_DURATION", "30000"),
            ("CHAOS_IMPACT_LEVEL", "high"),
        ])
        .unwrap();
        assert_eq!(config.watch.heartbeat_max, Duration::from_secs(7));
        assert_eq!(config.watch.wait_ready_timeout, Duration::from_secs(120));
        assert!(config.watch.pause_on_fail && config.chaos.enabled);
        assert_eq!(config.chaos.probability.to_string(), "0.5");
        assert_eq!(config.chaos.max_duration, Duration::from_secs(30));
        assert_eq!(config.chaos.impact, ChaosImpact::High);
    }

    #[test]
    fn a_variable_that_makes_no_sense_is_named_with_what_was_expected() {
        let error = read(&[("HEARTBEAT_MAX", "5s")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the environment variable HEARTBEAT_MAX="5s" is not a whole number of seconds"#
        );
        assert!(read(&[("CHAOS_IMPACT_LEVEL", "severe")]).is_err());
        assert!(read(&[("CHAOS_PROBABILITY", "2")]).is_err());
        assert!(read(&[("PAUSE_ON_FAIL", "yes")]).is_err());
    }
}
