//! Expressions over a message, in [CEL](https://cel.dev): no loops without end, no side effects, the same one
//! that Kubernetes and Envoy use.

mod json;
mod matches;
mod names;
mod program;
mod wanted;

pub use json::Computed;
pub use program::{Expression, Variables};
