//! What is published for one source message, made ready before any of it is sent.
//!
//! Pure. All rules about what may leave the host are here: subjects, header names and values, the
//! server's largest payload, and that a pipeline does not feed itself. A rule that is broken makes
//! the source message a dead letter, with the reason in words.

use super::message::{Few, Headers, Message};
use super::operator::Marks;
use crate::config::template::{SubjectFilter, Template};
use bytes::Bytes;
use bytestring::ByteString;
use std::time::Instant;

/// Headers that carry a trace (W3C Trace Context), kept from input to outputs whatever a plugin
/// does to the others.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];
/// Headers of this prefix command the server: a message id, a rollup, a time to live.
const SERVER_PREFIX: &str = "nats-";
/// The header by which the server drops repeats.
pub const MESSAGE_ID: &str = "Nats-Msg-Id";
/// The header that says which plugins a result comes from: the beginnings of their digests, in the
/// order of the chain, with commas between them. The input is in the message id.
pub const DIGEST: &str = "Weir-Digest";
/// `NATS/1.0` with its line ends, and the empty line behind the headers.
const HEADER_FRAME: usize = 12;

/// Headers by name and value.
type Lines = Vec<(ByteString, ByteString)>;

/// One message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub subject: ByteString,
    /// By which the server drops repeats: the header [`MESSAGE_ID`].
    pub id: Option<String>,
    /// The plugins that it comes from: the header [`DIGEST`]. Shared by all letters of a chain.
    pub digest: Option<ByteString>,
    /// All others.
    pub headers: Vec<(ByteString, ByteString)>,
    pub payload: Bytes,
}

impl Letter {
    /// Bytes that count against the server's `max_payload`: headers and payload.
    #[must_use]
    pub fn size(&self) -> usize {
        let lines = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4);
        let id = self.id.as_ref();
        let id = id.map_or(0, |id| MESSAGE_ID.len() + id.len() + 4);
        let digest = self.digest.as_ref();
        let digest = digest.map_or(0, |digest| DIGEST.len() + digest.len() + 4);
        self.payload.len() + HEADER_FRAME + id + digest + lines.sum::<usize>()
    }
}

/// Everything that is published for one source message, and what its acks then mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parcel {
    /// Results; none if the plugins dropped it. The input is acked.
    Results(Few<Letter>),
    /// A dead letter, in parts if it is too large for one message; none if dead letters are off.
    /// The input is termed, with the reason.
    DeadLetter(Few<Letter>, String),
    /// The input itself, for the parking stream. The input is acked; if the server does not take it,
    /// it is delivered again, not before the time at which it would have come back.
    Parked(Few<Letter>, Instant),
}

impl Parcel {
    /// What to publish, in order.
    #[must_use]
    pub fn letters(&self) -> &[Letter] {
        match self {
            Parcel::Results(letters)
            | Parcel::DeadLetter(letters, _)
            | Parcel::Parked(letters, _) => letters,
        }
    }

    /// The letters, to be sent. What remains says what their acks mean.
    pub fn take_letters(&mut self) -> Few<Letter> {
        match self {
            Parcel::Results(letters)
            | Parcel::DeadLetter(letters, _)
            | Parcel::Parked(letters, _) => std::mem::take(letters),
        }
    }
}

/// Turns results into letters.
#[derive(Clone, Debug)]
pub struct Wrapper {
    /// `<pipeline>/<operator>/`
    id_prefix: String,
    template: Template,
    /// Filters that results must not match; empty if the template alone rules it out.
    own_source: Vec<SubjectFilter>,
    max_payload: usize,
    /// The values of [`DIGEST`]; `None` where there is no host.
    marks: Option<Marks>,
}

impl Wrapper {
    /// `own_source` are the filters of the pipeline's source if its sink's stream is the same.
    #[must_use]
    pub fn new(
        id_prefix: String,
        template: Template,
        own_source: &[SubjectFilter],
        max_payload: usize,
    ) -> Self {
        let own_source = own_source
            .iter()
            .filter(|filter| template.overlaps(filter))
            .cloned()
            .collect();
        Self {
            id_prefix,
            template,
            own_source,
            max_payload,
            marks: None,
        }
    }

    /// From now on results are those of these plugins.
    pub fn mark(&mut self, marks: Marks) {
        self.marks = Some(marks);
    }

    /// The letters for the results of `source`, which came from `place`, `<stream>@<incarnation>`.
    ///
    /// # Errors
    /// Why one of them cannot be published, for the dead letter.
    pub fn wrap(
        &self,
        source: &Message,
        place: &str,
        results: Few<Message>,
    ) -> Result<Parcel, String> {
        let digest = self.marks.as_ref().map(|marks| marks.of(source));
        let letters = results.into_iter().enumerate().map(|(index, result)| {
            let subject = self.template.render(&result)?;
            if self
                .own_source
                .iter()
                .any(|filter| filter.matches(&subject))
            {
                return Err(format!(
                    "subject `{subject}` would feed the pipeline's own source"
                ));
            }
            let (prefix, sequence) = (&self.id_prefix, source.sequence);
            let letter = Letter {
                subject,
                id: Some(format!("{prefix}{place}/{sequence}/{index}")),
                digest: digest.clone(),
                headers: check_headers(source, &result.headers)?,
                payload: result.payload,
            };
            let (size, limit) = (letter.size(), self.max_payload);
            if size > limit {
                return Err(format!(
                    "result of {size} bytes is over the server's limit of {limit}"
                ));
            }
            Ok(letter)
        });
        Ok(Parcel::Results(letters.collect::<Result<_, _>>()?))
    }
}

/// The headers of a result as they may leave the host. Those of the server are not taken over from
/// the input, and one that a plugin made up is refused. The line [`DIGEST`] is the host's to write.
fn check_headers(source: &Message, headers: &Headers) -> Result<Lines, String> {
    let mut lines = Vec::with_capacity(headers.iter().len());
    for line in headers.iter() {
        let (name, value) = line;
        if is_server_header(name) {
            if !source.headers.iter().any(|taken| taken == line) {
                return Err(format!("header `{name}` belongs to the server"));
            }
            continue;
        }
        if name.eq_ignore_ascii_case(DIGEST) {
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
        if headers.get(name).is_none()
            && let Some(value) = source.headers.get(name)
        {
            lines.push((ByteString::from_static(name), ByteString::from(value)));
        }
    }
    Ok(lines)
}

/// Whether a header commands the server.
#[must_use]
pub fn is_server_header(name: &str) -> bool {
    name.get(..SERVER_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(SERVER_PREFIX))
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail by panicking"
)]
mod tests;
