//! Buckets of JetStream as weir uses them: found, or made by whoever needs them first; and objects in
//! them that are called by their digests.

use super::Connection;
use super::streams::jetstream;
use crate::report;
use anyhow::{Context as _, Result, anyhow, bail};
use async_nats::jetstream::kv::{self, Store};
use async_nats::jetstream::object_store::{self, InfoErrorKind, ObjectInfo, ObjectMetadata};
use tokio::io::AsyncReadExt;

/// Finds a bucket of the key-value store, or makes it.
///
/// # Errors
/// When it is not there and may not be made.
pub(super) async fn keys(connection: &Connection, config: kv::Config) -> Result<Store> {
    let context = jetstream(connection);
    let bucket = config.bucket.clone();
    if let Ok(store) = context.get_key_value(&bucket).await {
        return Ok(store);
    }
    match context.create_key_value(config).await {
        Ok(store) => Ok(store),
        // Another may have been first, with other replicas.
        Err(error) => match context.get_key_value(&bucket).await {
            Ok(store) => Ok(store),
            Err(_) => Err(cannot_make(&bucket, "KV", &error.to_string())),
        },
    }
}

/// Finds a bucket of the key-value store.
///
/// # Errors
/// `Ok(None)` when there is none; an error when the server does not say.
pub(super) async fn keys_if_there(connection: &Connection, bucket: &str) -> Result<Option<Store>> {
    let context = jetstream(connection);
    let what = || format!("cannot look for the bucket `{bucket}`");
    match context.get_stream(format!("KV_{bucket}")).await {
        Ok(_) => {
            let store = context.get_key_value(bucket).await;
            let store = store.map_err(|error| anyhow!("{error}"));
            store.map(Some).with_context(what)
        }
        Err(error) if error.to_string().contains("not found") => Ok(None),
        Err(error) => Err(anyhow!("{error}")).with_context(what),
    }
}

/// A bucket of the object store, whose objects are called by the blake3 of their bytes, in hex.
#[derive(Clone)]
pub(super) struct Objects {
    bucket: String,
    store: object_store::ObjectStore,
}

impl Objects {
    /// Finds it.
    ///
    /// # Errors
    /// When it is not there, or the server does not say.
    pub(super) async fn find(connection: &Connection, bucket: &str) -> Result<Self> {
        let store = jetstream(connection).get_object_store(bucket).await;
        let store = store.map_err(|error| anyhow!("{error}"))?;
        let bucket = bucket.to_owned();
        Ok(Self { bucket, store })
    }

    /// Finds it, or makes it.
    ///
    /// # Errors
    /// When it is not there and may not be made.
    pub(super) async fn open(
        connection: &Connection,
        config: object_store::Config,
    ) -> Result<Self> {
        let bucket = config.bucket.clone();
        if let Ok(found) = Self::find(connection, &bucket).await {
            return Ok(found);
        }
        match jetstream(connection).create_object_store(config).await {
            Ok(store) => Ok(Self { bucket, store }),
            // Another may have been first, with other replicas.
            Err(error) => match Self::find(connection, &bucket).await {
                Ok(found) => Ok(found),
                Err(_) => Err(cannot_make(&bucket, "OBJ", &error.to_string())),
            },
        }
    }

    /// Keeps bytes with a description, unless both are there.
    ///
    /// # Errors
    /// When the server does not take them.
    pub(super) async fn keep(
        &self,
        digest: &str,
        bytes: &[u8],
        description: Option<&str>,
    ) -> Result<()> {
        let what = || format!("cannot keep `{digest}` in bucket `{}`", self.bucket);
        let there = self.info(digest).await.with_context(what)?;
        let is_described =
            |info: ObjectInfo| description.is_none() || info.description.as_deref() == description;
        if there.is_some_and(is_described) {
            return Ok(());
        }
        let mut reader = bytes;
        let described = ObjectMetadata {
            name: digest.to_owned(),
            description: description.map(str::to_owned),
            ..Default::default()
        };
        let put = self.store.put(described, &mut reader).await;
        put.map(drop)
            .map_err(|error| anyhow!("{error}"))
            .with_context(what)
    }

    /// Whether they are there.
    ///
    /// # Errors
    /// When the server does not say.
    pub(super) async fn holds(&self, digest: &str) -> Result<bool> {
        Ok(self.info(digest).await?.is_some())
    }

    async fn info(&self, digest: &str) -> Result<Option<ObjectInfo>> {
        match self.store.info(digest).await {
            Ok(info) => Ok(Some(info).filter(|info| !info.deleted)),
            Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(None),
            Err(error) => Err(anyhow!("{error}")),
        }
    }

    /// The bytes, and what describes them.
    ///
    /// # Errors
    /// When they are not there, or are not what the digest says.
    pub(super) async fn fetch(&self, digest: &str) -> Result<(Vec<u8>, Option<String>)> {
        let what = || {
            format!(
                "cannot fetch component `{digest}` of bucket `{}`",
                self.bucket
            )
        };
        let object = self.store.get(digest).await;
        let mut object = object
            .map_err(|error| anyhow!("{error}"))
            .with_context(what)?;
        let description = object.info.description.clone();
        let mut bytes = Vec::new();
        object.read_to_end(&mut bytes).await.with_context(what)?;
        if blake3::hash(&bytes).to_hex().as_str() != digest {
            bail!(anyhow!("its bytes are not those that were kept").context(what()));
        }
        Ok((bytes, description))
    }
}

/// `kind` is what the name of the bucket's stream begins with.
fn cannot_make(bucket: &str, kind: &str, error: &str) -> anyhow::Error {
    let error = anyhow!("{error}").context(format!("cannot make the bucket `{bucket}`"));
    let action = format!("allow this user to create the stream `{kind}_{bucket}`, or make it");
    report::hint(error, action)
}
