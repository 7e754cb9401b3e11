//! Does to its state what the payload says.
//!
//! A payload is a script: commands with `; ` between them, see [`obey`]. What they answer, with
//! commas between, becomes the payload; where none answers, the message passes as it came. A command that is
//! none is left alone, so a chain of several operators can pass scripts on. `@NAME COMMAND` is for the operator
//! of that name. A timer runs its tag. `SOURCE` stands for the name of the message's source.
//!
//! Configuration: `configure: SCRIPT` is run by `configure`.
//!
//! The tests write versions into the compiled component. One that begins with `twice` tallies keys that begin with
//! `1` twice; `keep` keeps the version, and answers nothing; with `grow` a version of that name writes as much, and with `spin` one
//! never ends.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;
use weir_sdk::timers::{self, Clock};
use weir_sdk::{Error, Message, Operator, Output, Outputs, State, Timer, config, state};

/// What the tests look for, and 16 characters for the version.
static VERSION: &[u8; 34] = b"version-of-this-:first___________.";

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    configure: Option<String>,
}

struct Stateful;

const COUNT: State<u64> = State::new("count");

impl Operator for Stateful {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let script = config.configure.unwrap_or_default();
        match run(&script, "") {
            Ok(_) => Ok(Self),
            Err(error) => Err(format!("{error:?}")),
        }
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let script = message.text()?;
        match message.source() {
            Some(source) => run(&script.replace("SOURCE", &source), message.state_key()),
            None => run(script, message.state_key()),
        }
    }
}

impl weir_sdk::Stateful for Stateful {
    fn on_timer(&mut self, timer: &Timer) -> Result<Outputs, Error> {
        run(&timer.tag, &timer.key)
    }
}

fn run(script: &str, key: &str) -> Result<Outputs, Error> {
    let mut key = key.to_owned();
    let mut answers = Vec::new();
    for command in script.split("; ") {
        let command = match command
            .strip_prefix('@')
            .and_then(|rest| rest.split_once(' '))
        {
            Some((operator, _)) if operator != config::operator() => continue,
            Some((_, command)) => command,
            None => command,
        };
        answers.extend(obey(command, &mut key)?);
    }
    match answers.as_slice() {
        [] => Ok(Outputs::pass()),
        [drop] if drop == "drop" => Ok(Outputs::none()),
        answers => Ok(Output::new(answers.join(",")).into()),
    }
}

/// Carries out a command; its answer, if it has one.
fn obey(command: &str, key: &mut String) -> Result<Option<String>, Error> {
    let words: Vec<&str> = command.split(' ').collect();
    match words.as_slice() {
        // From here on it is about another key.
        ["key", other] => (*other).clone_into(key),
        ["count"] => {
            let count = COUNT.get(key)?.unwrap_or_default() + 1;
            COUNT.set(key, &count)?;
            return Ok(Some(count.to_string()));
        }
        ["tally"] => {
            let weight = if version() == "twice" && key.starts_with('1') {
                2
            } else {
                1
            };
            let count = COUNT.get(key)?.unwrap_or_default() + weight;
            COUNT.set(key, &count)?;
            return Ok(Some(count.to_string()));
        }
        ["keep"] => state::set(key, "kept", version().as_bytes(), None)?,
        ["grow", name, bytes] if version() == "grow" => {
            state::set(key, name, &vec![b'x'; bytes.parse()?], None)?;
        }
        ["spin"] => while black_box(version() == "spin") {},
        ["get", name] => return Ok(Some(shown(state::get(key, name)))),
        ["get-counts", keys @ ..] => {
            let counts = COUNT.get_many(keys.iter().copied())?;
            return Ok(Some(format!("{counts:?}")));
        }
        ["set", name, value] => state::set(key, name, value.as_bytes(), None)?,
        ["set", name, value, ttl] => {
            let ttl = Duration::from_millis(ttl.parse()?);
            state::set(key, name, value.as_bytes(), Some(ttl))?;
        }
        ["fill", name, bytes] => state::set(key, name, &vec![b'x'; bytes.parse()?], None)?,
        // One value of so many bytes, so many times.
        ["fill-again", name, bytes, times] => {
            for _ in 0..times.parse()? {
                state::set(key, name, &vec![b'x'; bytes.parse()?], None)?;
            }
        }
        // As many values of so many bytes.
        ["fill", prefix, bytes, values] => {
            for number in 0..values.parse()? {
                let name = format!("{prefix}{number:03}");
                state::set(key, &name, &vec![b'x'; bytes.parse()?], None)?;
            }
        }
        ["delete", name] => state::delete(key, name),
        ["scan", prefix, limit] => return Ok(Some(scanned(key, prefix, None, limit.parse()?))),
        ["scan", prefix, limit, after] => {
            return Ok(Some(scanned(key, prefix, Some(after), limit.parse()?)));
        }
        // Names all bytes of the answer, for large ones.
        ["measure", prefix, limit] => {
            let found = state::scan(key, prefix, None, limit.parse()?);
            let bytes: usize = found.iter().map(|(_, value)| value.len()).sum();
            return Ok(Some(format!("{} of {bytes}", found.len())));
        }
        ["get-often", name, times] => {
            let times = times.parse()?;
            let names = vec![(key.clone(), (*name).to_owned()); times];
            let values = weir_sdk::state_bindings::weir::state::state::get_many(&names);
            return Ok(Some(values.len().to_string()));
        }
        ["long-name", bytes] => state::delete(key, &"n".repeat(bytes.parse()?)),
        ["timer", clock, at, tag @ ..] => {
            timers::set(key, &tag.join(" "), named(clock), at.parse()?)?;
        }
        ["cancel", tag @ ..] => timers::cancel(key, &tag.join(" ")),
        ["now", clock] => return Ok(Some(timers::now(named(clock)).to_string())),
        ["trap"] => panic!("told to trap"),
        ["reject"] => return Err(Error::reject("told to reject")),
        ["retry"] => return Err(Error::retry("told to retry")),
        ["drop"] => return Ok(Some("drop".to_owned())),
        ["say", what @ ..] => return Ok(Some(what.join(" "))),
        _ => {}
    }
    Ok(None)
}

fn version() -> String {
    let text = String::from_utf8_lossy(black_box(VERSION)).into_owned();
    let version = text.split_once(':').map_or("", |(_, version)| version);
    version.trim_end_matches(['_', '.']).to_owned()
}

fn named(clock: &str) -> Clock {
    match clock {
        "event" => Clock::EventTime,
        _ => Clock::ProcessingTime,
    }
}

fn shown(value: Option<Vec<u8>>) -> String {
    value.map_or_else(
        || "-".to_owned(),
        |value| String::from_utf8_lossy(&value).into_owned(),
    )
}

fn scanned(key: &str, prefix: &str, after: Option<&str>, limit: u32) -> String {
    let found = state::scan(key, prefix, after, limit);
    let mut text = String::from("[");
    for (name, value) in found {
        // Writing to a string does not fail.
        let _ = write!(text, "{name}={} ", shown(Some(value)));
    }
    text.trim_end().to_owned() + "]"
}

weir_sdk::export_stateful!(Stateful);
