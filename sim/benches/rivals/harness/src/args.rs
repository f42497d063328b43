//! The command line of a rival: `--hosts N --rate R --seconds T --seeds S [--repeats K]`.

use std::time::Duration;

use crate::World;

/// What to measure.
#[derive(Debug)]
pub struct Args {
    /// The world to simulate.
    pub world: World,
    /// Seeds run one after another, from 0; their wall time is measured as a whole.
    pub seeds: u64,
    /// Times the measurement is made; the median is reported.
    pub repeats: usize,
}

impl Args {
    /// Reads the arguments, the program's name left out.
    ///
    /// # Errors
    ///
    /// What is wrong with them, in words for the person who typed them.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut hosts, mut rate, mut seconds, mut seeds, mut repeats) = (None, None, None, None, 3);
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} lacks a value"))?;
            let number = || {
                value
                    .parse::<u64>()
                    .map_err(|_| format!("{name} {value} is not a whole number"))
            };
            match name.as_str() {
                "--hosts" => hosts = Some(number()?),
                "--rate" => rate = Some(number()?),
                "--seconds" => seconds = Some(number()?),
                "--seeds" => seeds = Some(number()?),
                "--repeats" => repeats = number()?,
                _ => return Err(format!("{name} is not an option")),
            }
        }
        let world = World {
            hosts: at_least(2, "--hosts", hosts)?,
            rate: at_least(0, "--rate", rate)?,
            length: Duration::from_secs(at_least(1, "--seconds", seconds)?),
        };
        if world.hosts > 250 {
            return Err("--hosts must be at most 250, the addresses of one subnet".to_owned());
        }
        Ok(Self {
            world,
            seeds: at_least(1, "--seeds", seeds)?,
            repeats: at_least(1, "--repeats", Some(repeats))? as usize,
        })
    }
}

fn at_least(least: u64, name: &str, value: Option<u64>) -> Result<u64, String> {
    match value {
        Some(value) if value >= least => Ok(value),
        Some(value) => Err(format!("{name} {value} must be at least {least}")),
        None => Err(format!("{name} is missing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn every_option_is_read() {
        let args = parse("--hosts 10 --rate 0 --seconds 60 --seeds 4 --repeats 5").unwrap();
        assert_eq!(
            (args.world.hosts, args.world.clients(), args.world.rate),
            (10, 9, 0)
        );
        assert_eq!(args.world.length, Duration::from_secs(60));
        assert_eq!((args.seeds, args.repeats), (4, 5));
    }

    #[test]
    fn what_cannot_be_measured_is_refused_by_name() {
        for (line, reason) in [
            ("--hosts 10 --rate 1 --seeds 1", "--seconds is missing"),
            (
                "--hosts 1 --rate 1 --seconds 1 --seeds 1",
                "--hosts 1 must be at least 2",
            ),
            (
                "--hosts 251 --rate 1 --seconds 1 --seeds 1",
                "--hosts must be at most 250, the addresses of one subnet",
            ),
            (
                "--hosts 2 --rate 1 --seconds 1 --seeds 0",
                "--seeds 0 must be at least 1",
            ),
            (
                "--hosts 2 --rate 1 --seconds 1 --seeds 1 --repeats 0",
                "--repeats 0 must be at least 1",
            ),
            ("--hosts ten", "--hosts ten is not a whole number"),
            ("--hosts", "--hosts lacks a value"),
            ("--speed 1", "--speed is not an option"),
        ] {
            assert_eq!(parse(line).unwrap_err(), reason);
        }
    }
}
