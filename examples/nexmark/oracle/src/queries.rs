//! The queries: where their results are, what is compared of them, and how many there must be.

use crate::rows::{Kind, Row};
use crate::{Event, Time, batch};
use anyhow::{Result, ensure};
use example_streams::Streams;
use std::borrow::Cow;

/// One query, which is one pipeline.
pub struct Query {
    /// The name of its file, without `.yaml`.
    pub name: &'static str,
    /// The last tokens of the subjects that it reads; empty where it reads the winning bids.
    pub reads: &'static [&'static str],
    /// Whether results wait until auctions or windows have ended, so that how late they are says nothing of the query.
    pub waits: bool,
    /// What is compared: fields of a result, in the order in which others print them.
    pub columns: &'static [(&'static str, Kind)],
    /// The same of those that others do not print.
    pub more: &'static [(&'static str, Kind)],
    /// Whether its time is not that in an event, but that at which the server stored the event.
    pub stored: bool,
    /// The columns that say which result a later one takes the place of. Empty where none is ever replaced.
    pub key: &'static [usize],
    /// The rows in the end, in no order.
    pub rows: fn(&[Event]) -> Vec<Row>,
    /// How many results are published for them, with those that later ones take the place of.
    pub results: fn(&[Event]) -> usize,
}

impl Query {
    /// The name of its pipeline.
    #[must_use]
    pub fn pipeline(&self) -> String {
        format!("nexmark-{}", self.name)
    }

    /// The stream of its results.
    #[must_use]
    pub fn stream(&self) -> String {
        self.pipeline().to_uppercase().replace('-', "_")
    }

    /// These events, which are all that the stream `NEXMARK` has, with the times that they have for the query.
    ///
    /// # Errors
    /// When the stream cannot be read, or has others.
    pub async fn events<'e>(
        &self,
        events: &'e [Event],
        streams: &Streams,
    ) -> Result<Cow<'e, [Event]>> {
        if !self.stored {
            return Ok(Cow::Borrowed(events));
        }
        let times = streams.stored("NEXMARK").await?;
        let (found, expected) = (times.len(), events.len());
        ensure!(
            found == expected,
            "`NEXMARK` has {found} events, and not {expected}"
        );
        let events = events.iter().cloned().zip(times);
        Ok(events.map(|(event, time)| event.at(Time(time))).collect())
    }

    /// How many of these events it reads, or results of another query.
    #[must_use]
    pub fn inputs(&self, events: &[Event]) -> usize {
        let is_read = |event: &&Event| self.reads.contains(&event.kind());
        match self.reads {
            [] => batch::winning_bids(events).len(),
            _ => events.iter().filter(is_read).count(),
        }
    }
}

const BIDS: &[&str] = &["bid"];
const AUCTION: (&str, Kind) = ("auction", Kind::Whole);
const BIDDER: (&str, Kind) = ("bidder", Kind::Whole);
const PRICE: (&str, Kind) = ("price", Kind::Whole);
const TIME: (&str, Kind) = ("date_time", Kind::Time);
const CHANNEL: (&str, Kind) = ("channel", Kind::Text);
const URL: (&str, Kind) = ("url", Kind::Text);
const EXTRA: (&str, Kind) = ("extra", Kind::Text);
const BIDS_COUNTED: (&str, Kind) = ("bids", Kind::Whole);
const START: (&str, Kind) = ("start", Kind::Time);
const END: (&str, Kind) = ("end", Kind::Time);
const AVERAGE: (&str, Kind) = ("average", Kind::Decimals(2));

/// All queries, each behind those whose results it reads.
pub const QUERIES: [Query; 17] = [
    Query {
        name: "q0",
        reads: BIDS,
        waits: false,
        columns: &[AUCTION, BIDDER, PRICE, TIME],
        more: &[],
        stored: false,
        key: &[],
        rows: batch::q0,
        results: |events| batch::q0(events).len(),
    },
    Query {
        name: "q1",
        reads: BIDS,
        waits: false,
        columns: &[AUCTION, BIDDER, ("price", Kind::Decimals(3)), TIME],
        more: &[],
        stored: false,
        key: &[],
        rows: batch::q1,
        results: |events| batch::q1(events).len(),
    },
    Query {
        name: "q2",
        reads: BIDS,
        waits: false,
        columns: &[AUCTION, PRICE],
        more: &[],
        stored: false,
        key: &[],
        rows: batch::q2,
        results: |events| batch::q2(events).len(),
    },
    Query {
        name: "q3",
        reads: &["person", "auction"],
        waits: false,
        columns: &[
            ("name", Kind::Text),
            ("city", Kind::Text),
            ("state", Kind::Text),
            AUCTION,
        ],
        more: &[],
        stored: false,
        key: &[],
        rows: batch::q3,
        results: |events| batch::q3(events).len(),
    },
    Query {
        name: "winning-bids",
        reads: &["auction", "bid"],
        waits: true,
        columns: &[
            AUCTION,
            ("category", Kind::Whole),
            ("seller", Kind::Whole),
            BIDDER,
            PRICE,
            TIME,
            ("expires", Kind::Time),
        ],
        more: &[],
        stored: false,
        key: &[],
        rows: batch::winning_bids,
        results: |events| batch::winning_bids(events).len(),
    },
    Query {
        name: "q4",
        reads: &[],
        waits: true,
        columns: &[("category", Kind::Whole), AVERAGE],
        more: &[],
        stored: false,
        key: &[0],
        rows: batch::q4,
        results: |events| batch::winning_bids(events).len(),
    },
    Query {
        name: "q5",
        reads: BIDS,
        waits: true,
        columns: &[AUCTION, BIDS_COUNTED],
        more: &[START],
        stored: false,
        key: &[],
        rows: batch::q5,
        results: |events| batch::q5(events).len(),
    },
    Query {
        name: "q6",
        reads: &[],
        waits: true,
        columns: &[("seller", Kind::Whole), AVERAGE],
        more: &[],
        stored: false,
        key: &[0],
        rows: batch::q6,
        results: |events| batch::winning_bids(events).len(),
    },
    Query {
        name: "q7",
        reads: BIDS,
        waits: true,
        columns: &[AUCTION, PRICE, BIDDER, TIME],
        more: &[],
        stored: false,
        key: &[],
        rows: batch::q7,
        results: |events| batch::q7(events).len(),
    },
    Query {
        name: "q8",
        reads: &["person", "auction"],
        waits: true,
        columns: &[("id", Kind::Whole), ("name", Kind::Text), START],
        more: &[],
        stored: false,
        key: &[],
        rows: batch::q8,
        results: |events| batch::q8(events).len(),
    },
    Query {
        name: "q11",
        reads: BIDS,
        waits: true,
        columns: &[BIDDER, BIDS_COUNTED, START, END],
        more: &[],
        stored: false,
        key: &[],
        rows: batch::q11,
        results: |events| batch::q11(events).len(),
    },
    Query {
        name: "q12",
        reads: BIDS,
        waits: true,
        columns: &[BIDDER, BIDS_COUNTED, START, END],
        more: &[],
        stored: true,
        key: &[],
        rows: batch::q12,
        results: |events| batch::q12(events).len(),
    },
    Query {
        name: "q17",
        reads: BIDS,
        waits: false,
        columns: &[
            AUCTION,
            ("day", Kind::Text),
            BIDS_COUNTED,
            ("low", Kind::Whole),
            ("middle", Kind::Whole),
            ("high", Kind::Whole),
            ("min", Kind::Whole),
            ("max", Kind::Whole),
            AVERAGE,
            ("sum", Kind::Whole),
        ],
        more: &[],
        stored: false,
        key: &[0, 1],
        rows: batch::q17,
        results: |events| batch::q0(events).len(),
    },
    Query {
        name: "q18",
        reads: BIDS,
        waits: false,
        columns: &[AUCTION, BIDDER, PRICE, CHANNEL, URL, TIME, EXTRA],
        more: &[],
        stored: false,
        key: &[0, 1],
        rows: batch::q18,
        results: batch::q18_results,
    },
    Query {
        name: "q19",
        reads: BIDS,
        waits: false,
        columns: &[
            AUCTION,
            BIDDER,
            PRICE,
            CHANNEL,
            URL,
            TIME,
            EXTRA,
            ("rank", Kind::Whole),
        ],
        more: &[],
        stored: false,
        key: &[0, 7],
        rows: batch::q19,
        results: batch::q19_results,
    },
    Query {
        name: "q21",
        reads: BIDS,
        waits: false,
        columns: &[AUCTION, BIDDER, PRICE, CHANNEL, ("channel_id", Kind::Text)],
        more: &[],
        stored: false,
        key: &[],
        rows: batch::q21,
        results: |events| batch::q21(events).len(),
    },
    Query {
        name: "q22",
        reads: BIDS,
        waits: false,
        columns: &[
            AUCTION,
            BIDDER,
            PRICE,
            CHANNEL,
            ("dir1", Kind::Text),
            ("dir2", Kind::Text),
            ("dir3", Kind::Text),
        ],
        more: &[],
        stored: false,
        key: &[],
        rows: batch::q22,
        results: |events| batch::q22(events).len(),
    },
];
