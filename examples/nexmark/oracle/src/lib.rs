//! The generator of the NEXMark benchmark, and an independent computation of its queries.
//!
//! | file | what it does |
//! |---|---|
//! | `generate.rs` | makes event after event, each from the seed and its number alone |
//! | `random.rs`, `time.rs` | random numbers and times of events |
//! | `events.rs` | persons, auctions and bids, and how they are published |
//! | `queries.rs` | the queries: what they read, where their results are, what is compared of them |
//! | `batch.rs`, `batch/windows.rs` | the results of each query, over all events at once |
//! | `rows.rs` | compares what was published with them |
//! | `golden.rs` | events and rows of others, to which the queries must come as well |
//!
//! [`batch`] sorts and groups arrays, where a pipeline sees one event at a time and keeps a state. They share no
//! code.

pub mod batch;
pub mod events;
pub mod generate;
pub mod golden;
pub mod queries;
mod random;
pub mod rows;
mod time;

pub use events::{Auction, Bid, Event, Person};
pub use generate::{event, events};
pub use queries::{QUERIES, Query};
pub use time::Time;
