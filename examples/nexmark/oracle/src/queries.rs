//! The queries: where their results are, what is compared of them, and how many there must be.

use crate::batch;
use crate::events::Event;
use crate::rows::{Kind, Row};

/// One query, which is one pipeline.
pub struct Query {
    /// The name of its file, without `.yaml`.
    pub name: &'static str,
    /// The last tokens of the subjects that it reads; empty where it reads the winning bids.
    pub reads: &'static [&'static str],
    /// Whether results wait until auctions have ended, so that how late they are says nothing of the query.
    pub waits: bool,
    /// What is compared: fields of a result, in the order in which others print them.
    pub columns: &'static [(&'static str, Kind)],
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
const AVERAGE: (&str, Kind) = ("average", Kind::Decimals(2));

/// All queries, each behind those whose results it reads.
pub const QUERIES: [Query; 12] = [
    Query {
        name: "q0",
        reads: BIDS,
        waits: false,
        columns: &[AUCTION, BIDDER, PRICE, TIME],
        key: &[],
        rows: batch::q0,
        results: |events| batch::q0(events).len(),
    },
    Query {
        name: "q1",
        reads: BIDS,
        waits: false,
        columns: &[AUCTION, BIDDER, ("price", Kind::Decimals(3)), TIME],
        key: &[],
        rows: batch::q1,
        results: |events| batch::q1(events).len(),
    },
    Query {
        name: "q2",
        reads: BIDS,
        waits: false,
        columns: &[AUCTION, PRICE],
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
        key: &[],
        rows: batch::winning_bids,
        results: |events| batch::winning_bids(events).len(),
    },
    Query {
        name: "q4",
        reads: &[],
        waits: true,
        columns: &[("category", Kind::Whole), AVERAGE],
        key: &[0],
        rows: batch::q4,
        results: |events| batch::winning_bids(events).len(),
    },
    Query {
        name: "q6",
        reads: &[],
        waits: true,
        columns: &[("seller", Kind::Whole), AVERAGE],
        key: &[0],
        rows: batch::q6,
        results: |events| batch::winning_bids(events).len(),
    },
    Query {
        name: "q17",
        reads: BIDS,
        waits: false,
        columns: &[
            AUCTION,
            ("day", Kind::Text),
            ("bids", Kind::Whole),
            ("low", Kind::Whole),
            ("middle", Kind::Whole),
            ("high", Kind::Whole),
            ("min", Kind::Whole),
            ("max", Kind::Whole),
            AVERAGE,
            ("sum", Kind::Whole),
        ],
        key: &[0, 1],
        rows: batch::q17,
        results: |events| batch::q0(events).len(),
    },
    Query {
        name: "q18",
        reads: BIDS,
        waits: false,
        columns: &[AUCTION, BIDDER, PRICE, CHANNEL, URL, TIME, EXTRA],
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
        key: &[0, 7],
        rows: batch::q19,
        results: batch::q19_results,
    },
    Query {
        name: "q21",
        reads: BIDS,
        waits: false,
        columns: &[AUCTION, BIDDER, PRICE, CHANNEL, ("channel_id", Kind::Text)],
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
        key: &[],
        rows: batch::q22,
        results: |events| batch::q22(events).len(),
    },
];
