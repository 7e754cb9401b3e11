//! What is published for one source message, made ready before any of it is sent.
//!
//! Pure. All rules about what may leave the host are here: subjects, header names and values, the
//! server's largest payload, and that a pipeline does not feed itself. A rule that is broken makes
//! the source message a dead letter, with the reason in words.

use crate::config::template::{SubjectFilter, Template};
use crate::headers::{DIGEST, Headers, is_server_header};
use crate::message::Message;
use crate::outgoing::{OutgoingMessage, Publication};
use crate::process::chain::Provenance;
use bytestring::ByteString;
use smallvec::SmallVec;

/// Headers that carry a trace (W3C Trace Context), kept from input to outputs whatever a plugin
/// does to the others.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];
/// Headers by name and value.
type Lines = Vec<(ByteString, ByteString)>;

/// Turns results into messages.
#[derive(Clone, Debug)]
pub struct OutputBuilder {
    /// `<pipeline>/<operator>/`
    id_prefix: String,
    template: Template,
    /// Filters that results must not match; empty if the template alone rules it out.
    own_source: Vec<SubjectFilter>,
    max_payload: usize,
    /// The values of [`DIGEST`]; `None` where there is no host.
    provenance: Option<Provenance>,
}

impl OutputBuilder {
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
            provenance: None,
        }
    }

    /// From now on results are those of these plugins.
    pub fn set_provenance(&mut self, provenance: Provenance) {
        self.provenance = Some(provenance);
    }

    /// The messages for the results of `source`, which came from `source_id`, `<stream>@<incarnation>`.
    ///
    /// # Errors
    /// Why one of them cannot be published, for the dead message.
    pub fn build(
        &self,
        source: &Message,
        source_id: &str,
        results: SmallVec<[Message; 1]>,
    ) -> Result<Publication, String> {
        let digest = self
            .provenance
            .as_ref()
            .map(|provenance| provenance.of(source));
        let messages = results.into_iter().enumerate().map(|(index, result)| {
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
            let message = OutgoingMessage {
                subject,
                id: Some(format!("{prefix}{source_id}/{sequence}/{index}")),
                digest: digest.clone(),
                headers: check_headers(source, &result.headers)?,
                payload: result.payload,
            };
            let (size, limit) = (message.size(), self.max_payload);
            if size > limit {
                return Err(format!(
                    "result of {size} bytes is over the server's limit of {limit}"
                ));
            }
            Ok(message)
        });
        Ok(Publication::Results(messages.collect::<Result<_, _>>()?))
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

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail by panicking"
)]
mod tests;
