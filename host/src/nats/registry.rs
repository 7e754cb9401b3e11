//! Plugins in JetStream: `weir plugin push` stores them, and hosts load them.
//!
//! A bucket of plugins is two buckets of the same name: an object store with components by digest, and a
//! key-value store with their names. `<name>/versions/<version>` contains the digest with which it was
//! written; `<name>/tags/<tag>` names a version and may change. So a version always has the same bytes, and a
//! host that follows a tag sees it move.

use super::Connection;
use super::buckets::{Keys, Objects};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::kv;
use async_nats::jetstream::object_store;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a version is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// blake3 of the component, in hex.
    pub digest: String,
    /// Bytes of the component.
    pub size: u64,
    /// The world that it was built for.
    pub contract: String,
    /// When it was pushed, RFC 3339.
    pub pushed: String,
    /// Of minisign, where it was pushed with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// A plugin of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub versions: BTreeMap<String, Version>,
    /// Tags, each with the version that it names.
    pub tags: BTreeMap<String, String>,
}

/// What a push found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    New,
    /// The same bytes had been pushed under the same version before.
    AlreadyThere,
    /// They had, and have another signature now.
    SignedAnew,
}

/// A bucket of plugins.
#[derive(Clone)]
pub struct Registry {
    bucket: String,
    objects: Objects,
    names: Keys,
}

impl Registry {
    /// Finds a bucket.
    ///
    /// # Errors
    /// When it is not there, or the server does not say.
    pub async fn open(connection: &Connection, bucket: &str) -> Result<Self> {
        let what = || format!("cannot open the bucket of plugins `{bucket}`");
        let hint =
            || format!("create it with `weir plugin push FILE nats://{bucket}/NAME@VERSION`");
        let names = match Keys::find(connection, bucket).await {
            Ok(Some(names)) => Ok(names),
            Ok(None) => Err(anyhow!("there is no such bucket")),
            Err(error) => Err(error),
        };
        let names = names.with_context(what).hint(hint)?;
        let objects = Objects::find(connection, bucket).await;
        let objects = objects.with_context(what).hint(hint)?;
        Ok(Self {
            bucket: bucket.to_owned(),
            objects,
            names,
        })
    }

    /// Finds a bucket, or makes it with this many replicas.
    ///
    /// # Errors
    /// When it is not there and may not be made.
    pub async fn open_or_make(
        connection: &Connection,
        bucket: &str,
        replicas: usize,
    ) -> Result<Self> {
        let description = "plugins of weir".to_owned();
        let names = Keys::open(
            connection,
            kv::Config {
                bucket: bucket.to_owned(),
                description: description.clone(),
                history: 1,
                num_replicas: replicas,
                ..Default::default()
            },
        );
        let names = names.await?;
        let objects = Objects::open(
            connection,
            object_store::Config {
                bucket: bucket.to_owned(),
                description: Some(description),
                num_replicas: replicas,
                ..Default::default()
            },
        );
        Ok(Self {
            bucket: bucket.to_owned(),
            objects: objects.await?,
            names,
        })
    }

    /// Stores a component, then gives it the version. A push that ends between the two leaves an
    /// object that no version names, and can be repeated.
    ///
    /// # Errors
    /// When the version exists with other bytes, or a tag has its name.
    pub async fn push(
        &self,
        name: &str,
        version: &str,
        bytes: &[u8],
        contract: &str,
        signature: Option<String>,
    ) -> Result<Pushed> {
        let what = || format!("cannot push `{name}@{version}` to bucket `{}`", self.bucket);
        if self
            .tagged(name, version)
            .await
            .with_context(what)?
            .is_some()
        {
            return Err(anyhow!("`{version}` is a tag"))
                .with_context(what)
                .hint(|| "choose another version");
        }
        let digest = blake3::hash(bytes).to_hex().to_string();
        let kept = self.objects.keep(&digest, bytes, None).await;
        kept.with_context(what)?;
        let entry = Version {
            digest,
            size: bytes.len() as u64,
            contract: contract.to_owned(),
            pushed: jiff::Timestamp::now().to_string(),
            signature,
        };
        let value = serde_json::to_vec(&entry).with_context(what)?;
        let key = versions(name, version);
        match self.names.create(&key, value.into()).await {
            Ok(true) => Ok(Pushed::New),
            Ok(false) => {
                let there = self.version(name, version).await.with_context(what)?;
                match there {
                    Some(there) if there.digest == entry.digest => {
                        self.sign(name, version, there, entry.signature).await
                    }
                    _ => Err(anyhow!("this version exists with a different component"))
                        .with_context(what)
                        .hint(|| "a version is never overwritten: choose a new one"),
                }
            }
            Err(error) => Err(error).with_context(what),
        }
    }

    /// Gives a version that is there the signature that a push came with.
    async fn sign(
        &self,
        name: &str,
        version: &str,
        there: Version,
        signature: Option<String>,
    ) -> Result<Pushed> {
        if signature.is_none() || signature == there.signature {
            return Ok(Pushed::AlreadyThere);
        }
        let signed = Version { signature, ..there };
        let value = serde_json::to_vec(&signed).context("cannot serialise its entry")?;
        let put = self.names.put(&versions(name, version), value.into()).await;
        put.context("cannot store its signature")?;
        Ok(Pushed::SignedAnew)
    }

    /// Lets a tag name a version.
    ///
    /// # Errors
    /// When there is no such version, or a version has the tag's name.
    pub async fn tag(&self, name: &str, version: &str, tag: &str) -> Result<()> {
        let what = || format!("cannot tag `{name}@{version}` as `{tag}`");
        if self
            .version(name, version)
            .await
            .with_context(what)?
            .is_none()
        {
            return Err(anyhow!(
                "there is no such version in bucket `{}`",
                self.bucket
            ))
            .with_context(what)
            .hint(|| format!("see `weir plugin list nats://{}`", self.bucket));
        }
        self.may_tag(name, version, tag).await?;
        let put = self
            .names
            .put(&tags(name, tag), version.to_owned().into())
            .await;
        put.with_context(what)
    }

    /// Whether a tag may name a version, which need not be there yet.
    ///
    /// # Errors
    /// When a version has the tag's name, or is to have it.
    pub async fn may_tag(&self, name: &str, version: &str, tag: &str) -> Result<()> {
        let what = || format!("cannot tag `{name}@{version}` as `{tag}`");
        let is_version =
            tag == version || self.version(name, tag).await.with_context(what)?.is_some();
        match is_version {
            true => Err(anyhow!("`{tag}` is a version"))
                .with_context(what)
                .hint(|| "choose another tag"),
            false => Ok(()),
        }
    }

    /// The version that a version or a tag names.
    ///
    /// # Errors
    /// When neither is there.
    pub async fn resolve(&self, name: &str, reference: &str) -> Result<(String, Version)> {
        let what = || {
            format!(
                "cannot find `{name}@{reference}` in bucket `{}`",
                self.bucket
            )
        };
        if let Some(version) = self.version(name, reference).await.with_context(what)? {
            return Ok((reference.to_owned(), version));
        }
        if let Some(version) = self.tagged(name, reference).await.with_context(what)?
            && let Some(found) = self.version(name, &version).await.with_context(what)?
        {
            return Ok((version, found));
        }
        Err(anyhow!("there is neither such a version nor such a tag"))
            .with_context(what)
            .hint(|| format!("see `weir plugin list nats://{}`", self.bucket))
    }

    /// The bytes of a version.
    ///
    /// # Errors
    /// When they are not there, or are not what the digest says.
    pub async fn fetch(&self, version: &Version) -> Result<Vec<u8>> {
        let (bytes, _) = self.objects.fetch(&version.digest).await?;
        Ok(bytes)
    }

    /// All plugins of the bucket.
    ///
    /// # Errors
    /// When not all of them can be read.
    pub async fn list(&self) -> Result<BTreeMap<String, Listed>> {
        let mut all: BTreeMap<String, Listed> = BTreeMap::new();
        for entry in self.names.entries(">").await? {
            let mut parts = entry.key.splitn(3, '/');
            let (Some(name), Some(kind), Some(called)) = (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let listed = all.entry(name.to_owned()).or_default();
            let called = called.to_owned();
            match kind {
                "versions" => drop(listed.versions.insert(called, entry.parse()?)),
                "tags" => drop(listed.tags.insert(called, text(&entry.value))),
                _ => {}
            }
        }
        Ok(all)
    }

    /// Whether a reference names a version, and so always the same bytes.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn is_version(&self, name: &str, reference: &str) -> Result<bool> {
        Ok(self.version(name, reference).await?.is_some())
    }

    /// What is written to a tag, what it is now first.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub async fn watch(&self, name: &str, tag: &str) -> Result<kv::Watch> {
        let watch = self.names.watch(&tags(name, tag)).await;
        watch.with_context(|| format!("cannot follow `{name}@{tag}` of bucket `{}`", self.bucket))
    }

    async fn version(&self, name: &str, version: &str) -> Result<Option<Version>> {
        let Some(value) = self.value(&versions(name, version)).await? else {
            return Ok(None);
        };
        serde_json::from_slice(&value).context("its entry in the bucket is invalid")
    }

    async fn tagged(&self, name: &str, tag: &str) -> Result<Option<String>> {
        let value = self.value(&tags(name, tag)).await?;
        Ok(value.map(|value| text(&value)))
    }

    async fn value(&self, key: &str) -> Result<Option<Bytes>> {
        let said = self.names.get(key).await?;
        Ok(said.and_then(|(value, _)| value))
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn versions(name: &str, version: &str) -> String {
    format!("{name}/versions/{version}")
}

fn tags(name: &str, tag: &str) -> String {
    format!("{name}/tags/{tag}")
}
