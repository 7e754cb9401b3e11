//! Components by their digests, in an object store: for deployments and rollbacks.

use super::Connection;
use super::buckets::Objects;
use anyhow::Result;
use async_nats::jetstream::object_store::Config;

/// The bucket of all hosts and pipelines.
pub const BUCKET: &str = "weir-components";

/// The bucket. A component's description is its signature.
#[derive(Clone)]
pub struct Components(Objects);

impl Components {
    /// Finds the bucket, or makes it with this many replicas.
    ///
    /// # Errors
    /// When it is not there and may not be made.
    pub async fn open(connection: &Connection, replicas: usize) -> Result<Self> {
        let config = Config {
            bucket: BUCKET.to_owned(),
            description: Some("weir: components that ran, by digest".to_owned()),
            num_replicas: replicas,
            ..Default::default()
        };
        Objects::open(connection, config).await.map(Self)
    }

    /// Keeps a component with its signature, unless both are there.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn keep(&self, digest: &str, bytes: &[u8], signature: Option<&str>) -> Result<()> {
        self.0.keep(digest, bytes, signature).await
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn holds(&self, digest: &str) -> Result<bool> {
        self.0.holds(digest).await
    }

    /// The bytes of a component, and its signature if it has one.
    ///
    /// # Errors
    /// When they are not there, or are not what the digest says.
    pub async fn fetch(&self, digest: &str) -> Result<(Vec<u8>, Option<String>)> {
        self.0.fetch(digest).await
    }
}
