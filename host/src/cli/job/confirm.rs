//! Asks for confirmation before a command loses data, and names the data.

use super::super::Console;
use crate::job::operate::Operated;
use crate::job::restore;
use crate::report::{self, ResultExt, count};
use anyhow::{Result, anyhow};
use std::io::{IsTerminal, Write};

#[derive(clap::Args)]
pub(super) struct Confirm {
    /// Do not ask for confirmation.
    #[arg(long)]
    pub(super) yes: bool,
}

/// Says what is lost when the state of a job is replaced, and asks.
///
/// # Errors
/// When it is not to be done.
pub(super) async fn lost(job: &Operated, confirm: &Confirm, console: &Console) -> Result<()> {
    if confirm.yes {
        return Ok(());
    }
    let state = match restore::amount(job).await {
        Ok(amount) => format!(
            "{}, {}",
            count(amount.keys, "key"),
            count(amount.bytes, "byte")
        ),
        Err(_) => "it cannot be read".to_owned(),
    };
    let what = format!(
        "job `{}` loses its state ({state}), and publishes results since the new position again",
        job.name
    );
    if console.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(anyhow!(what)).hint(|| "add `--yes` to do it").usage();
    }
    report::note(&what);
    let mut stderr = std::io::stderr();
    // Without a terminal nobody is asked.
    let _ = write!(stderr, "go on? [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(anyhow!("nothing was changed")),
    }
}
