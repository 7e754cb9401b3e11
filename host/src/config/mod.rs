//! Configuration: from a YAML file to settings that cannot be invalid.
//!
//! Pure and synchronous: it reads the given files and the given environment, and knows neither NATS
//! nor wasmtime. A file passes these steps:
//!
//! | file | from | to |
//! |---|---|---|
//! | `load` | paths | the steps below, for each file and document |
//! | `tree` | YAML text | a tree in which every value has a location; `interpolate` replaces `${NAME}` |
//! | `shape` | the tree | findings against the JSON Schema of `model`, and the valid part |
//! | `model` | the valid part | the file's values, typed, with defaults |
//! | `resolve` | the model | [`resolved::Pipeline`], every value compiled and checked |
//! | `lint` | resolved sections | findings about values that contradict each other |
//! | `given` | a plugin's refusal of its configuration | findings at the places that it names |
//!
//! No step stops at its first finding, so that a user sees all of them at once.

pub mod component;
mod cursor;
mod event_time;
mod explained;
mod given;
mod grants;
mod interpolate;
pub mod limits;
mod lint;
mod load;
pub mod model;
pub mod origin;
pub mod pointer;
mod reference;
mod resolve;
pub mod resolved;
mod schema;
mod secrets;
mod shape;
mod subject;
mod suggest;
mod syntax;
pub mod template;
mod tree;
pub mod units;
pub mod windows;

pub use crate::report::findings::{Finding, Findings, Location};
pub use explained::explained;
pub use given::Given;
pub use interpolate::Environment;
pub use lint::{short_subjects, unseen_headers, unsure_results};
pub use load::{Draft, Loader, Located, load};
pub use pointer::Pointer;
pub use reference::reference;
pub use resolve::{address, without_credentials};
pub use schema::schema;
