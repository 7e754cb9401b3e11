//! The buckets of views: created so that they source the values from the job's stream, and read.
//!
//! The host never publishes to a bucket. Its stream sources what was committed, like the stream of the
//! results (`sourcing.rs`): in order, and once. Anybody else may write any bytes to a bucket, so values are
//! read as bytes first.

pub mod key;

use super::job_outputs::{Own, Target};
use super::sourcing::{self, Transform};
use super::stored::{self, Which};
use super::streams::{Context, jetstream};
use super::{Connection, failed, job_stream, permitted};
use crate::config::resolved::{Pipeline, View, ViewFrom};
use crate::headers::{COMMIT, REMOVALS, block};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// How long the marker of a value that has expired stays: an hour, in nanoseconds. A bucket that is away for longer may
/// miss it.
pub const MARKER: u64 = 3_600_000_000_000;

/// Lets the bucket of each view source its values: makes those that are missing and changes the others, if it may.
///
/// # Errors
/// A bucket is missing, or is not one of the view, or the server refuses.
pub(super) async fn ensure(
    connection: &Connection,
    context: &Context,
    pipeline: &Pipeline,
    own: Own<'_>,
    may_change: bool,
) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for view in pipeline.job.iter().flat_map(|job| &job.views) {
        if view.from != ViewFrom::Results {
            let expire = job_stream::let_expire(connection, own.stream, may_change).await;
            expire.with_context(|| format!("cannot commit values of view `{}`", view.name))?;
        }
        let of = format!("{}.view.{}", own.prefix, view.name);
        let prefix = prefix(&view.bucket);
        let transform = Transform {
            from: format!("{of}.*.>"),
            to: format!("{prefix}>"),
        };
        let ensured = bucket(connection, context, view, own, &transform, may_change).await;
        ensured.with_context(|| {
            format!(
                "cannot use bucket `{}` for view `{}`",
                view.bucket, view.name
            )
        })?;
        targets.push(Target::under(prefix, of, view.stream()));
    }
    Ok(targets)
}

/// What the subjects of a bucket begin with.
fn prefix(bucket: &str) -> String {
    format!("$KV.{bucket}.")
}

async fn bucket(
    connection: &Connection,
    context: &Context,
    view: &View,
    own: Own<'_>,
    transform: &Transform,
    may_change: bool,
) -> Result<()> {
    let (stream, bucket) = (view.stream(), &view.bucket);
    let transforms = std::slice::from_ref(transform);
    let max_age = view.ttl.unwrap_or_default().as_nanos();
    let mut kept = Map::new();
    kept.insert(
        "max_age".to_owned(),
        json!(u64::try_from(max_age).unwrap_or(u64::MAX)),
    );
    if view.from != ViewFrom::Results {
        kept.insert("allow_msg_ttl".to_owned(), json!(true));
        // Of each value that expires there is a marker, so that whoever watches hears of it.
        kept.insert("subject_delete_marker_ttl".to_owned(), json!(MARKER));
    }
    let is_kept = |found: &Value| {
        kept.iter()
            .all(|(name, value)| found.get(name) == Some(value))
    };
    let (what, api, config) = match there(connection, context, &stream).await? {
        Some(found) if !sourcing::sources(&found, own.stream, transforms) => {
            return Err(anyhow!("it exists, but does not source the view")).hint(|| {
                format!("choose another `bucket`, or delete this one with `nats kv del {bucket}`")
            });
        }
        Some(found) if is_kept(&found) => return Ok(()),
        Some(_) if !may_change => {
            return Err(anyhow!(
                "it does not keep its values for the `ttl` of the view, or as long as they say"
            ))
            .hint(|| "pass `--create`, which changes that");
        }
        Some(mut found) => {
            if let Some(settings) = found.as_object_mut() {
                settings.extend(kept);
                // It must not be longer; values have no message ids.
                settings.remove("duplicate_window");
            }
            ("UPDATE", connection.api.stream_update(&stream), found)
        }
        None if !may_change => {
            return Err(anyhow!("there is none")).hint(
                || "pass `--create`: a bucket that was created in another way does not source the view",
            );
        }
        // As clients make a bucket that keeps one value for each key, and with a source.
        None => {
            let mut config = json!({
                "name": stream,
                "description": format!("weir: view {}", view.name),
                "subjects": [format!("{}>", prefix(bucket))],
                "num_replicas": own.replicas,
                "max_msgs_per_subject": 1,
                "storage": "file",
                "discard": "new",
                "allow_rollup_hdrs": true,
                "deny_delete": true,
                "allow_direct": true,
                "sources": [{ "name": own.stream, "subject_transforms": [transform.as_json()] }],
            });
            if let Some(settings) = config.as_object_mut() {
                settings.extend(kept);
            }
            ("CREATE", connection.api.stream_create(&stream), config)
        }
    };
    let asked = context.request(format!("STREAM.{what}.{stream}"), &config);
    let made = sourcing::answer(connection, &api, asked, "config").await?;
    if !sourcing::sources(&made, own.stream, transforms) {
        return Err(anyhow!("the server ignores the setting"))
            .hint(|| "update nats-server to 2.15");
    }
    tracing::info!(bucket, view = view.name, "the bucket sources the view");
    Ok(())
}

/// The configuration of a stream, if there is one.
async fn there(connection: &Connection, context: &Context, stream: &str) -> Result<Option<Value>> {
    let nothing = json!({});
    let asked = context.request(format!("STREAM.INFO.{stream}"), &nothing);
    let info = connection.api.stream_info(stream);
    let asked = permitted(connection, &info, asked).await?;
    match asked.map_err(|error| failed(&error))? {
        Response::Ok(mut found @ Value::Object(_)) => Ok(found.get_mut("config").map(Value::take)),
        Response::Ok(_) => Err(anyhow!("the answer is not a jetstream answer")),
        Response::Err { error } if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
        Response::Err { error } => Err(error.into()),
    }
}

/// The bucket of a view, for reads.
pub struct Bucket {
    connection: Connection,
    pub stream: String,
    prefix: String,
}

/// What a bucket says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    /// The sequence in the bucket's stream.
    pub revision: u64,
    /// `<partition>.<number>` of its commit; none if somebody else has written it.
    pub commit: Option<String>,
    /// None if the key is deleted.
    pub value: Option<Bytes>,
}

impl Bucket {
    #[must_use]
    pub fn new(connection: &Connection, view: &View) -> Self {
        Self {
            connection: connection.clone(),
            stream: view.stream(),
            prefix: prefix(&view.bucket),
        }
    }

    /// All of its subjects.
    #[must_use]
    pub fn all(&self) -> String {
        format!("{}>", self.prefix)
    }

    /// What it says of a key, as the leader of its stream knows it; none if there is nothing.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>> {
        let Some(escaped) = key::escape(key) else {
            return Ok(None);
        };
        let found = self.ask(&format!("{}{escaped}", self.prefix)).await?;
        Ok(found.and_then(|found| {
            let subject = found.subject.as_bytes();
            self.entry(
                subject,
                found.sequence,
                &found.headers,
                found.payload.clone(),
            )
        }))
    }

    /// The last revision; 0 if there is none.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn last(&self) -> Result<u64> {
        let found = self.ask(&self.all()).await?;
        Ok(found.map_or(0, |found| found.sequence))
    }

    async fn ask(&self, subject: &str) -> Result<Option<stored::StoredMessage>> {
        let (context, which) = (jetstream(&self.connection), Which::last(subject));
        let found = stored::get(&self.connection, &context, &self.stream, &which).await;
        found.with_context(|| format!("cannot read stream `{}`", self.stream))
    }

    /// A message of its stream as what it says of a key; none if it is of no key that a view has.
    #[must_use]
    pub fn entry(
        &self,
        subject: &[u8],
        revision: u64,
        headers: &Bytes,
        payload: Bytes,
    ) -> Option<Entry> {
        let key = key::unescape(subject.strip_prefix(self.prefix.as_bytes())?)?;
        let (headers, _) = block::read(headers);
        let gone = REMOVALS.iter().any(|name| headers.get(name).is_some());
        Some(Entry {
            key,
            revision,
            commit: headers.get(COMMIT).map(ToOwned::to_owned),
            value: (!gone).then_some(payload),
        })
    }
}
