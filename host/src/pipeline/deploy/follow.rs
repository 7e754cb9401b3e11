//! Follows a tag in a bucket of plugins: when it names another version, that one is fetched.

use super::{Candidate, Order};
use crate::config::component::{InBucket, Reference};
use crate::nats::registry::Registry;
use crate::pipeline::running::Running;
use crate::report;
use anyhow::Result;
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The pause before a bucket that could not be followed is tried again.
const PAUSE: Duration = Duration::from_secs(5);
/// The pause before it is asked again whether a pipeline has its place at the server.
const SOON: Duration = Duration::from_millis(50);

/// What follows each operator of a pipeline whose plugin is in a bucket.
pub(in crate::pipeline) fn all(
    pipeline: &Arc<Running>,
    orders: &mpsc::Sender<Order>,
) -> Vec<impl Future<Output = ()> + use<>> {
    let operators = pipeline.settings.operators.iter().enumerate();
    let in_buckets = operators.filter_map(|(index, operator)| match &operator.plugin {
        Reference::Bucket(place) => Some((index, place.clone())),
        Reference::File(_) => None,
    });
    let follow = |(operator, place)| follow(Arc::clone(pipeline), operator, place, orders.clone());
    in_buckets.map(follow).collect()
}

/// Never ends.
async fn follow(
    pipeline: Arc<Running>,
    operator: usize,
    place: InBucket,
    orders: mpsc::Sender<Order>,
) {
    let mut told = false;
    loop {
        match watch(&pipeline, operator, &place, &orders).await {
            Ok(()) => {}
            Err(error) if !std::mem::replace(&mut told, true) => {
                tracing::warn!(
                    "new versions of `{place}` are not seen: {}",
                    report::line(&error)
                );
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn watch(
    pipeline: &Running,
    operator: usize,
    place: &InBucket,
    orders: &mpsc::Sender<Order>,
) -> Result<()> {
    let post = loop {
        match pipeline.post() {
            Some(post) => break post,
            None => tokio::time::sleep(SOON).await,
        }
    };
    let registry = Registry::open(&post.connection, &place.bucket).await?;
    if registry.is_version(&place.name, &place.version).await? {
        // It is the same for ever.
        return std::future::pending().await;
    }
    let mut changes = registry.watch(&place.name, &place.version).await?;
    while let Some(Ok(_)) = changes.next().await {
        let (version, found) = registry.resolve(&place.name, &place.version).await?;
        let running = pipeline.versions.loaded();
        let is_new = running
            .get(operator)
            .is_some_and(|edition| edition.plugin.digest() != found.digest);
        if is_new {
            let candidate = Candidate {
                operator,
                bytes: registry.fetch(&found).await?,
                origin: format!("{place} ({version})"),
            };
            // The deployer lives as long as the host.
            let _ = orders.send(Order::Candidate(candidate)).await;
        }
    }
    Ok(())
}
