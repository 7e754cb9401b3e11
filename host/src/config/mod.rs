//! The configuration room: from the YAML that a person wrote to settings that cannot be invalid.
//!
//! Pure and synchronous: it reads the files it is given and an environment that is handed to it, and
//! knows neither NATS nor wasmtime. A file passes through it in this order:
//!
//! | file | from | to |
//! |---|---|---|
//! | `load` | paths | the steps below, for each file and document |
//! | `tree` | YAML text | a tree in which every value has a place; `interpolate` replaces `${NAME}` |
//! | `shape` | the tree | findings against the JSON Schema of `model`, and what is sound |
//! | `model` | what is sound | the text of a person, typed, with defaults |
//! | `resolve` | the model | [`resolved::Pipeline`], every value compiled and checked |
//! | `lint` | resolved sections | findings about values that do not go together |
//!
//! No step stops at its first finding, so that a person sees all of them at once.

mod at;
pub mod component;
mod event_time;
mod grants;
mod interpolate;
pub mod limits;
mod lint;
mod load;
pub mod model;
pub mod origin;
mod pointer;
mod reference;
mod resolve;
pub mod resolved;
mod schema;
mod shape;
mod subject;
mod suggest;
mod syntax;
pub mod template;
mod tree;
pub mod units;

pub use crate::report::findings::{Finding, Findings, Location};
pub use interpolate::Environment;
pub use load::{Draft, Loader, Located, load, load_unbuilt};
pub use pointer::Pointer;
pub use reference::reference;
pub use resolve::address;
pub use schema::schema;
