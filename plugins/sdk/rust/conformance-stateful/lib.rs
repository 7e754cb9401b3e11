//! The plugin with state of the conformance suite, in Rust: see `plugins/sdk/conformance/README.md`.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use weir_sdk::timers::{self, Clock};
use weir_sdk::{Error, Message, Operator, Output, Outputs, State, Stateful, Timer, export_stateful};
use weir_sdk::{serde_json::json, state};

struct Conformance;

const COUNT: State<u64> = State::new("count");
const NOTE: State<Note> = State::new("note");

#[derive(Deserialize, Serialize)]
struct Note {
    text: String,
    n: i64,
}

/// The payload of every case; each has the fields that it needs.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Given {
    note: Option<Note>,
    name: String,
    text: String,
    ttl_ms: Option<u64>,
    keys: Vec<String>,
    prefix: String,
    after: Option<String>,
    limit: u32,
    bytes: usize,
    tag: String,
    event_time: Option<u64>,
    after_ms: u64,
}

impl Operator for Conformance {
    type Config = ();

    fn configure((): ()) -> Result<Self, String> {
        Ok(Self)
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let key = message.state_key();
        let given: Given = message.json()?;
        let ttl = given.ttl_ms.map(Duration::from_millis);
        match message.token(1).unwrap_or_default() {
            "count" => return Ok(Output::json(&json!({ "count": count(key)? }))?.into()),
            "counts" => {
                let counts = COUNT.get_many(given.keys.iter().map(String::as_str))?;
                return Ok(Output::json(&json!({ "counts": counts }))?.into());
            }
            "note" => {
                let note = given.note.ok_or_else(|| Error::reject("no `note`"))?;
                match ttl {
                    None => NOTE.set(key, &note)?,
                    Some(ttl) => NOTE.set_for(key, &note, ttl)?,
                }
            }
            "read" => return Ok(Output::json(&json!({ "note": NOTE.get(key)? }))?.into()),
            "forget" => {
                COUNT.delete(key);
                NOTE.delete(key);
            }
            "put" => state::set(key, &given.name, given.text.as_bytes(), ttl)?,
            "fill" => state::set(key, &given.name, &vec![b'x'; given.bytes], None)?,
            "remove" => state::delete(key, &given.name),
            "scan" => {
                let found = state::scan(key, &given.prefix, given.after.as_deref(), given.limit);
                let text = |(name, value): (String, Vec<u8>)| (name, String::from_utf8(value));
                let found = found.into_iter().map(text);
                let found = found.map(|(name, value)| Ok((name, value?)));
                let found = found.collect::<Result<Vec<_>, Error>>()?;
                return Ok(Output::json(&json!({ "found": found }))?.into());
            }
            "timer" => match given.event_time {
                Some(at) => timers::set(key, &given.tag, Clock::EventTime, at)?,
                None => timers::set_after(key, &given.tag, Duration::from_millis(given.after_ms))?,
            },
            "cancel" => timers::cancel(key, &given.tag),
            "now" => {
                let event = timers::now(Clock::EventTime);
                let processing = timers::now(Clock::ProcessingTime);
                let now = json!({ "event": event, "processing": processing });
                return Ok(Output::json(&now)?.into());
            }
            other => return end(other, key),
        }
        Ok(Outputs::none())
    }
}

impl Stateful for Conformance {
    fn on_timer(&mut self, timer: &Timer) -> Result<Outputs, Error> {
        if timer.tag != "count" {
            return end(&timer.tag, &timer.key);
        }
        let clock = match timer.clock {
            Clock::EventTime => "event",
            Clock::ProcessingTime => "processing",
        };
        let count = count(&timer.key)?;
        let fired = json!({ "count": count, "key": timer.key, "clock": clock, "at": timer.at });
        Ok(Output::json(&fired)?.into())
    }
}

/// Counts, and ends badly.
fn end(how: &str, key: &str) -> Result<Outputs, Error> {
    count(key)?;
    match how {
        "reject" => Err(Error::reject("told to reject")),
        "retry" => Err(Error::retry("told to retry")),
        "raise" => panic!("told to raise"),
        other => Err(Error::reject(format!("no such case: {other}"))),
    }
}

fn count(key: &str) -> Result<u64, Error> {
    let count = COUNT.get(key)?.unwrap_or_default() + 1;
    COUNT.set(key, &count)?;
    Ok(count)
}

export_stateful!(Conformance);
