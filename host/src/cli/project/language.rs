//! The languages of plugins.

use serde::Deserialize;
use std::fmt;

/// A guest language: the value of `--lang` and of `language:` in a `plugin.yaml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    #[default]
    Rust,
    Go,
    Python,
    /// JavaScript.
    Js,
    /// TypeScript.
    Ts,
    C,
    /// C++.
    Cpp,
    Zig,
}

impl Language {
    /// All languages, in the order of listings.
    pub const ALL: [Self; 8] = [
        Self::Rust,
        Self::Go,
        Self::Python,
        Self::Js,
        Self::Ts,
        Self::C,
        Self::Cpp,
        Self::Zig,
    ];

    /// Its name on the command line and in files, and its folder in `plugins/sdk`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Go => "go",
            Self::Python => "python",
            Self::Js => "js",
            Self::Ts => "ts",
            Self::C => "c",
            Self::Cpp => "cpp",
            Self::Zig => "zig",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
