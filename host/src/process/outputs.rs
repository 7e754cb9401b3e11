//! The results of one source message, checked before any of them is published.
//!
//! Pure. This file has all rules about what may leave the host: subjects, header names and values, the
//! server's largest payload, and that a pipeline does not feed itself. A broken rule makes the source message
//! a dead letter, with the reason.

use super::Judged;
use super::chain::Provenance;
use crate::config::resolved;
use crate::config::template::{SubjectFilter, Template, check_free, is_under};
use crate::headers::block::{self, ForeignLines};
use crate::headers::{self, DIGEST, HOPS, Headers, PREFIX, SERVER_PREFIX, begins_with};
use crate::message::{Foreign, Message};
use crate::outgoing::{MessageId, OutgoingMessage};
use crate::parked::Subjects;
use bytes::BytesMut;
use bytestring::ByteString;
use smallvec::SmallVec;

/// Headers that carry a trace (W3C Trace Context), kept from input to outputs whatever a plugin
/// does to the others.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];
/// Through how many pipelines a message may come. Longer ways than a handful are hardly ever meant, and a
/// loop that makes two of one has made 65,536 by then.
const MOST_HOPS: u32 = 16;
/// The greatest number of bytes of the header lines that a commit of a job adds to a message. The server counts them,
/// and ends the connection if a message is too large.
const COMMIT_LINES: usize = 256;
/// Headers by name and value.
type Lines = Vec<(ByteString, ByteString)>;

/// Where the results of a pipeline would go, as far as it decides what they may be.
#[derive(Clone, Debug)]
pub struct Target {
    /// Subjects that results must not have: those of parked messages, and those that the pipeline reads,
    /// unless it may feed itself.
    pub own_source: Vec<SubjectFilter>,
    /// The largest message that may be published, in bytes.
    pub max_payload: usize,
    /// Where dead letters go; `None` when they are off.
    pub dead_letters: Option<String>,
    /// What the inboxes of the connection begin with, and the JetStream API.
    pub inbox_prefix: String,
    pub api_prefix: String,
    /// The pipeline may feed itself.
    pub may_loop: bool,
}

impl Target {
    /// That of a pipeline, at a server that takes messages of this size; those of a job are a little smaller.
    /// `captured` is what the source's stream captures.
    #[must_use]
    pub fn new(settings: &resolved::Pipeline, captured: &[String], max_payload: usize) -> Self {
        let dead_letters = settings.dead_letter.as_ref();
        let added = settings.job.as_ref().map_or(0, |_| COMMIT_LINES);
        Self {
            own_source: own_source(settings, captured),
            max_payload: max_payload.saturating_sub(added),
            dead_letters: dead_letters.map(|dead| dead.subject.clone()),
            inbox_prefix: settings.nats.inbox_prefix.clone(),
            api_prefix: settings.nats.api_prefix.clone(),
            may_loop: settings.sink.allow_own_source,
        }
    }

    /// No server at all: nothing limits what may be published, and nothing feeds it back.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            own_source: Vec::new(),
            max_payload: usize::MAX,
            dead_letters: None,
            inbox_prefix: "_INBOX".to_owned(),
            api_prefix: resolved::API_PREFIX.to_owned(),
            may_loop: true,
        }
    }
}

/// Turns results into messages.
#[derive(Clone, Debug)]
pub struct OutputBuilder {
    /// `<pipeline>~<hash>/<operator>/`; `None` if results carry no message id.
    id_prefix: Option<ByteString>,
    /// Where subjects are rendered: many share one piece of memory.
    subjects: BytesMut,
    template: Template,
    /// Where results would go; its filters are those that the template does not rule out.
    target: Target,
    /// Whether the template does not rule out subjects that belong to others.
    may_stray: bool,
    /// The values of [`DIGEST`]; `None` where there is no host.
    provenance: Option<Provenance>,
    /// Whether results may be of windows, which their headers say.
    has_windows: bool,
    /// The subject for late messages; without it they are dropped.
    late: Option<Box<Self>>,
}

impl OutputBuilder {
    /// Message ids begin with `id_prefix`; without one there are none.
    #[must_use]
    pub fn new(id_prefix: Option<String>, template: Template, target: &Target) -> Self {
        let own_source = target
            .own_source
            .iter()
            .filter(|filter| template.overlaps(filter))
            .cloned()
            .collect();
        let reaches = |subject: &&String| {
            let filter = SubjectFilter::parse(subject);
            filter.is_ok_and(|filter| template.overlaps(&filter))
        };
        let dead_letters = target.dead_letters.as_ref().filter(reaches);
        Self {
            may_stray: may_stray(&template, target),
            id_prefix: id_prefix.map(ByteString::from),
            subjects: BytesMut::new(),
            template,
            target: Target {
                own_source,
                dead_letters: dead_letters.cloned(),
                ..target.clone()
            },
            provenance: None,
            has_windows: false,
            late: None,
        }
    }

    /// The same for a pipeline with windows; `late` is the subject of what comes too late for all of them.
    #[must_use]
    pub fn with_windows(mut self, late: Option<Template>, target: &Target) -> Self {
        let prefix = self.id_prefix.as_ref().map(ToString::to_string);
        let late = late.map(|template| Self::new(prefix, template, target));
        self.has_windows = true;
        self.late = late.map(Box::new);
        self
    }

    /// From now on results are those of these plugins.
    pub fn set_provenance(&mut self, provenance: Provenance) {
        self.provenance = Some(provenance);
    }

    /// The messages for the results of a message of the source.
    ///
    /// # Errors
    /// Why one of them cannot be published, for the dead letter.
    pub fn build(
        &mut self,
        source: Judged<'_>,
        results: SmallVec<[Message; 1]>,
    ) -> Result<SmallVec<[OutgoingMessage; 1]>, String> {
        let Judged {
            message: source,
            source_id,
            ..
        } = source;
        let hops = hops(&source.headers);
        if hops >= MOST_HOPS && !self.target.may_loop {
            return Err(format!(
                "it has come through {hops} pipelines, so results go in circles: see the header `{HOPS}`"
            ));
        }
        let digest = self
            .provenance
            .as_ref()
            .map(|provenance| provenance.of(source));
        let has_windows = self.has_windows;
        let messages = results.into_iter().enumerate().map(|(index, result)| {
            let foreign = result.foreign.as_deref();
            let (prefix, sequence) = (self.id_prefix.clone(), source.sequence);
            let subject = match (result.is_late, &mut self.late) {
                (false, _) => self.subject(&result)?,
                (true, Some(late)) => late.subject(&result)?,
                (true, None) => ByteString::new(),
            };
            let message = OutgoingMessage {
                subject,
                id: prefix.map(|prefix| MessageId::Result {
                    prefix,
                    source_id: source_id.clone(),
                    sequence,
                    index: index as u64,
                }),
                digest: digest.clone(),
                headers: check_headers(source, &result.headers, hops, has_windows)?,
                foreign: foreign.map(kept).unwrap_or_default(),
                payload: result.payload,
                key: result.key,
                is_late: result.is_late,
            };
            let (size, limit) = (message.size(), self.target.max_payload);
            if size > limit {
                return Err(format!(
                    "result of {size} bytes is over the server's limit of {limit}"
                ));
            }
            Ok(message)
        });
        messages.collect()
    }

    /// Where a result goes.
    fn subject(&mut self, result: &Message) -> Result<ByteString, String> {
        let subject = self.template.render_in(result, &mut self.subjects)?;
        self.check(&subject)?;
        Ok(subject)
    }

    /// Whether results may go to a subject.
    fn check(&self, subject: &str) -> Result<(), String> {
        let target = &self.target;
        if self.may_stray {
            self.template.check_free(subject, &target.inbox_prefix)?;
        }
        let mut own = target.own_source.iter();
        let what = if own.any(|filter| filter.matches(subject)) {
            "would feed the pipeline's own source"
        } else if target.dead_letters.as_deref() == Some(subject) {
            "is that of the pipeline's dead letters"
        } else if self.may_stray && is_under(subject, &target.api_prefix) {
            "is one of the jetstream api"
        } else {
            return Ok(());
        };
        Err(format!("subject `{subject}` {what}"))
    }
}

/// Whether a template leaves it open in whose subjects results land: its first token is not literal, or it is
/// one with which subjects of others begin.
fn may_stray(template: &Template, target: &Target) -> bool {
    let reach = template.reach();
    let Some(first) = reach
        .as_ref()
        .and_then(|reach| reach.as_str().split('.').next())
    else {
        return true;
    };
    let begins = |prefix: &str| {
        let token = prefix.split('.').next().unwrap_or_default();
        token.eq_ignore_ascii_case(first)
    };
    let is_open = first.contains(['*', '>']) || check_free(first, &target.inbox_prefix).is_err();
    is_open || begins(&target.inbox_prefix) || begins(&target.api_prefix)
}

/// The lines that are no text, without those that would mean something to the server or to weir.
fn kept(foreign: &Foreign) -> ForeignLines {
    let lines = foreign.lines.iter();
    let means = |line: &&bytes::Bytes| {
        let name = block::name(line);
        let is_ours = begins_with(name, PREFIX) && headers::kept(name).is_none();
        begins_with(name, SERVER_PREFIX) || is_ours
    };
    let lines = lines.filter(|line| !means(line));
    lines.cloned().collect()
}

/// What results must not land on: what is parked, and all that the pipeline reads unless it may feed
/// itself. `captured` is what the source's stream captures.
fn own_source(settings: &resolved::Pipeline, captured: &[String]) -> Vec<SubjectFilter> {
    let source = &settings.source;
    let parked = Subjects::of(&settings.name, &source.stream, &source.consumer);
    let mut own = read_subjects(settings, captured);
    own.extend(SubjectFilter::parse(&parked.all));
    own
}

fn read_subjects(settings: &resolved::Pipeline, captured: &[String]) -> Vec<SubjectFilter> {
    if settings.sink.allow_own_source {
        return Vec::new();
    }
    let sources = settings.sources.iter().map(|named| &named.source);
    let mut read: Vec<SubjectFilter> = Vec::new();
    for source in sources.clone() {
        read.extend(source.subjects.iter().cloned());
    }
    if sources.clone().any(|source| source.subjects.is_empty()) {
        // What a server has as a stream's subjects are filters.
        let captured = captured.iter();
        read.extend(captured.filter_map(|subject| SubjectFilter::parse(subject).ok()));
    }
    read
}

/// The headers of a result as they may leave the host. Headers of the server and of weir are not copied from
/// the input, and are refused from a plugin, except those that `has_windows` allows. The host writes the line
/// [`HOPS`].
fn check_headers(
    source: &Message,
    made: &Headers,
    hops: u32,
    has_windows: bool,
) -> Result<Lines, String> {
    let mut lines = Vec::with_capacity(made.iter().len());
    for line in made.iter() {
        let (name, value) = line;
        let whose = match name {
            _ if headers::is_server_header(name) => Some("the server"),
            _ if has_windows && headers::is_window_header(name) => None,
            _ if headers::is_weir_header(name) => Some("weir"),
            _ => None,
        };
        if let Some(whose) = whose {
            if !source.headers.iter().any(|taken| taken == line) {
                return Err(format!("header `{name}` belongs to {whose}"));
            }
            continue;
        }
        let printable = |byte: u8| (33..=126).contains(&byte) && byte != b':';
        if name.is_empty() || !name.bytes().all(printable) {
            return Err(format!("`{}` is not a header name", name.escape_debug()));
        }
        if value.contains(['\r', '\n']) {
            return Err(format!("the value of header `{name}` has a line break"));
        }
        lines.push(line.clone());
    }
    for name in TRACE {
        if made.get(name).is_none()
            && let Some(value) = source.headers.get(name)
        {
            lines.push((ByteString::from_static(name), ByteString::from(value)));
        }
    }
    if hops > 0 {
        let hops = ByteString::from(hops.saturating_add(1).to_string());
        lines.push((ByteString::from_static(HOPS), hops));
    }
    Ok(lines)
}

/// Through how many pipelines a message has come; 0 for one that no pipeline has made.
pub(super) fn hops(headers: &Headers) -> u32 {
    let first = || headers.get(DIGEST).map_or(0, |_| 1);
    let hops = headers.get(HOPS).and_then(|hops| hops.parse().ok());
    hops.unwrap_or_else(first)
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;
