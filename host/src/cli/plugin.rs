//! `weir plugin ...`: what an author of plugins needs.

mod build;
mod deploy;
mod diff;
mod difference;
mod fleet;
mod history;
mod inspect;
mod new;
mod registry;
mod rollback;
mod test;

use super::Console;
use clap::Subcommand;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Make a folder with a plugin that compiles as it is.
    New(new::Arguments),
    /// Build a plugin from its source.
    Build(build::Arguments),
    /// Show a plugin's contract, imports, size and digest.
    Inspect(inspect::Arguments),
    /// Run a plugin or a pipeline over recorded messages and compare what becomes of them.
    Test(test::Arguments),
    /// Put a component into a bucket of JetStream, under a version that nothing overwrites; or into a
    /// registry of OCI artifacts.
    Push(registry::Push),
    /// Take a component out of a bucket or a registry.
    Pull(registry::Pull),
    /// List the plugins of a bucket, their versions and tags; or the tags of a repository.
    List(registry::List),
    /// Let a tag name a version; hosts that follow the tag take it.
    Tag(registry::Tag),
    /// Let all hosts of a pipeline run another version: at once, or as a canary first.
    Deploy(deploy::Arguments),
    /// Let a canary take over.
    Promote(rollback::Promote),
    /// Go back: end a canary, or run what ran before a swap.
    Rollback(rollback::Rollback),
    /// List the receipts of swaps: what ran on each lane up to which message, and what after it.
    History(history::Arguments),
    /// Show in what a shadow differs from what runs.
    Diff(diff::Arguments),
}

impl Verb {
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
            Self::Diff(arguments) => diff::run(&arguments, console),
        }
    }
}
