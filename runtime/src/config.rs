//! The configuration: one TOML file, and the environment variables that the operators' documents name.
//!
//! `fixtures/config/tradewind.toml` shows every key with its default. A key that does not exist, a value of another type and a span
//! without a unit are errors that name file, line and what was expected. Deliberately absent: keys for figures that the documents fix.

mod environment;
mod span;

use std::{collections::BTreeMap, time::Duration};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::core::{Qty, Rule, Symbol};

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file is not as it should be.
    #[error("{file}:{line}: {reason}")]
    File {
        /// The file, as it was named.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What was expected.
        reason: String,
    },
    /// A value contradicts another one, or makes no sense.
    #[error("{file}: {key}: {reason}")]
    Value {
        /// The file, as it was named.
        file: String,
        /// The key, with its table.
        key: String,
        /// What was expected.
        reason: String,
    },
    /// An environment variable is not as it should be.
    #[error("the environment variable {name}={text:?} is not {expected}")]
    Environment {
        /// The variable.
        name: &'static str,
        /// Its value.
        text: String,
        /// What was expected.
        expected: &'static str,
    },
}

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is traded, and how much in earnest.
    pub system: System,
    /// Where each process is: role name → `host:port`. A name that is missing is resolved by the system.
    pub hosts: BTreeMap<String, String>,
    /// The account.
    pub broker: Account,
    /// The keys with which signals are authenticated.
    pub keys: Keys,
    /// The operators' interface.
    pub ops: Ops,
    /// When to enter, for each symbol; the rule's own default for those that are missing.
    pub strategy: BTreeMap<Symbol, StrategyRule>,
    /// What scripts that watch the system wait for.
    pub watch: Watch,
    /// Faults on request.
    pub chaos: Chaos,
}

/// What is traded, and how much in earnest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct System {
    /// The symbols, in the exchange's spelling.
    pub symbols: Vec<Symbol>,
    /// Which exchange this trades at.
    pub mode: Mode,
}

impl Default for System {
    fn default() -> Self {
        Self { symbols: crate::services::default_symbols(), mode: Mode::Testnet }
    }
}

/// Which exchange the system trades at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One where nothing can be lost.
    Testnet,
    /// The real one: chaos is refused.
    Live,
}

/// The key pair of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// Sent with each request.
    pub api_key: String,
    /// Signs them, and is never sent.
    pub secret: String,
}

impl Default for Account {
    /// The key pair of the simulated exchange.
    fn default() -> Self {
        Self { api_key: "key".into(), secret: "secret".into() }
    }
}

/// The keys of those whose signals the traders believe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// Of `ares`.
    pub ares: String,
    /// Of `exit-brain`.
    pub exit_brain: String,
}

impl Default for Keys {
    /// Keys that everybody knows: for tests.
    fn default() -> Self {
        Self { ares: "ares".into(), exit_brain: "exit-brain".into() }
    }
}

/// The operators' interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ops {
    /// The bearer token of operators.
    pub token: String,
}

impl Default for Ops {
    /// A token that everybody knows: for tests.
    fn default() -> Self {
        Self { token: "operator".into() }
    }
}

/// When to enter a symbol. Counts are trades of the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StrategyRule {
    /// Every trade whose id is a multiple of this may enter.
    pub cadence: u64,
    /// An entry needs a price not below the one this many trades ago.
    pub lookback: usize,
    /// How much an entry buys, in units of the base asset.
    pub qty: Qty,
}

impl Default for StrategyRule {
    fn default() -> Self {
        let Rule { cadence, lookback, qty, .. } = Rule::default();
        Self { cadence, lookback, qty }
    }
}

/// What scripts that watch the system wait for (leader-lock suite, "Configuration Flags").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {
    /// The oldest heartbeat of a healthy process. `HEARTBEAT_MAX`, in seconds.
    #[serde(with = "span")]
    pub heartbeat_max: Duration,
    /// How long to wait for `/ready`. `WAIT_READY_TIMEOUT`, in seconds.
    #[serde(with = "span")]
    pub wait_ready_timeout: Duration,
    /// Whether a failed check halts the system. `PAUSE_ON_FAIL`, 0 or 1.
    pub pause_on_fail: bool,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            heartbeat_max: Duration::from_secs(5),
            wait_ready_timeout: Duration::from_secs(90),
            pause_on_fail: false,
        }
    }
}

/// Faults on request (chaos procedures, "Configuration").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Chaos {
    /// Whether there may be any. `CHAOS_ENABLED`, true or false.
    pub enabled: bool,
    /// How likely a test strikes each time it could, from 0 to 1. `CHAOS_PROBABILITY`.
    #[serde(with = "rust_decimal::serde::str")]
    pub probability: Decimal,
    /// The longest that a fault may last. `CHAOS_MAX_DURATION`, in milliseconds.
    #[serde(with = "span")]
    pub max_duration: Duration,
    /// The worst impact that is allowed. `CHAOS_IMPACT_LEVEL`: low, medium, high or critical.
    pub impact: ChaosImpact,
}

impl Default for Chaos {
    fn default() -> Self {
        Self {
            enabled: false,
            probability: Decimal::new(1, 2),
            max_duration: Duration::from_secs(60),
            impact: ChaosImpact::Medium,
        }
    }
}

/// How much a fault may harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChaosImpact {
    /// Nothing is lost.
    Low,
    /// Trading is degraded.
    Medium,
    /// Trading stops.
    High,
    /// Money or records may be lost.
    Critical,
}

impl Config {
    /// Reads a configuration. `file` is its name in errors; `environment` gives the value of a variable, and wins.
    ///
    /// # Errors
    /// Name file and line, or the variable, and what was expected.
    pub fn read(
        file: &str,
        text: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
            ConfigError::File { file: file.into(), line, reason: error.message().replace('\n', ", ") }
        })?;
        environment::apply(&mut config, environment)?;
        config.check().map_err(|(key, reason)| ConfigError::Value { file: file.into(), key, reason })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, reason: String| Err((key.to_owned(), reason));
        if self.system.symbols.is_empty() {
            return wrong("system.symbols", "at least one symbol is needed".into());
        }
        if let Some(symbol) = self.strategy.keys().find(|symbol| !self.system.symbols.contains(symbol)) {
            return wrong(&format!("strategy.{symbol}"), "the symbol is not among system.symbols".into());
        }
        for (name, address) in &self.hosts {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none() {
                return wrong(&format!("hosts.{name}"), format!("{address:?} is not host:port"));
            }
        }
        for (symbol, rule) in &self.strategy {
            if rule.cadence == 0 {
                return wrong(&format!("strategy.{symbol}.cadence"), "at least 1 trade is needed".into());
            }
        }
        if !(Decimal::ZERO..=Decimal::ONE).contains(&self.chaos.probability) {
            return wrong("chaos.probability", "it must be from 0 to 1".into());
        }
        if self.chaos.enabled && self.system.mode == Mode::Live {
            return wrong("chaos.enabled", "there is no chaos in live mode".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../fixtures/config/tradewind.toml");

    fn read(text: &str) -> Result<Config, ConfigError> {
        Config::read("x.toml", text, |_| None)
    }

    fn complaint(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn the_example_shows_every_key_with_its_default() {
        let example = read(EXAMPLE).unwrap();
        let expected = Config {
            hosts: example.hosts.clone(),
            strategy: example.system.symbols.iter().cloned().map(|s| (s, StrategyRule::default())).collect(),
            ..Config::default()
        };
        assert_eq!(example, expected);
        let written = serde_json::to_value(&example).unwrap();
        for (table, keys) in written.as_object().unwrap() {
            let quoted =
                |name: &str| EXAMPLE.contains(&format!("{name} =")) || EXAMPLE.contains(&format!("[{name}"));
            assert!(quoted(table), "{table} is not in the example");
            for key in keys.as_object().unwrap().keys().filter(|_| table != "strategy") {
                assert!(quoted(key), "{table}.{key} is not in the example");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_file_line_and_what_was_expected() {
        for (text, expected) in [
            (
                "[watch]\n\nheartbeat = \"5s\"\n",
                "x.toml:3: unknown field `heartbeat`, expected one of `heartbeat_max`",
            ),
            (
                "[watch]\nheartbeat_max = 5\n",
                "x.toml:2: invalid type: integer `5`, expected a span of time with its unit",
            ),
            (
                "[watch]\nheartbeat_max = \"5 sec\"\n",
                "x.toml:2: invalid value: string \"5 sec\", expected a span",
            ),
            ("[nonsense]\n", "x.toml:1: unknown field `nonsense`"),
            ("[system]\nsymbols = [\"btcusdt\"]\n", "x.toml:2: \"btcusdt\" is not"),
            ("[system]\nsymbols = []\n", "x.toml: system.symbols: at least one symbol is needed"),
            ("[hosts]\nbus = \"here\"\n", "x.toml: hosts.bus: \"here\" is not host:port"),
            ("[strategy.ETHUSDT]\n", "x.toml: strategy.ETHUSDT: the symbol is not among system.symbols"),
            ("[chaos]\nprobability = \"1.5\"\n", "x.toml: chaos.probability: it must be from 0 to 1"),
            (
                "[system]\nmode = \"live\"\n[chaos]\nenabled = true\n",
                "x.toml: chaos.enabled: there is no chaos in live mode",
            ),
            ("[system\n", "x.toml:1: "),
        ] {
            let complaint = complaint(text);
            assert!(complaint.starts_with(expected), "{text:?}: {complaint}");
        }
    }
}
