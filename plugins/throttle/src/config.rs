//! The configuration.

use serde::Deserialize;
use weir_sdk::config;

/// The keys of `config:`.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// One message passes per interval of this length: `500ms`, `10s`, `1h`. An interval begins with its
    /// first message.
    every: Option<String>,
    /// Which message of an interval passes; the first by default.
    keep: Option<Keep>,
    /// The last message passes when no message has come for this time: `30s`, `5m`.
    quiet: Option<String>,
    /// With `quiet`: the longest time from the first message until one passes.
    at_most: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The first, at once.
    First,
    /// The last, at the end of the interval.
    Last,
    /// The first at once, and the last at the end.
    Both,
}

/// Which messages pass. Times are in nanoseconds.
#[derive(Debug, PartialEq)]
pub enum Rule {
    /// One in each interval. It begins with the first message.
    Every { time: u64, keep: Keep },
    /// The last, once nothing has come for so long, or since the first one at most so long.
    Quiet { time: u64, at_most: Option<u64> },
}

impl Config {
    pub fn rule(self) -> Result<Rule, String> {
        let time =
            |name: &str, text: &str| nanoseconds(text).map_err(|why| format!("`{name}`: {why}"));
        let Self {
            every,
            keep,
            quiet,
            at_most,
        } = self;
        match (every, quiet) {
            (Some(every), None) => match at_most {
                Some(_) => Err("`at-most` is for `quiet`".into()),
                None => Ok(Rule::Every {
                    time: time("every", &every)?,
                    keep: keep.unwrap_or(Keep::First),
                }),
            },
            (None, Some(quiet)) => match keep {
                Some(_) => Err("`keep` is for `every`: of `quiet` the last message passes".into()),
                None => {
                    let at_most = at_most.map(|text| time("at-most", &text)).transpose()?;
                    let time = time("quiet", &quiet)?;
                    match at_most.is_some_and(|most| most < time) {
                        true => Err("`at-most` is less than `quiet`".into()),
                        false => Ok(Rule::Quiet { time, at_most }),
                    }
                }
            },
            _ => Err("write either `every`, such as `every: 10s`, or `quiet`".into()),
        }
    }
}

fn nanoseconds(text: &str) -> Result<u64, String> {
    let time = config::duration(text)?;
    match u64::try_from(time.as_nanos()) {
        Ok(0) => Err("every message would pass".to_owned()),
        Ok(time) => Ok(time),
        Err(_) => Err(format!("`{text}` is too long")),
    }
}
