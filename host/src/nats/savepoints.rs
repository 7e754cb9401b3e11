//! Savepoints of jobs in an object store: one object each, `<job>/<name>`. `job/savepoint.rs` defines their
//! content.

use super::buckets::{Objects, Stored};
use super::{Connection, jobs};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::object_store::Config;
use serde::Serialize;
use tokio::io::AsyncRead;

/// The bucket of all jobs of an account.
pub const BUCKET: &str = "weir-savepoints";

/// The bucket.
pub struct Savepoints(Objects);

/// A savepoint, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub job: String,
    pub name: String,
    pub bytes: usize,
    /// When it was stored, RFC 3339.
    pub at: String,
}

impl Savepoints {
    /// Finds the bucket, or makes it with this many replicas.
    ///
    /// # Errors
    /// When it is not there and may not be made.
    pub async fn open(connection: &Connection, replicas: usize) -> Result<Self> {
        let config = Config {
            bucket: BUCKET.to_owned(),
            description: Some("weir: savepoints of jobs".to_owned()),
            num_replicas: replicas,
            ..Default::default()
        };
        Objects::open(connection, config).await.map(Self)
    }

    /// Finds the bucket.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn find(connection: &Connection) -> Result<Self> {
        let found = Objects::find(connection, BUCKET).await.map(Self);
        found
            .with_context(|| format!("cannot open the bucket `{BUCKET}`"))
            .hint(|| "the first `weir job savepoint create` creates it")
    }

    /// Whether there is a savepoint.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn holds(&self, job: &str, name: &str) -> Result<bool> {
        self.0.holds(&object(job, name)).await
    }

    /// Stores a savepoint with this content. It becomes visible when it is complete.
    ///
    /// # Errors
    /// When the server does not take it, or `content` fails.
    pub async fn put(
        &self,
        job: &str,
        name: &str,
        content: &mut (impl AsyncRead + Unpin),
    ) -> Result<usize> {
        let put = self.0.put(&object(job, name), content).await;
        put.with_context(|| format!("cannot store savepoint `{name}` of job `{job}`"))
    }

    /// The bytes of a savepoint.
    ///
    /// # Errors
    /// When there is no savepoint with this name.
    pub async fn get(&self, job: &str, name: &str) -> Result<impl AsyncRead + Unpin + use<>> {
        let get = self.0.get(&object(job, name)).await;
        get.map_err(|error| anyhow!("{error}"))
            .with_context(|| format!("cannot read savepoint `{name}` of job `{job}`"))
            .hint(|| "see `weir job savepoint ls`")
    }

    /// All savepoints, or those of one job, in the order of their names. None before there is a bucket.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn list(connection: &Connection, job: Option<&str>) -> Result<Vec<Listed>> {
        let stream = format!("OBJ_{BUCKET}");
        if jobs::last_sequence(connection, &stream).await?.is_none() {
            return Ok(Vec::new());
        }
        let listed = Self::find(connection).await?.0.list().await;
        let listed = listed?;
        let read = |Stored { name, bytes, at }: Stored| {
            let (of, name) = name.split_once('/')?;
            let listed = Listed {
                job: of.to_owned(),
                name: name.to_owned(),
                bytes,
                at,
            };
            job.is_none_or(|job| job == of).then_some(listed)
        };
        let mut listed: Vec<Listed> = listed.into_iter().filter_map(read).collect();
        listed.sort_by(|one, other| (&one.job, &one.name).cmp(&(&other.job, &other.name)));
        Ok(listed)
    }

    /// Removes a savepoint.
    ///
    /// # Errors
    /// When there is no savepoint with this name, or the server does not.
    pub async fn remove(&self, job: &str, name: &str) -> Result<()> {
        if !self.holds(job, name).await? {
            return Err(anyhow!("there is no savepoint with this name"))
                .hint(|| "see `weir job savepoint ls`");
        }
        self.0.delete(&object(job, name)).await
    }
}

fn object(job: &str, name: &str) -> String {
    format!("{job}/{name}")
}
