//! Events of others, and the rows of the queries over them: `tests/golden/nexmark`.

use crate::{Event, Query};
use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use std::path::PathBuf;

fn read(file: &str) -> Result<String> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
    let path = root.join("tests/golden/nexmark").join(file);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn lines<T: DeserializeOwned>(file: &str, event: fn(T) -> Event) -> Result<Vec<Event>> {
    let text = read(file)?;
    let event = |line| Ok(event(serde_json::from_str(line)?));
    text.lines().map(event).collect()
}

/// All events, in the order of their times.
///
/// # Errors
/// When a file is missing, or has something else.
pub fn events() -> Result<Vec<Event>> {
    let mut events = lines("person.jsonl", Event::Person)?;
    events.extend(lines("auction.jsonl", Event::Auction)?);
    events.extend(lines("bid.jsonl", Event::Bid)?);
    events.sort_by_key(Event::time);
    Ok(events)
}

/// The rows of a query, or none where there is no file.
#[must_use]
pub fn rows(query: &Query) -> Option<String> {
    read(&format!("{}.txt", query.name)).ok()
}
