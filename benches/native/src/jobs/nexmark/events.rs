//! Of each event the fields that the native queries read.

use anyhow::{Context, Result};
use nexmark_oracle::Time;
use serde::{Deserialize, Deserializer, Serialize};

/// A bid without its time, which need not be understood.
#[derive(Deserialize, Serialize)]
pub(super) struct Columns<'a> {
    pub(super) auction: u64,
    pub(super) bidder: u64,
    pub(super) price: u64,
    pub(super) date_time: &'a str,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Bid {
    pub(super) auction: u64,
    /// In cents.
    pub(super) price: u64,
    pub(super) bidder: u64,
    #[serde(deserialize_with = "time")]
    pub(super) date_time: Time,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
pub(super) struct Auction {
    pub(super) id: u64,
    #[serde(deserialize_with = "time")]
    pub(super) date_time: Time,
    #[serde(deserialize_with = "time")]
    pub(super) expires: Time,
    pub(super) seller: u64,
    pub(super) category: u64,
}

#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Person {
    #[serde(skip_serializing)]
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) city: String,
    pub(super) state: String,
    #[serde(deserialize_with = "time", skip_serializing)]
    pub(super) date_time: Time,
}

/// A person or an auction.
pub(super) enum Either {
    Person(Person),
    Auction(Auction),
}

impl Either {
    pub(super) fn read(subject: &[u8], payload: &[u8]) -> Result<Self> {
        Ok(match subject.ends_with(b".person") {
            true => Self::Person(read(payload)?),
            false => Self::Auction(read(payload)?),
        })
    }
}

pub(super) fn read<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T> {
    serde_json::from_slice(payload).context("cannot parse an event")
}

/// As the events have it, without a copy.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = <&str>::deserialize(deserializer)?;
    let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    let time = u64::try_from(time.as_millisecond());
    time.map(Time).map_err(serde::de::Error::custom)
}
