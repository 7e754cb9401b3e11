//! A plugin's source folder: made from a template, and built into a component.
//!
//! Only Rust so far. `weir plugin new`, `weir plugin build` and `weir dev` are thin over this; so is
//! the tests' own building of guests. Nothing here loads a component or knows a pipeline.

mod build;
mod scaffold;
mod toolchain;

pub use build::{Built, build_all, build_plugin, place};
pub use scaffold::create;
pub use toolchain::Toolchain;
