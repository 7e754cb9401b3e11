//! Expressions over a message, in [CEL](https://cel.dev): no loops without end, no side effects, the same one
//! that Kubernetes and Envoy use.

mod constants;
pub mod functions;
mod json;
mod library;
mod names;
mod program;
mod syntax;
#[cfg(test)]
mod tests;
mod wanted;
mod why;
mod wrong;

pub use json::Computed;
pub use program::{Expression, Variables};
pub use wrong::Wrong;
