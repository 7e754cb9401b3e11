//! The configuration.

use serde::Deserialize;

/// What stands under `config:`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    every: Option<String>,
    keep: Option<Keep>,
    quiet: Option<String>,
    at_most: Option<String>,
}

/// Which message of an interval passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    First,
    /// At the end of the interval.
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

/// A number and its unit.
fn nanoseconds(text: &str) -> Result<u64, String> {
    let refusal = || format!("`{text}` is not a time; write `500ms`, `30s`, `5m`, `1h` or `7d`");
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(refusal()),
    };
    let number: u64 = digits.trim().parse().map_err(|_| refusal())?;
    match number.checked_mul(unit) {
        None => Err(refusal()),
        Some(0) => Err("every message would pass".to_owned()),
        Some(time) => Ok(time),
    }
}
