//! From a result back to its inputs.
//!
//! A result's message id names the source stream and the message, and the pipeline and the operator that made
//! the result; `Weir-Digest` names the versions of the plugins. Results of a job have this in `Weir-Origin`.
//! An input may itself be a result. The result of a timer ends the trace, because it is made from the state. So does a
//! result without a message id (`sink.message-ids: off`).

use super::Connection;
use super::by_subject::find_by_subject;
use super::stored::{self, Which};
use super::streams::{base36, jetstream};
use crate::config::template::SubjectFilter;
use crate::headers::{
    DIGEST, FromJob, Headers, MESSAGE_ID, ORIGIN, SOURCED, WINDOW_END, WINDOW_START, block,
};
use crate::report::{ResultExt, escape};
use anyhow::{Context, Result, anyhow};
use async_nats::jetstream::context::Context as JetStream;
use serde::Serialize;

/// Steps after which a walk ends: pipelines that feed each other in a circle have no beginning.
const LONGEST: usize = 100;

/// One message on the way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    pub stream: String,
    pub sequence: u64,
    /// `None` where the message is not there any more, as are the fields below.
    pub subject: Option<String>,
    /// When the stream stored it, RFC 3339.
    pub stored: Option<String>,
    /// What made it; `None` for a message that weir did not publish.
    pub made: Option<Made>,
    /// It is a result of a job that no message names: of a timer, or of a window, which a timer ends.
    pub timer: Option<TimerResult>,
    /// It is a result without a message id, so its inputs are unknown.
    pub has_no_id: bool,
    /// Why the message is not there any more.
    pub gone: Option<String>,
}

/// What made a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Made {
    pub pipeline: String,
    /// The last of the chain; `dead` for a dead letter.
    pub operator: String,
    /// Which of the results of its input it is, from 0; a dead letter is the only one.
    pub index: u64,
    /// The beginnings of the plugins' digests, in the order of the chain.
    pub plugins: Vec<String>,
    #[serde(skip)]
    from: StoredMessage,
}

/// What is known of a result that no message names. Its timer is gone from the state, and its key is not stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimerResult {
    /// The stream of the job, and the place that the result got there in the commit that contains it.
    pub job_stream: String,
    pub place: u64,
    /// `None` where the result was forwarded.
    pub partition: Option<u16>,
    /// Start and end of its window, RFC 3339, if it is the result of one.
    pub window: Option<[String; 2]>,
    /// As in [`Made`].
    pub plugins: Vec<String>,
}

impl TimerResult {
    /// From the headers of a result without an origin; `None` if it does not come from the stream of a job.
    fn parse(headers: &Headers) -> Option<Self> {
        let from = FromJob::of(headers)?;
        // Other streams than those of jobs are sourced, too.
        (from.partition.is_some() || headers.get(SOURCED).is_none()).then_some(())?;
        let header = |name| headers.get(name).map(ToOwned::to_owned);
        let window = header(WINDOW_START).zip(header(WINDOW_END));
        Some(Self {
            partition: from.partition,
            job_stream: from.stream,
            place: from.place,
            window: window.map(Into::into),
            plugins: plugins(headers.get(DIGEST)?),
        })
    }
}

/// The beginnings of digests, with commas between them.
fn plugins(digests: &str) -> Vec<String> {
    let plugins = digests.split(',').filter(|digest| !digest.is_empty());
    plugins.map(ToOwned::to_owned).collect()
}

/// A message of a stream that was created at a certain time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct StoredMessage {
    stream: String,
    /// In milliseconds since 1970, base 36.
    incarnation: String,
    sequence: u64,
}

impl Made {
    /// From `<pipeline>~<hash>/<operator>/<stream>@<incarnation>/<sequence>/<index>`.
    fn parse(id: &str, digests: &str) -> Option<Self> {
        let mut parts = id.split('/');
        let (pipeline, operator) = (parts.next()?, parts.next()?);
        let (pipeline, _) = pipeline.rsplit_once('~')?;
        let (stream, incarnation) = parts.next()?.rsplit_once('@')?;
        let sequence = parts.next()?.parse().ok()?;
        // Dead letters have none, or that of a part.
        let index = match operator {
            "dead" => 0,
            _ => parts.next()?.parse().ok()?,
        };
        Some(Self {
            pipeline: pipeline.to_owned(),
            operator: operator.to_owned(),
            index,
            plugins: plugins(digests),
            from: StoredMessage {
                stream: stream.to_owned(),
                incarnation: incarnation.to_owned(),
                sequence,
            },
        })
    }
}

/// Follows the message with this sequence, in the stream that captures `subject`, back to a message that weir
/// did not make. The first step is the message itself.
///
/// # Errors
/// When the stream or its message does not exist, or the server does not answer.
pub async fn walk(connection: &Connection, subject: &str, sequence: u64) -> Result<Vec<Step>> {
    let context = jetstream(connection);
    let stream = find_by_subject(&context, subject)
        .await
        .with_context(|| format!("cannot find the stream of `{subject}`"))?
        .ok_or_else(|| anyhow!("no stream captures `{subject}`"))
        .hint(|| "name the subject of a result, as in `weir trace rebates.u1 42`")?;
    let first = step(connection, &context, &stream, None, sequence).await?;
    if let Some(why) = &first.gone {
        return Err(anyhow!("{why}"))
            .with_context(|| format!("cannot read message {sequence} of stream `{stream}`"));
    }
    let found = first.subject.as_deref().unwrap_or_default();
    let is_meant = SubjectFilter::parse(subject).is_ok_and(|meant| meant.matches(found));
    if !is_meant {
        let found = escape::line(found);
        return Err(anyhow!(
            "message {sequence} of stream `{stream}` is on `{found}`"
        ))
        .with_context(|| format!("cannot trace `{subject}`"))
        .hint(|| format!("to trace that one: `weir trace {found} {sequence}`"));
    }
    let mut steps = vec![first];
    while let Some(StoredMessage {
        stream,
        incarnation,
        sequence,
    }) = steps
        .last()
        .and_then(|step| step.made.as_ref())
        .map(|made| made.from.clone())
        && steps.len() < LONGEST
    {
        steps.push(step(connection, &context, &stream, Some(&incarnation), sequence).await?);
    }
    Ok(steps)
}

async fn step(
    connection: &Connection,
    context: &JetStream,
    stream: &str,
    incarnation: Option<&str>,
    sequence: u64,
) -> Result<Step> {
    let gone = |why: String| Step {
        stream: stream.to_owned(),
        sequence,
        subject: None,
        stored: None,
        made: None,
        timer: None,
        has_no_id: false,
        gone: Some(why),
    };
    let what = || format!("cannot read message {sequence} of stream `{stream}`");
    let found = match context.get_stream(stream).await {
        Ok(found) => found,
        Err(error) if error.to_string().contains("not found") => {
            return Ok(gone("the stream no longer exists".to_owned()));
        }
        Err(error) => return Err(anyhow!("{error}")).with_context(what),
    };
    let created = found.cached_info().created.unix_timestamp_nanos() / 1_000_000;
    let created = base36(u64::try_from(created).unwrap_or_default());
    if incarnation.is_some_and(|incarnation| incarnation != created) {
        return Ok(gone(
            "the stream was deleted and recreated with the same name".to_owned(),
        ));
    }
    let message = stored::get(connection, context, stream, &Which::at(sequence)).await;
    let Some(message) = message.with_context(what)? else {
        return Ok(gone("the stream no longer holds it".to_owned()));
    };
    let (headers, _) = block::read(&message.headers);
    let header = |name: &str| headers.get(name).unwrap_or_default();
    let id = headers.get(ORIGIN).or(headers.get(MESSAGE_ID));
    let stored = jiff::Timestamp::from_nanosecond(message.time.into());
    let made = id.and_then(|id| Made::parse(id, header(DIGEST)));
    let timer = made.is_none().then(|| TimerResult::parse(&headers));
    let timer = timer.flatten();
    Ok(Step {
        stream: stream.to_owned(),
        sequence,
        subject: Some(message.subject),
        stored: stored.ok().map(|time| time.to_string()),
        has_no_id: headers.get(DIGEST).is_some() && id.is_none() && timer.is_none(),
        made,
        timer,
        gone: None,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_of_weir_tells_where_a_result_comes_from_and_no_other_does() {
        let made = Made::parse("rebates~1a2b3c4d/price/ORDERS@k3x/42/1", "aa,bb").unwrap();
        assert_eq!((made.pipeline.as_str(), made.index), ("rebates", 1));
        assert_eq!(made.plugins, ["aa", "bb"]);
        assert_eq!(made.from.stream, "ORDERS");
        assert_eq!(
            (made.from.incarnation.as_str(), made.from.sequence),
            ("k3x", 42)
        );
        let dead = Made::parse("rebates~1a2b3c4d/dead/ORDERS@k3x/42", "").unwrap();
        assert_eq!((dead.operator.as_str(), dead.index), ("dead", 0));
        for foreign in [
            "",
            "42",
            "a~1/b/c/d",
            "a~1/b/ORDERS/42/0",
            "a~1/b/ORDERS@k/x/0",
            "a/b/ORDERS@k/42/0",
        ] {
            assert_eq!(Made::parse(foreign, ""), None, "{foreign}");
        }
    }
}
