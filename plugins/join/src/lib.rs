//! Joins the messages of two subjects that have the same key and event times close to each other.
//!
//! Messages wait in the state of their key (`kept.rs`) for as long as a match can come. That it cannot come any
//! more is known by the watermark: a timer of event time ends the wait. With a table nothing waits: the state has its
//! rows.
//!
//! A result has the payloads of two messages, and whoever refuses it refuses both. So a payload that others would not read
//! is refused when it comes: only its own message is a dead letter then.

mod config;
mod kept;
#[cfg(test)]
mod tests;

use config::{Config, Kind, Settings, Side};
use fields::DEPTH;
use kept::Kept;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use weir_sdk::timers::{self, Clock};
use weir_sdk::{Error, Message, Operator, Output, Outputs, Stateful, Timer, metrics, state};

struct Join(Settings);

impl Operator for Join {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Settings::new(config).map(Self)
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let side = self.0.side(message).ok_or_else(|| {
            let [left, right] = self.0.sides();
            let source = message.source();
            let source = source.map(|name| format!(" of source `{name}`"));
            Error::reject(format!(
                "the message on `{}`{} is of neither side: left is {left}, and right is {right}",
                message.subject,
                source.unwrap_or_default()
            ))
        })?;
        fields::state_key(message)?;
        if self.0.kind.is_table() {
            return self.looked_up(side, message);
        }
        let payload = payload(message)?.to_owned();
        let watermark = timers::now(Clock::EventTime);
        let waits_until = message.event_time.saturating_add(self.0.reach(side).0);
        let is_as_of = self.0.kind == Kind::AsOf;
        // What is known late is still known to those that come.
        if waits_until < watermark && !(is_as_of && side == Side::Right) {
            metrics::add("late", 1);
            return Ok(Outputs::none());
        }
        if !is_as_of {
            return self.matched(side, message, payload);
        }
        self.wait(side, message, payload, false)?;
        if side == Side::Right {
            let key = message.state_key();
            forget(
                key,
                watermark.min(kept::first(key, Side::Left).unwrap_or(u64::MAX)),
            )?;
        }
        Ok(Outputs::none())
    }
}

impl Stateful for Join {
    fn on_timer(&mut self, timer: &Timer) -> Result<Outputs, Error> {
        let (key, name) = (&timer.key, &timer.tag);
        let (Some((side, time)), Some(kept)) = (kept::read(name), kept::get(key, name)?) else {
            return Ok(Outputs::none());
        };
        state::delete(key, name);
        if self.0.kind == Kind::AsOf {
            let latest = forget(key, time)?;
            return self.result(Side::Left, &kept.payload, latest.as_deref());
        }
        match self.0.is_outer(side) && !kept.matched {
            true => self.result(side, &kept.payload, None),
            false => Ok(Outputs::none()),
        }
    }
}

impl Join {
    /// What the table has changes, or a message is joined with what it has now.
    fn looked_up(&self, side: Side, message: &Message) -> Result<Outputs, Error> {
        let key = message.state_key();
        if side == Side::Right {
            let row = match message.is_removal() {
                true => None,
                false => Some(payload(message)?),
            };
            return kept::set_row(key, row).map(|()| Outputs::none());
        }
        if message.is_removal() {
            let why =
                "a removal from a bucket is of the left side; the table has to be the right one";
            return Err(Error::reject(why));
        }
        let payload = payload(message)?;
        match kept::row(key)? {
            None if self.0.kind == Kind::Table => {
                metrics::add("unmatched", 1);
                Ok(Outputs::none())
            }
            row => self.result(side, payload, row.as_deref()),
        }
    }

    /// The results with those that wait on the other side; then it waits, too.
    fn matched(
        &self,
        side: Side,
        message: &Message,
        payload: Box<RawValue>,
    ) -> Result<Outputs, Error> {
        let (key, time) = (message.state_key(), message.event_time);
        let (later, earlier) = self.0.reach(side);
        let [from, to] = [time.saturating_sub(earlier), time.saturating_add(later)];
        let others = kept::between(key, side.other(), from, to)?;
        let mut outputs = Outputs::none();
        self.wait(side, message, payload.clone(), !others.is_empty())?;
        for (name, mut other) in others {
            for output in self
                .result(side, &payload, Some(&other.payload))?
                .into_inner()
            {
                outputs.push(output);
            }
            // Only where it makes a difference.
            if !other.matched && self.0.is_outer(side.other()) {
                other.matched = true;
                kept::put(key, &name, &other)?;
            }
        }
        Ok(outputs)
    }

    /// It waits until the watermark is past the last one that can be its match. One as of which others are, waits
    /// for ever.
    fn wait(
        &self,
        side: Side,
        message: &Message,
        payload: Box<RawValue>,
        matched: bool,
    ) -> Result<(), Error> {
        let (key, name) = (message.state_key(), kept::name(side, message));
        kept::put(key, &name, &Kept { payload, matched })?;
        if self.0.kind == Kind::AsOf && side == Side::Right {
            return Ok(());
        }
        let last = message.event_time.saturating_add(self.0.reach(side).0);
        // A message at the watermark is not late.
        timers::set(key, &name, Clock::EventTime, last.saturating_add(1))
    }

    fn result(
        &self,
        side: Side,
        own: &RawValue,
        other: Option<&RawValue>,
    ) -> Result<Outputs, Error> {
        let pair = [
            (self.0.name(side), Some(own)),
            (self.0.name(side.other()), other),
        ];
        Ok(Output::json(&BTreeMap::from(pair))?.into())
    }
}

/// The payload as a part of a result, which is one level deeper: whoever reads JSON strictly reads the result, too.
fn payload(message: &Message) -> Result<&RawValue, Error> {
    let payload = fields::check(&message.payload, DEPTH - 1);
    payload.map_err(|why| Error::reject(format!("cannot read the payload as JSON: {why}")))
}

/// Of the right ones of a key up to a time, all but the last are of no use any more. Returns that one.
fn forget(key: &str, upto: u64) -> Result<Option<Box<RawValue>>, Error> {
    let mut known = kept::between(key, Side::Right, 0, upto)?;
    let latest = known.pop();
    for (name, _) in known {
        state::delete(key, &name);
    }
    Ok(latest.map(|(_, kept)| kept.payload))
}

weir_sdk::export_stateful!(Join);
