//! A plugin's source folder: created from a template, and built into a component, in any language.
//!
//! `weir plugin new`, `weir plugin build` and `weir dev` are thin layers over this; the tests use it to build
//! guests. Nothing here loads a component or knows a pipeline. A language is its folder in `plugins/sdk`,
//! its line in `scaffold` and its `recipe`.

mod build;
mod cargo;
mod command;
mod fresh;
mod language;
mod manifest;
mod recipe;
mod scaffold;
mod toolchain;

pub use build::{Built, build_plugin, place};
pub use cargo::build_all;
pub(in crate::cli) use fresh::{is_source, pipeline};
pub use language::Language;
pub use manifest::FILE as MANIFEST;
pub use scaffold::create;
pub use toolchain::Toolchain;
