//! Which streams capture a subject, and what they do with a message that is published there.

use super::streams::{Context, jetstream};
use super::{Connection, failed, passes, unless_refused};
use crate::config::resolved::Sink;
use crate::report::{self, ResultExt};
use anyhow::{Context as _, Result, anyhow, bail};
use async_nats::jetstream::{self, stream::Config};

/// The oldest server whose streams take batches of publishes (`allow_batched`): since which version.
pub(super) const FAST_INGEST: (u64, u64, u64) = (2, 14, 0);

/// The stream that captures `subject`, if there is one.
///
/// # Errors
/// When no server answers, or the permission is missing.
pub async fn find_by_subject(context: &Context, subject: &str) -> Result<Option<String>> {
    let names = all_by_subject(context, subject).await?;
    Ok(names.into_iter().next())
}

/// The streams that capture what `subject` matches, or a part of it.
///
/// # Errors
/// When no server answers, or the permission is missing.
pub async fn all_by_subject(context: &Context, subject: &str) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Names {
        #[serde(default)]
        streams: Option<Vec<String>>,
    }
    let request = serde_json::json!({ "subject": subject });
    let answer: jetstream::response::Response<Names> = context
        .request("STREAM.NAMES", &request)
        .await
        .map_err(|error| failed(&error))?;
    match answer {
        jetstream::response::Response::Ok(names) => Ok(names.streams.unwrap_or_default()),
        jetstream::response::Response::Err { error } => Err(error.into()),
    }
}

/// Why no publish ack will come for `subject`; `None` if one should.
///
/// # Errors
/// When no server answers, or the permission is missing.
pub async fn never_acks(connection: &Connection, subject: &str) -> Result<Option<String>> {
    let context = jetstream(connection);
    let Some(name) = find_by_subject(&context, subject).await? else {
        return Ok(Some(format!("no stream captures `{subject}`")));
    };
    let stream = context.get_stream(&name).await;
    let stream = stream.map_err(|error| failed(&error))?;
    let is_silent = stream.cached_info().config.no_ack;
    Ok(is_silent.then(|| silent(&name).to_string()))
}

/// The stream that takes all results of a sink in batches, or why there is none, in words.
///
/// # Errors
/// When no result could ever be stored, or the server does not answer.
pub(super) async fn fast_ingest(
    connection: &Connection,
    context: &Context,
    sink: &Sink,
) -> Result<Result<String, String>> {
    let captures = match captures_all(connection, context, sink).await {
        Err(error) if passes(&error) => return Err(error),
        captures => captures.map_err(|error| report::line(&error)),
    };
    if let Ok(stream) = &captures
        && stream.no_ack
    {
        let name = &stream.name;
        return Err(silent(name)).hint(|| {
            format!(
                "set `no_ack` of `{name}` to `false`, or let `sink.subject` lead to another stream"
            )
        });
    }
    Ok(match (sink.no_fast_ingest(), captures) {
        (Some(why), _) => Err(why.to_owned()),
        (None, Ok(stream)) if !stream.allow_batch_publish => Err(format!(
            "stream `{}` does not allow batches (`allow_batched`)",
            stream.name
        )),
        (None, captures) => captures.map(|stream| stream.name),
    })
}

/// The stream that captures all results of a sink.
///
/// # Errors
/// Why there is none, or it is not known.
async fn captures_all(connection: &Connection, context: &Context, sink: &Sink) -> Result<Config> {
    let Some(reach) = sink.subject.reach() else {
        bail!("`sink.subject` may be any subject");
    };
    let asked = all_by_subject(context, reach.as_str());
    let asked = unless_refused(connection, &connection.api.stream_names(), asked).await;
    let found = asked.map_err(anyhow::Error::msg)??;
    let name = match found.as_slice() {
        [name] => name,
        [] => bail!("no stream captures `{reach}`"),
        [..] => bail!("several streams capture `{reach}`"),
    };
    let api = connection.api.stream_info(name);
    let stream = unless_refused(connection, &api, context.get_stream(name)).await;
    let stream = stream.map_err(anyhow::Error::msg)?;
    let stream = stream.map_err(|error| failed(&error));
    let stream = stream.with_context(|| format!("cannot read stream `{name}`"))?;
    Ok(stream.cached_info().config.clone())
}

fn silent(stream: &str) -> anyhow::Error {
    anyhow!("stream `{stream}` sends no publish acks (`no_ack`)")
}
