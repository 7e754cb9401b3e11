//! The configuration.

use serde::Deserialize;
use weir_sdk::{Refusal, config};

/// The keys of `config:`.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// One message passes per interval of this length: `500ms`, `10s`, `1h`. An interval begins with its
    /// first message.
    #[cfg_attr(test, schemars(extend("x-kind" = "duration")))]
    every: Option<String>,
    /// Which message of an interval passes; the first by default.
    keep: Option<Keep>,
    /// The last message passes when no message has come for this time: `30s`, `5m`.
    #[cfg_attr(test, schemars(extend("x-kind" = "duration")))]
    quiet: Option<String>,
    /// With `quiet`: the longest time from the first message until one passes.
    #[cfg_attr(test, schemars(extend("x-kind" = "duration")))]
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
        let mut refusal = Refusal::default();
        let mut time = |name: &str, text: &Option<String>| {
            let text = text.as_ref()?;
            refusal.check(&[name], nanoseconds(text))
        };
        let times = (
            time("every", &self.every),
            time("quiet", &self.quiet),
            time("at-most", &self.at_most),
        );
        let (every, quiet, at_most) = times;
        match (&self.every, &self.quiet) {
            (Some(_), None) if self.at_most.is_some() => {
                refusal.add(&["at-most"], "it is for `quiet`");
            }
            (None, Some(_)) if self.keep.is_some() => {
                refusal.add(
                    &["keep"],
                    "it is for `every`: of `quiet` the last message passes",
                );
            }
            (Some(_), Some(_)) => refusal.add(&["quiet"], "write either `every` or `quiet`"),
            (None, None) => {
                refusal.add(
                    &[],
                    "write either `every`, such as `every: 10s`, or `quiet`",
                );
            }
            _ => {}
        }
        if at_most < quiet && at_most.is_some() {
            refusal.add(&["at-most"], "it is less than `quiet`");
        }
        let keep = self.keep.unwrap_or(Keep::First);
        let every = every.map(|time| Rule::Every { time, keep });
        refusal.or(every.or(quiet.map(|time| Rule::Quiet { time, at_most })))
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
