//! `weir completions SHELL`.

use super::Console;
use crate::report;
use clap_complete::Shell;

#[derive(clap::Args)]
#[command(
    after_help = "For bash: weir completions bash > ~/.local/share/bash-completion/completions/weir"
)]
pub(super) struct Arguments {
    /// The shell that reads the script.
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> anyhow::Result<u8> {
    // Into memory first: the generator panics when it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut super::command_line(),
        "weir",
        &mut script,
    );
    console.print(&String::from_utf8_lossy(&script))?;
    Ok(report::DONE)
}
