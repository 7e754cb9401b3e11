//! Components by their digests, in an object store: what deployments take and rollbacks go back to.

use super::Connection;
use super::streams::jetstream;
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow, bail};
use async_nats::jetstream::object_store::{
    Config, InfoErrorKind, ObjectInfo, ObjectMetadata, ObjectStore,
};
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

    /// Keeps a component with its signature, unless both are there.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn keep(&self, digest: &str, bytes: &[u8], signature: Option<&str>) -> Result<()> {
        let what = || format!("cannot keep component `{digest}` in bucket `{BUCKET}`");
        let there = self.info(digest).await.with_context(what)?;
        if there.is_some_and(|info| signature.is_none() || info.description.as_deref() == signature)
        {
            return Ok(());
        }
        let mut reader = bytes;
        let described = ObjectMetadata {
            name: digest.to_owned(),
            description: signature.map(str::to_owned),
            ..Default::default()
        };
        let put = self.0.put(described, &mut reader).await;
        put.map(drop)
            .map_err(|error| anyhow!("{error}"))
            .with_context(what)
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn holds(&self, digest: &str) -> Result<bool> {
        Ok(self.info(digest).await?.is_some())
    }

    async fn info(&self, digest: &str) -> Result<Option<ObjectInfo>> {
        match self.0.info(digest).await {
            Ok(info) => Ok(Some(info).filter(|info| !info.deleted)),
            Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(None),
            Err(error) => Err(anyhow!("{error}")),
        }
    }

    /// The bytes of a component, and its signature if it has one.
    ///
    /// # Errors
    /// When they are not there, or are not what the digest says.
    pub async fn fetch(&self, digest: &str) -> Result<(Vec<u8>, Option<String>)> {
        let what = || format!("cannot fetch component `{digest}` of bucket `{BUCKET}`");
        let object = self.0.get(digest).await;
        let mut object = object
            .map_err(|error| anyhow!("{error}"))
            .with_context(what)?;
        let signature = object.info.description.clone();
        let mut bytes = Vec::new();
        object.read_to_end(&mut bytes).await.with_context(what)?;
        if blake3::hash(&bytes).to_hex().as_str() != digest {
            bail!(anyhow!("its bytes are not those that were kept").context(what()));
        }
        Ok((bytes, signature))
    }
}
