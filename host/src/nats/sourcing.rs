//! Lets a stream source the outputs of a job, so that results and dead letters reach their stream without a
//! second publish.
//!
//! The server sources in order and continues at its position, so nothing is lost or repeated. The host
//! changes the configuration as the server returns it, so that settings that this program does not know stay
//! unchanged.

use super::by_subject::all_by_subject;
use super::stored::{self, Which};
use super::streams::Context;
use super::{Connection, failed, permitted, unless_refused};
use crate::headers::{SOURCED, sourced_from};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::context::RequestError;
use async_nats::jetstream::response::Response;
use serde_json::{Value, json};

/// Which subjects of a job's stream become which of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transform {
    pub(super) from: String,
    pub(super) to: String,
}

/// Lets `stream` source these subjects of the stream of a job; changes it only if that is allowed.
///
/// # Errors
/// When it does not and may not be changed, or the server refuses.
pub(super) async fn ensure(
    connection: &Connection,
    context: &Context,
    stream: &str,
    job: &str,
    transforms: &[Transform],
    may_change: bool,
) -> Result<()> {
    let what = || format!("cannot let stream `{stream}` source the results of job `{job}`");
    let info = connection.api.stream_info(stream);
    let nothing = json!({});
    let asked = context.request(format!("STREAM.INFO.{stream}"), &nothing);
    let config = answer(connection, &info, asked, "config")
        .await
        .with_context(what)?;
    if sources(&config, job, transforms) {
        return Ok(());
    }
    if !may_change {
        return Err(anyhow!("it does not source them yet").context(what())).hint(|| {
            format!("pass `--create`, or set `create: true` in the section of stream `{stream}`")
        });
    }
    let changed = with(config, job, transforms).with_context(what)?;
    let update = connection.api.stream_update(stream);
    let asked = context.request(format!("STREAM.UPDATE.{stream}"), &changed);
    let config = answer(connection, &update, asked, "config")
        .await
        .with_context(what)?;
    if !sources(&config, job, transforms) {
        return Err(anyhow!("the server ignores the setting").context(what()))
            .hint(|| "update nats-server to 2.15");
    }
    tracing::info!(stream, job, "the stream sources what the job publishes");
    Ok(())
}

/// Verifies that no stream sources what is forwarded to `subject`, as far as this user may read.
///
/// # Errors
/// When one does: it would store everything twice.
pub(super) async fn refuse(
    connection: &Connection,
    context: &Context,
    subject: &str,
    job: &str,
    transform: &Transform,
) -> Result<()> {
    let looked = all_by_subject(context, subject);
    let names = unless_refused(connection, &connection.api.stream_names(), looked).await;
    let nothing = json!({});
    for stream in names.into_iter().flatten().flatten() {
        let info = connection.api.stream_info(&stream);
        let asked = context.request(format!("STREAM.INFO.{stream}"), &nothing);
        let config = answer(connection, &info, asked, "config").await;
        if config.is_ok_and(|config| sources(&config, job, std::slice::from_ref(transform))) {
            return Err(anyhow!(
                "cannot forward to stream `{stream}`: it sources job `{job}`, and would store all results twice"
            ))
            .hint(|| format!("take `{job}` out of the sources of `{stream}`, or remove `forward`"));
        }
    }
    Ok(())
}

/// Up to which sequence `stream` has stored all that it sources of a job; none if nobody says. `subject` is that
/// of a message that it has sourced lately.
///
/// # Errors
/// When the server does not answer.
pub(super) async fn sourced(
    connection: &Connection,
    context: &Context,
    stream: &str,
    job: &str,
    subject: &str,
) -> Result<Option<u64>> {
    let last = Which::last(subject);
    let found = stored::get(connection, context, stream, &last).await?;
    let headers = found.map(|found| found.message().headers);
    let from = headers
        .as_ref()
        .and_then(|headers| sourced_from(headers.get(SOURCED)?));
    if let Some((stream, stored)) = from
        && stream == job
    {
        return Ok(Some(stored));
    }
    // It may have been consumed already. Servers from 2.15 on say it without a message.
    let nothing = json!({});
    let asked = context.request(format!("STREAM.INFO.{stream}"), &nothing);
    let info = connection.api.stream_info(stream);
    let sources = answer(connection, &info, asked, "sources").await?;
    let mut sources = sources.as_array().into_iter().flatten();
    let of_job = sources.find(|source| is_of(source, job));
    Ok(of_job.and_then(|source| source.get("seq")?.as_u64()))
}

/// A part of the server's answer.
pub(super) async fn answer(
    connection: &Connection,
    api: &str,
    asked: impl Future<Output = Result<Response<Value>, RequestError>>,
    part: &str,
) -> Result<Value> {
    match permitted(connection, api, asked).await? {
        Ok(Response::Ok(mut answer)) => {
            let part = answer.get_mut(part).map(Value::take);
            Ok(part.unwrap_or_default())
        }
        Ok(Response::Err { error }) => Err(error.into()),
        Err(error) => Err(failed(&error)),
    }
}

/// Whether a stream sources all of these subjects of a job.
pub(super) fn sources(config: &Value, job: &str, transforms: &[Transform]) -> bool {
    let sources = config["sources"].as_array().into_iter().flatten();
    let of_job = sources.filter(|source| is_of(source, job));
    let mut there = of_job.flat_map(|source| {
        source["subject_transforms"]
            .as_array()
            .into_iter()
            .flatten()
    });
    let there: Vec<&Value> = there.by_ref().collect();
    let mut wanted = transforms.iter().map(Transform::as_json);
    wanted.all(|wanted| there.iter().any(|there| **there == wanted))
}

fn is_of(source: &Value, job: &str) -> bool {
    source["name"] == job && source["external"].is_null()
}

/// The same configuration with what is missing.
fn with(mut config: Value, job: &str, transforms: &[Transform]) -> Option<Value> {
    let all = config.as_object_mut()?;
    let sources = all.entry("sources").or_insert_with(|| json!([]));
    if sources.is_null() {
        *sources = json!([]);
    }
    let sources = sources.as_array_mut()?;
    if !sources.iter().any(|source| is_of(source, job)) {
        sources.push(json!({ "name": job, "subject_transforms": [] }));
    }
    let source = sources.iter_mut().find(|source| is_of(source, job))?;
    let there = source.as_object_mut()?.entry("subject_transforms");
    let there = there.or_insert_with(|| json!([])).as_array_mut()?;
    for wanted in transforms.iter().map(Transform::as_json) {
        if !there.contains(&wanted) {
            there.push(wanted);
        }
    }
    Some(config)
}

impl Transform {
    pub(super) fn as_json(&self) -> Value {
        json!({ "src": self.from, "dest": self.to })
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stream_sources_is_added_to_and_the_rest_of_it_stays() {
        let results = Transform {
            from: "weir.job.j.out.*.>".to_owned(),
            to: ">".to_owned(),
        };
        let dead = Transform {
            from: "weir.job.j.dead.*".to_owned(),
            to: "weir.dead.j".to_owned(),
        };
        let config = json!({ "name": "S", "unknown": 7, "sources": [{ "name": "OTHER" }] });
        assert!(!sources(&config, "J", std::slice::from_ref(&results)));
        let config = with(config, "J", std::slice::from_ref(&results)).unwrap();
        assert!(sources(&config, "J", std::slice::from_ref(&results)));
        assert!(!sources(&config, "J", std::slice::from_ref(&dead)));
        let both = [results, dead];
        let config = with(config, "J", &both).unwrap();
        assert!(sources(&config, "J", &both));
        assert_eq!(config["unknown"], 7);
        let named: Vec<&Value> = config["sources"].as_array().unwrap().iter().collect();
        assert_eq!(named.len(), 2);
        assert_eq!(named[1]["subject_transforms"].as_array().unwrap().len(), 2);
    }
}
