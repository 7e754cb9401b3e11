//! Refuses what must not happen to a job while hosts run it.

use crate::nats::Connection;
use crate::nats::members::{Member, Members, Trouble};
use crate::report::{ResultExt, escape};
use anyhow::{Context as _, Result, anyhow};
use std::time::Duration;

/// A host that runs a job is heard in this time: it says something every 2 s.
const SILENCE: Duration = Duration::from_secs(7);
/// How often to look.
const LOOK: Duration = Duration::from_millis(500);

/// Hosts that run a job keep its number of partitions, and would commit as before beside the new state.
///
/// # Errors
/// If there are any, or it is not known.
pub(super) async fn nobody_runs(
    connection: &Connection,
    job: &str,
    [was, is]: [u16; 2],
) -> Result<()> {
    let what = || format!("cannot restore job `{job}` with {is} instead of {was} partitions");
    let members = Members::open(connection, job).await?;
    let known = present(&members).await.with_context(what)?;
    if known.is_empty() {
        return Ok(());
    }
    // One that was killed stays in the bucket for a while, and is silent.
    let alive = async {
        loop {
            tokio::time::sleep(LOOK).await;
            let mut now = present(&members).await?;
            now.retain(|it| {
                !known
                    .iter()
                    .any(|old| old.host == it.host && old.beat == it.beat)
            });
            if let Some(member) = now.pop() {
                return anyhow::Ok(member.name);
            }
        }
    };
    let Ok(alive) = tokio::time::timeout(SILENCE, alive).await else {
        return Ok(());
    };
    let name = alive.with_context(what)?;
    Err(anyhow!("host {} runs it", escape::line(&name)))
        .with_context(what)
        .hint(|| {
            format!(
                "stop all hosts that run it, restore, and start them with `partitions: {is}` in the file"
            )
        })
}

/// Those that have joined and not left.
async fn present(members: &Members) -> Result<Vec<Member>> {
    match members.read().await {
        Ok(mut known) => {
            known.retain(|member| !member.left);
            Ok(known)
        }
        // No host has ever joined.
        Err(Trouble::Missing) => Ok(Vec::new()),
        Err(trouble) => Err(anyhow!("cannot determine which hosts run it: {trouble}")),
    }
}
