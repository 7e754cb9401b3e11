//! A seeded generator of shop events, and an independent computation of the rebates they earn.
//!
//! The generator plays a few shops: customers order, pay, cancel, get their parcel, send things
//! back; some shops are busier than others, some customers too, flash sales come in bursts, and one
//! event in seventy is broken in one of the ways in which shops break them. It is an iterator and
//! keeps no more than the orders under way. A seed gives the same bytes on every machine: the random
//! numbers come from a named, portable generator, and no floating point is used.
//!
//! The oracle ([`ledger`]) is a batch computation that never looks at a payload. It reads what the
//! generator knows to have happened, keeps an account of every order, and so arrives at the rebates
//! by another way than the plugin, which sees one message at a time and nothing else. [`verify`]
//! compares the two to the cent.
//!
//! It does not run a pipeline and knows nothing of NATS: it reads and writes JSON lines.

pub mod generate;
pub mod jsonl;
pub mod ledger;
pub mod malformed;
pub mod money;
mod random;
pub mod shop;
pub mod totals;
pub mod verify;

pub use generate::{Event, Fact, Generator, generate};
pub use ledger::{Expected, Ledger};
pub use verify::{Check, Report};
