//! Refuses what must not happen to a job while hosts run it.

use crate::nats::Connection;
use crate::nats::members::{Members, Trouble};
use crate::report::{ResultExt, escape};
use anyhow::{Context as _, Result, anyhow};
use std::time::Duration;

/// A host that runs a job is heard in this time: it says something every 2 s.
const SILENCE: Duration = Duration::from_secs(7);

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
    let mut news = members.listen();
    let mut known = match members.read().await {
        Ok(known) => known,
        // No host has ever joined.
        Err(Trouble::Missing) => return Ok(()),
        Err(trouble) => {
            return Err(anyhow!("cannot determine which hosts run it: {trouble}"))
                .with_context(what);
        }
    };
    known.retain(|member| !member.left);
    if known.is_empty() {
        return Ok(());
    }
    // One that was killed stays in the bucket for a while, and is silent.
    let alive = async {
        loop {
            let said = news.next().await;
            if !said.left {
                return said.name;
            }
        }
    };
    let Ok(name) = tokio::time::timeout(SILENCE, alive).await else {
        return Ok(());
    };
    Err(anyhow!("host {} runs it", escape::line(&name)))
        .with_context(what)
        .hint(|| {
            format!(
                "stop all hosts that run it, restore, and start them with `partitions: {is}` in the file"
            )
        })
}
