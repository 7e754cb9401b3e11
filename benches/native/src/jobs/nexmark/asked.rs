//! The queries that are measured.

/// One query.
pub(super) struct Asked {
    /// The name that the oracle has for it.
    pub(super) name: &'static str,
    /// What the table says of it.
    pub(super) says: &'static str,
    /// The last tokens of the subjects that its first pipeline reads.
    pub(super) reads: &'static [&'static str],
    /// Its pipelines, each behind the one whose results it reads.
    pub(super) pipelines: &'static [&'static str],
}

macro_rules! pipelines {
    ($($name:literal),*) => {
        &[$(include_str!(concat!("../../../../../examples/nexmark/", $name, ".yaml"))),*]
    };
}

const BIDS: &[&str] = &["bid"];
const OFFERS: &[&str] = &["person", "auction"];
const AUCTIONS: &[&str] = &["auction", "bid"];

const fn asked(
    name: &'static str,
    says: &'static str,
    reads: &'static [&'static str],
    pipelines: &'static [&'static str],
) -> Asked {
    Asked {
        name,
        says,
        reads,
        pipelines,
    }
}

/// Those that read the same stand next to each other.
pub(super) const ASKED: [Asked; 10] = [
    asked("q0", "0: four fields of each bid", BIDS, pipelines!["q0"]),
    asked("q1", "1: the same, in euros", BIDS, pipelines!["q1"]),
    asked("q2", "2: bids on five auctions", BIDS, pipelines!["q2"]),
    asked(
        "q5",
        "5: hot auctions, hopping windows",
        BIDS,
        pipelines!["q5"],
    ),
    asked(
        "q7",
        "7: highest bids, tumbling windows",
        BIDS,
        pipelines!["q7"],
    ),
    asked("q11", "11: bids in sessions", BIDS, pipelines!["q11"]),
    asked(
        "q3",
        "3: sellers with their auctions",
        OFFERS,
        pipelines!["q3"],
    ),
    asked("q8", "8: the same within windows", OFFERS, pipelines!["q8"]),
    asked(
        "q4",
        "4: average winning bid of a category",
        AUCTIONS,
        pipelines!["winning-bids", "q4"],
    ),
    asked(
        "q6",
        "6: average winning bid of a seller",
        AUCTIONS,
        pipelines!["winning-bids", "q6"],
    ),
];
