//! `weir plugin ...`: commands for plugin authors and deployments.

mod build;
mod deploy;
mod diff;
mod difference;
mod fleet;
mod history;
pub(super) mod input;
mod inspect;
mod new;
mod registry;
mod rollback;
pub(in crate::cli) mod standard;
mod test;
mod wait;

use super::Console;
use clap::Subcommand;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a folder with a complete plugin.
    New(new::Arguments),
    /// Build a plugin from its source.
    Build(build::Arguments),
    /// Show a plugin's contract, imports, size and digest.
    Inspect(inspect::Arguments),
    /// Run a plugin or a pipeline over recorded messages and compare the outputs.
    Test(test::Arguments),
    /// Store a component in a JetStream bucket, with a version that never changes; or in an OCI registry.
    Push(registry::Push),
    /// Fetch a component from a bucket or a registry.
    Pull(registry::Pull),
    /// List the plugins of a bucket with their versions and tags, the tags of a repository, or the standard plugins.
    List(registry::List),
    /// Point a tag to a version; hosts that follow the tag swap to it.
    Tag(registry::Tag),
    /// Roll out a version to all hosts of a pipeline: at once, as a canary, or as a shadow.
    Deploy(deploy::Arguments),
    /// Make a canary take over on all keys.
    Promote(rollback::Promote),
    /// Roll back: end a canary or a shadow, or return to the version before a swap.
    Rollback(rollback::Rollback),
    /// List the receipts of swaps: which version processed which messages on each lane.
    History(history::Arguments),
    /// Wait until all hosts run a version, after its file was replaced or its tag was moved.
    Wait(wait::Arguments),
    /// Show how a shadow differs from the live version.
    Diff(diff::Arguments),
}

impl Command {
    pub(super) fn run(self, console: &Console) -> anyhow::Result<u8> {
        match self {
            Self::New(arguments) => new::run(&arguments, console),
            Self::Build(arguments) => build::run(&arguments, console),
            Self::Inspect(arguments) => inspect::run(&arguments, console),
            Self::Test(arguments) => test::run(&arguments, console),
            Self::Push(push) => push.run(console),
            Self::Pull(pull) => pull.run(console),
            Self::List(list) => list.run(console),
            Self::Tag(tag) => tag.run(console),
            Self::Deploy(arguments) => deploy::run(&arguments, console),
            Self::Promote(promote) => promote.run(console),
            Self::Rollback(rollback) => rollback.run(console),
            Self::History(arguments) => history::run(&arguments, console),
            Self::Wait(arguments) => wait::run(&arguments, console),
            Self::Diff(arguments) => diff::run(&arguments, console),
        }
    }
}
