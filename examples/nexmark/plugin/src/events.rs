//! What is read: of each event, the fields that the queries need. When it happened is its event time, which the
//! pipelines take from `date_time`: so it need not be read again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weir_sdk::{Error, Message, OrFail};

#[derive(Deserialize, Serialize)]
pub struct Person {
    pub name: String,
    pub city: String,
    pub state: String,
}

/// It begins at its event time.
#[derive(Deserialize)]
pub struct Auction {
    pub id: u64,
    /// When it ends; a bid of this time still counts.
    pub expires: Timestamp,
    pub seller: u64,
    pub category: u64,
}

#[derive(Deserialize)]
pub struct Bid {
    pub bidder: u64,
    /// In cents.
    pub price: u64,
}

/// An auction that has ended, with its highest bid: what `winning_bids.rs` publishes.
#[derive(Deserialize, Serialize)]
pub struct Won {
    pub auction: u64,
    pub category: u64,
    pub seller: u64,
    pub bidder: u64,
    pub price: u64,
    /// Of the bid.
    pub date_time: Timestamp,
    pub expires: Timestamp,
}

/// A time in nanoseconds since 1970, as results have it.
pub fn timestamp(nanoseconds: u64) -> Result<Timestamp, Error> {
    Timestamp::from_nanosecond(nanoseconds.into()).or_reject("a time is too late")
}

/// What kind of event a message is.
pub enum Kind {
    Person,
    Auction,
    Bid,
}

impl Kind {
    /// By the last token of the subject: `nexmark.bid`.
    pub fn of(message: &Message) -> Result<Self, Error> {
        match message.token(1) {
            Some("person") => Ok(Self::Person),
            Some("auction") => Ok(Self::Auction),
            Some("bid") => Ok(Self::Bid),
            _ => {
                let subject = &message.subject;
                Err(Error::reject(format!("`{subject}` is no event of NEXMark")))
            }
        }
    }
}
