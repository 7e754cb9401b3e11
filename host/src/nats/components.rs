//! Components by their digests, in an object store: what deployments take and rollbacks go back to.

use super::Connection;
use super::streams::jetstream;
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow, bail};
use async_nats::jetstream::object_store::{Config, InfoErrorKind, ObjectStore};
use tokio::io::AsyncReadExt;

/// The bucket of all hosts and pipelines.
pub const BUCKET: &str = "weir-components";

/// The bucket.
#[derive(Clone)]
pub struct Components(ObjectStore);

impl Components {
    /// Finds the bucket, or makes it with this many replicas.
    ///
    /// # Errors
    /// When it is not there and may not be made.
    pub async fn open(connection: &Connection, replicas: usize) -> Result<Self> {
        let context = jetstream(connection);
        if let Ok(store) = context.get_object_store(BUCKET).await {
            return Ok(Self(store));
        }
        let config = Config {
            bucket: BUCKET.to_owned(),
            description: Some("weir: components that ran, by digest".to_owned()),
            num_replicas: replicas,
            ..Default::default()
        };
        match context.create_object_store(config).await {
            Ok(store) => Ok(Self(store)),
            // Another may have been first, with other replicas.
            Err(error) => match context.get_object_store(BUCKET).await {
                Ok(store) => Ok(Self(store)),
                Err(_) => Err(anyhow!("{error}"))
                    .with_context(|| format!("cannot make the bucket `{BUCKET}`"))
                    .hint(|| {
                        format!("allow this user to create the stream `OBJ_{BUCKET}`, or make it")
                    }),
            },
        }
    }

    /// Keeps a component, unless it is there.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn keep(&self, digest: &str, bytes: &[u8]) -> Result<()> {
        let what = || format!("cannot keep component `{digest}` in bucket `{BUCKET}`");
        if self.holds(digest).await.with_context(what)? {
            return Ok(());
        }
        let mut reader = bytes;
        let put = self.0.put(digest, &mut reader).await;
        put.map(drop)
            .map_err(|error| anyhow!("{error}"))
            .with_context(what)
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn holds(&self, digest: &str) -> Result<bool> {
        match self.0.info(digest).await {
            Ok(info) => Ok(!info.deleted),
            Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(false),
            Err(error) => Err(anyhow!("{error}")),
        }
    }

    /// The bytes of a component.
    ///
    /// # Errors
    /// When they are not there, or are not what the digest says.
    pub async fn fetch(&self, digest: &str) -> Result<Vec<u8>> {
        let what = || format!("cannot fetch component `{digest}` of bucket `{BUCKET}`");
        let object = self.0.get(digest).await;
        let mut object = object
            .map_err(|error| anyhow!("{error}"))
            .with_context(what)?;
        let mut bytes = Vec::new();
        object.read_to_end(&mut bytes).await.with_context(what)?;
        if blake3::hash(&bytes).to_hex().as_str() != digest {
            bail!(anyhow!("its bytes are not those that were kept").context(what()));
        }
        Ok(bytes)
    }
}
