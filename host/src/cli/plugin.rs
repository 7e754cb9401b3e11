//! `weir plugin ...`: what an author of plugins needs.

mod inspect;

use super::Console;
use clap::Subcommand;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Show a plugin's contract, imports, size and digest.
    Inspect(inspect::Arguments),
}

impl Verb {
    pub(super) fn run(self, console: &Console) -> anyhow::Result<u8> {
        match self {
            Self::Inspect(arguments) => inspect::run(&arguments, console),
        }
    }
}
