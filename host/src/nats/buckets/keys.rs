//! Keys and values: written by compare-and-swap, and read completely or not at all.

use super::{Connection, cannot_make, jetstream};
use crate::headers::REMOVALS;
use crate::nats::failed;
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{DeliverPolicy, push};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::kv::{self, CreateErrorKind, Operation, Store};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::time::Duration;

/// Silence after which a bucket that is being read is read again.
const QUIET: Duration = Duration::from_secs(5);
/// Times that a bucket is read before its server is taken for silent. What is removed while it is read
/// never comes, so the first silence is no fault.
const READS: usize = 2;

/// A bucket of the key-value store.
#[derive(Clone)]
pub(in crate::nats) struct Keys {
    client: Client,
    store: Store,
}

/// What a key says.
pub(in crate::nats) struct Entry {
    bucket: String,
    pub(in crate::nats) key: String,
    pub(in crate::nats) value: Bytes,
    pub(in crate::nats) revision: u64,
}

impl Entry {
    /// Its JSON.
    ///
    /// # Errors
    /// When it is something else: it is not left out, for a list without it would be a part.
    pub(in crate::nats) fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let Self { bucket, key, .. } = self;
        serde_json::from_slice(&self.value)
            .with_context(|| format!("cannot read key `{key}` of bucket `{bucket}`"))
            .hint(|| format!("if it is not from weir, delete it with `nats kv del {bucket} {key}`"))
    }
}

/// What became of a write.
pub(in crate::nats) enum Write {
    /// It is stored, as this revision.
    Stored(u64),
    /// Another write was first.
    Overtaken(Entry),
}

impl Keys {
    /// Finds it.
    ///
    /// # Errors
    /// `Ok(None)` when there is none; an error when the server does not say.
    pub(in crate::nats) async fn find(
        connection: &Connection,
        bucket: &str,
    ) -> Result<Option<Self>> {
        let context = jetstream(connection);
        let what = || format!("cannot find the bucket `{bucket}`");
        match context.get_stream(format!("KV_{bucket}")).await {
            Ok(_) => {}
            Err(error)
                if matches!(error.kind(), GetStreamErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_NOT_FOUND) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(failed(&error)).with_context(what),
        }
        let store = context.get_key_value(bucket).await;
        let store = store.map_err(anyhow::Error::msg).with_context(what)?;
        Ok(Some(Self::over(connection, store)))
    }

    /// Finds it, or makes it.
    ///
    /// # Errors
    /// When it is not there and may not be made.
    pub(in crate::nats) async fn open(connection: &Connection, config: kv::Config) -> Result<Self> {
        let context = jetstream(connection);
        let bucket = config.bucket.clone();
        if let Ok(store) = context.get_key_value(&bucket).await {
            return Ok(Self::over(connection, store));
        }
        let store = match context.create_key_value(config).await {
            Ok(store) => Ok(store),
            // Another may have been first, with other replicas.
            Err(error) => match context.get_key_value(&bucket).await {
                Ok(store) => Ok(store),
                Err(_) => Err(cannot_make(&bucket, "KV", &error.to_string())),
            },
        };
        Ok(Self::over(connection, store?))
    }

    fn over(connection: &Connection, store: Store) -> Self {
        let client = connection.client().clone();
        Self { client, store }
    }

    /// What a key says, and its revision: also where it was deleted, and says nothing any more.
    ///
    /// # Errors
    /// `Ok(None)` when it was never written; an error when the server does not say.
    pub(in crate::nats) async fn get(&self, key: &str) -> Result<Option<(Option<Bytes>, u64)>> {
        let entry = self.store.entry(key).await;
        let entry = entry.map_err(|error| failed(&error))?;
        Ok(entry.map(|entry| {
            let put = entry.operation == Operation::Put;
            (put.then_some(entry.value), entry.revision)
        }))
    }

    /// Writes a key that is still at `revision`; 0 is one that was never written. Where no answer comes,
    /// what is stored is read: the write may be in.
    ///
    /// # Errors
    /// When it is not stored.
    pub(in crate::nats) async fn write(
        &self,
        key: &str,
        value: Bytes,
        revision: u64,
    ) -> Result<Write> {
        let error = match self.store.update(key, value.clone(), revision).await {
            Ok(revision) => return Ok(Write::Stored(revision)),
            Err(error) => anyhow!("{error}"),
        };
        match self.store.entry(key).await {
            Ok(Some(there)) if there.revision == revision => Err(error),
            Ok(Some(there)) if there.value == value && there.operation == Operation::Put => {
                Ok(Write::Stored(there.revision))
            }
            Ok(Some(there)) => Ok(Write::Overtaken(Entry {
                bucket: there.bucket,
                key: there.key,
                value: there.value,
                revision: there.revision,
            })),
            _ => Err(error),
        }
    }

    /// Writes a key, whatever it says.
    ///
    /// # Errors
    /// When it is not stored.
    pub(in crate::nats) async fn put(&self, key: &str, value: Bytes) -> Result<()> {
        let put = self.store.put(key, value).await;
        put.map(drop).map_err(anyhow::Error::msg)
    }

    /// Writes a key that is not there.
    ///
    /// # Errors
    /// `Ok(false)` when it is there; an error when it is not stored.
    pub(in crate::nats) async fn create(&self, key: &str, value: Bytes) -> Result<bool> {
        match self.store.create(key, value).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(anyhow!("{error}")),
        }
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// When the server does not say that it has.
    pub(in crate::nats) async fn delete(&self, key: &str) -> Result<()> {
        let deleted = self.store.delete(key).await;
        deleted.map_err(anyhow::Error::msg)
    }

    /// What is written to the keys that match, what they say now first.
    ///
    /// # Errors
    /// When they cannot be followed.
    pub(in crate::nats) async fn watch(&self, filter: &str) -> Result<kv::Watch> {
        let watch = self.store.watch_with_history(filter).await;
        watch.map_err(anyhow::Error::msg)
    }

    /// All keys that match and what they say, in the order of the keys.
    ///
    /// # Errors
    /// When not all of them can be read: some are never taken for all.
    pub(in crate::nats) async fn entries(&self, filter: &str) -> Result<Vec<Entry>> {
        let what = || format!("cannot read the bucket `{}`", self.store.name);
        for _ in 0..READS {
            if let Some(entries) = self.read(filter).await.with_context(what)? {
                return Ok(entries);
            }
        }
        Err(anyhow!("the server sent only a part of it")).with_context(what)
    }

    /// `None` when the server is silent before it has sent all.
    async fn read(&self, filter: &str) -> Result<Option<Vec<Entry>>> {
        let prefix = &self.store.prefix;
        let config = push::OrderedConfig {
            deliver_subject: self.client.new_inbox(),
            description: Some("weir reads a bucket".to_owned()),
            filter_subject: format!("{prefix}{filter}"),
            deliver_policy: DeliverPolicy::LastPerSubject,
            ..Default::default()
        };
        let made = self.store.stream.create_consumer(config).await;
        let made = made.map_err(anyhow::Error::msg)?;
        let mut pending = made.cached_info().num_pending;
        let messages = made.messages().await;
        let mut messages = messages.map_err(anyhow::Error::msg)?;
        let mut entries = BTreeMap::new();
        while pending > 0 {
            let Ok(next) = tokio::time::timeout(QUIET, messages.next()).await else {
                return Ok(None);
            };
            let message = next.context("the connection has ended")?;
            let message = message.map_err(anyhow::Error::msg)?;
            let info = message.info().map_err(anyhow::Error::msg)?;
            let (revision, left) = (info.stream_sequence, info.pending);
            pending = left;
            let key = message.subject.strip_prefix(&**prefix).unwrap_or_default();
            let key = key.to_owned();
            match is_put(message.headers.as_ref()) {
                true => entries.insert(
                    key.clone(),
                    Entry {
                        bucket: self.store.name.clone(),
                        value: message.payload.clone(),
                        key,
                        revision,
                    },
                ),
                false => entries.remove(&key),
            };
        }
        Ok(Some(entries.into_values().collect()))
    }
}

/// Whether a stored message says what a key is, and not that it was deleted, by somebody or by its age.
fn is_put(headers: Option<&HeaderMap>) -> bool {
    headers.is_none_or(|headers| REMOVALS.iter().all(|name| headers.get(*name).is_none()))
}
