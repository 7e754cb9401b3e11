//! Persons, auctions and bids, and how they are published.

use crate::Time;
use example_streams::Message;
use serde::{Deserialize, Serialize};

/// Somebody who sells and bids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub id: u64,
    pub name: String,
    pub email_address: String,
    pub credit_card: String,
    pub city: String,
    pub state: String,
    pub date_time: Time,
    pub extra: String,
}

/// Something that a person sells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auction {
    pub id: u64,
    pub item_name: String,
    pub description: String,
    pub initial_bid: u64,
    pub reserve: u64,
    /// When it begins.
    pub date_time: Time,
    /// When it ends; a bid of this time still counts.
    pub expires: Time,
    /// The person.
    pub seller: u64,
    pub category: u64,
    pub extra: String,
}

/// What a person offers for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bid {
    pub auction: u64,
    /// The person.
    pub bidder: u64,
    /// In cents.
    pub price: u64,
    pub channel: String,
    pub url: String,
    pub date_time: Time,
    pub extra: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Person(Person),
    Auction(Auction),
    Bid(Bid),
}

impl Event {
    #[must_use]
    pub fn time(&self) -> Time {
        match self {
            Self::Person(person) => person.date_time,
            Self::Auction(auction) => auction.date_time,
            Self::Bid(bid) => bid.date_time,
        }
    }

    /// The same event at another time.
    #[must_use]
    pub fn at(mut self, time: Time) -> Self {
        match &mut self {
            Self::Person(person) => person.date_time = time,
            Self::Auction(auction) => auction.date_time = time,
            Self::Bid(bid) => bid.date_time = time,
        }
        self
    }

    /// The last token of its subject.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::Auction(_) => "auction",
            Self::Bid(_) => "bid",
        }
    }

    /// As it is published: JSON. What it is about is in a header where that has another name in each kind: whose it
    /// is in `Person`, and which auction it is or is about in `Auction`.
    ///
    /// # Errors
    /// None that an event of this crate can cause.
    pub fn message(&self) -> serde_json::Result<Message> {
        let (headers, payload) = match self {
            Self::Person(person) => (
                vec![("Person", person.id.to_string())],
                serde_json::to_vec(person)?,
            ),
            Self::Auction(auction) => (
                vec![
                    ("Person", auction.seller.to_string()),
                    ("Auction", auction.id.to_string()),
                ],
                serde_json::to_vec(auction)?,
            ),
            Self::Bid(bid) => (
                vec![
                    ("Person", bid.bidder.to_string()),
                    ("Auction", bid.auction.to_string()),
                ],
                serde_json::to_vec(bid)?,
            ),
        };
        Ok(Message {
            subject: format!("nexmark.{}", self.kind()),
            headers,
            payload,
        })
    }
}
