//! Objects, named by their digests or by other names.

use super::{Connection, cannot_make, jetstream};
use anyhow::{Context as _, Result, anyhow, bail};
use async_nats::jetstream::object_store::{self, InfoErrorKind, ObjectInfo, ObjectMetadata};
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt};

/// A bucket of the object store. What is called by a digest has the blake3 of its bytes, in hex.
#[derive(Clone)]
pub(in crate::nats) struct Objects {
    bucket: String,
    store: object_store::ObjectStore,
}

/// An object, as it is listed.
pub(in crate::nats) struct Stored {
    pub(in crate::nats) name: String,
    pub(in crate::nats) bytes: usize,
    /// RFC 3339; empty if it does not say.
    pub(in crate::nats) at: String,
}

impl Objects {
    /// Stores an object of any name from what is read, and returns how many bytes that were.
    ///
    /// # Errors
    /// When it cannot be read to its end, or the server does not take it.
    pub(in crate::nats) async fn put(
        &self,
        name: &str,
        content: &mut (impl AsyncRead + Unpin),
    ) -> Result<usize> {
        let put = self.store.put(name, content).await;
        put.map(|info| info.size).map_err(anyhow::Error::msg)
    }

    /// The bytes of an object of any name.
    ///
    /// # Errors
    /// When it is not there.
    pub(in crate::nats) async fn get(&self, name: &str) -> Result<impl AsyncRead + Unpin + use<>> {
        self.store.get(name).await.map_err(anyhow::Error::msg)
    }

    /// All objects.
    ///
    /// # Errors
    /// When the server does not send all of them, or somebody has written what is no object.
    pub(in crate::nats) async fn list(&self) -> Result<Vec<Stored>> {
        let mut listed = self.store.list().await.map_err(anyhow::Error::msg)?;
        let mut all = Vec::new();
        while let Some(info) = listed.next().await {
            let info = info.map_err(anyhow::Error::msg)?;
            let at = info.modified.map(|at| at.unix_timestamp_nanos());
            let at = at.and_then(|at| jiff::Timestamp::from_nanosecond(at).ok());
            all.push(Stored {
                name: info.name,
                bytes: info.size,
                at: at.map_or_else(String::new, |at| at.to_string()),
            });
        }
        Ok(all)
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// When the server does not.
    pub(in crate::nats) async fn delete(&self, name: &str) -> Result<()> {
        self.store.delete(name).await.map_err(anyhow::Error::msg)
    }

    /// Finds it.
    ///
    /// # Errors
    /// When it is not there, or the server does not say.
    pub(in crate::nats) async fn find(connection: &Connection, bucket: &str) -> Result<Self> {
        let store = jetstream(connection).get_object_store(bucket).await;
        let store = store.map_err(anyhow::Error::msg)?;
        let bucket = bucket.to_owned();
        Ok(Self { bucket, store })
    }

    /// Finds it, or makes it.
    ///
    /// # Errors
    /// When it is not there and may not be made.
    pub(in crate::nats) async fn open(
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
    pub(in crate::nats) async fn keep(
        &self,
        digest: &str,
        bytes: &[u8],
        description: Option<&str>,
    ) -> Result<()> {
        let what = || format!("cannot store `{digest}` in bucket `{}`", self.bucket);
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
        put.map(drop).map_err(anyhow::Error::msg).with_context(what)
    }

    /// Whether they are there.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(in crate::nats) async fn holds(&self, digest: &str) -> Result<bool> {
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
    pub(in crate::nats) async fn fetch(&self, digest: &str) -> Result<(Vec<u8>, Option<String>)> {
        let what = || {
            format!(
                "cannot fetch component `{digest}` of bucket `{}`",
                self.bucket
            )
        };
        let object = self.store.get(digest).await;
        let mut object = object.map_err(anyhow::Error::msg).with_context(what)?;
        let description = object.info.description.clone();
        let mut bytes = Vec::new();
        object.read_to_end(&mut bytes).await.with_context(what)?;
        if blake3::hash(&bytes).to_hex().as_str() != digest {
            bail!(anyhow!("its bytes do not match its digest").context(what()));
        }
        Ok((bytes, description))
    }
}
