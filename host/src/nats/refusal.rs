//! The meaning of the server's answer to a publish: stored, not now, or never. Pure.
//!
//! A permanent refusal makes a dead letter; a temporary one waits without using attempts. The codes are those
//! of nats-server 2.15 (`server/errors.json`, as far as `server/stream.go` and `server/jetstream_batching.go`
//! answer a publish with them). An unknown code counts as temporary: then a message is late, but not given
//! up.

use serde::Deserialize;

/// The answer to a publish without a stream and without a subscriber.
const NO_RESPONDERS: u16 = 503;
/// The store did not take it, for the reason in the description.
const STORE_FAILED: u64 = 10077;
/// Reasons of [`STORE_FAILED`] that stay: the stream keeps so many messages of a subject and discards new
/// ones (`discard_new_per_subject`), or the message is larger than a stream can hold. A full stream is not
/// among them: it can be emptied.
const STORE_NEVER: [(&str, End); 2] = [
    ("maximum messages per subject exceeded", Permanent),
    ("message to large", Large),
];

/// Whether the same message can be stored later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Permanent,
    /// Permanent; less of it could be stored.
    Large,
    Passing,
}

use End::{Large, Passing, Permanent};

/// Codes and their ends.
const CODES: [(u64, End); 44] = [
    (10002, Passing),   // resource limits exceeded for account
    (10003, Permanent), // bad request
    (10008, Passing),   // JetStream system temporarily unavailable
    (10009, Passing),   // JetStream cluster can not handle request
    (10023, Passing),   // insufficient resources
    (10028, Passing),   // insufficient memory resources available
    (10039, Passing),   // JetStream not enabled for account
    (10047, Passing),   // insufficient storage resources available
    (10054, Large),     // message size exceeds maximum allowed
    (10060, Permanent), // expected stream does not match
    (10063, Passing),   // expected stream sequence does not match: between servers of a cluster
    (10070, Permanent), // wrong last msg ID
    (10071, Permanent), // wrong last sequence
    (10076, Passing),   // JetStream not enabled
    (10097, Large),     // header size exceeds maximum allowed of 64k
    (10109, Permanent), // invalid operation on sealed stream
    (10111, Permanent), // rollup failed: the stream does not allow it
    (10118, Passing),   // stream is offline
    (10158, Passing),   // duplicate message id is in process
    (10163, Passing),   // expected last sequence per subject temporarily unavailable
    (10164, Permanent), // wrong last sequence
    (10165, Permanent), // invalid per-message TTL
    (10166, Permanent), // per-message TTL is disabled
    (10167, Passing),   // too many requests
    (10168, Permanent), // message counters is disabled
    (10169, Permanent), // message counter increment is missing: the stream is one of counters
    (10170, Permanent), // message counter has payload
    (10171, Permanent), // message counter increment is invalid
    (10172, Permanent), // message counter is broken
    (10174, Permanent), // atomic publish is disabled
    (10177, Permanent), // atomic publish unsupported header used
    (10180, Permanent), // min last sequence
    (10185, Permanent), // JetStream minimum api level required
    (10188, Permanent), // message schedules is disabled
    (10189, Permanent), // message schedules pattern is invalid
    (10190, Permanent), // message schedules target is invalid
    (10191, Permanent), // message schedules invalid per-message TTL
    (10192, Permanent), // message schedules invalid rollup
    (10193, Permanent), // missing sequence for expected last sequence per subject
    (10194, Passing),   // stream is offline, with a reason
    (10203, Permanent), // message schedules source is invalid
    (10212, Permanent), // message schedules invalid scheduler
    (10223, Permanent), // message schedules time zone is invalid
    (10227, Permanent), // message stream source header is not allowed
];

/// Why a message is not known to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Not now: no permission, a full stream, an election. Says nothing about the message.
    Unavailable(String),
    /// No publish ack: there was no subscriber, another one answered, or no answer came. The streams of the
    /// server decide whether that is permanent.
    NoAck { subject: String, reason: String },
    /// The stream will never take this message.
    Refused(String),
    /// The same, because of its size.
    TooLarge(String),
    /// It went out in a batch that ended before it. Says nothing about the message.
    OutOfBatch,
}

impl Failure {
    /// Why, in words.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Unavailable(reason)
            | Self::NoAck { reason, .. }
            | Self::Refused(reason)
            | Self::TooLarge(reason) => reason,
            Self::OutOfBatch => "the batch of messages ended before it",
        }
    }

    /// What to do about it, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoAck { subject, .. } => Some(format!(
                "create a stream that captures `{subject}`, or start weir with `--create`"
            )),
            Self::Unavailable(reason) if reason.contains("Permissions Violation") => {
                Some("allow this user to publish there".to_owned())
            }
            Self::Unavailable(_) | Self::Refused(_) | Self::TooLarge(_) | Self::OutOfBatch => None,
        }
    }
}

/// Whether the message was stored, and whether it had been before: from the status and the payload of the
/// answer to its publish.
///
/// # Errors
/// Why it is not known to be stored.
pub fn judge(status: Option<u16>, payload: &[u8], subject: &str) -> Result<bool, Failure> {
    #[derive(Deserialize)]
    struct Ack {
        seq: Option<u64>,
        #[serde(default)]
        duplicate: bool,
        error: Option<ApiError>,
    }
    let no_ack = |reason| Failure::NoAck {
        subject: subject.to_owned(),
        reason,
    };
    if status == Some(NO_RESPONDERS) {
        return Err(no_ack(format!("no stream captures `{subject}`")));
    }
    match serde_json::from_slice::<Ack>(payload) {
        Ok(Ack {
            error: Some(error), ..
        }) => Err(error.failure(subject)),
        Ok(Ack {
            seq: Some(_),
            duplicate,
            ..
        }) => Ok(duplicate),
        _ => Err(no_ack(format!(
            "the responder on `{subject}` is not jetstream"
        ))),
    }
}

/// Why a stream does not store a message, in the server's words.
#[derive(Deserialize)]
pub struct ApiError {
    #[serde(default)]
    pub err_code: u64,
    #[serde(default)]
    description: String,
}

impl ApiError {
    /// What it means for a message on `subject`.
    #[must_use]
    pub fn failure(&self, subject: &str) -> Failure {
        let why = &self.description;
        let refuses = format!("the stream of `{subject}` refuses it: {why}");
        match self.end() {
            Permanent => Failure::Refused(refuses),
            Large => Failure::TooLarge(refuses),
            Passing => {
                let reason = format!("the stream of `{subject}` did not store it: {why}");
                Failure::Unavailable(reason)
            }
        }
    }

    fn end(&self) -> End {
        if self.err_code == STORE_FAILED {
            let mut known = STORE_NEVER.iter();
            let known = known.find(|(why, _)| *why == self.description);
            return known.map_or(Passing, |(_, end)| *end);
        }
        let known = CODES.iter().find(|(code, _)| *code == self.err_code);
        known.map_or(Passing, |(_, end)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u64, description: &str) -> Result<bool, Failure> {
        let error =
            serde_json::json!({ "code": 400, "err_code": code, "description": description });
        let answer = serde_json::json!({ "error": error, "stream": "OUT", "seq": 0 });
        judge(None, answer.to_string().as_bytes(), "out.a")
    }

    #[test]
    fn every_code_has_one_end_and_one_that_is_not_known_is_passing() {
        assert!(CODES.is_sorted_by_key(|(code, _)| *code));
        for (code, end) in CODES {
            let found = match refused(code, "no") {
                Err(Failure::Refused(_)) => Permanent,
                Err(Failure::TooLarge(_)) => Large,
                _ => Passing,
            };
            assert_eq!(found, end, "{code}");
        }
        assert!(matches!(refused(99999, "no"), Err(Failure::Unavailable(_))));
    }

    #[test]
    fn a_store_that_is_full_can_be_emptied_and_a_subject_that_is_taken_cannot() {
        for (why, end) in [
            ("maximum messages exceeded", Passing),
            ("maximum bytes exceeded", Passing),
            ("maximum messages per subject exceeded", Permanent),
            ("message to large", Large),
            ("no space left on device", Passing),
        ] {
            let error = ApiError {
                err_code: STORE_FAILED,
                description: why.to_owned(),
            };
            assert_eq!(error.end(), end, "{why}");
        }
    }

    #[test]
    fn only_a_publish_ack_says_that_a_message_is_stored() {
        let judge = |payload: &[u8]| judge(None, payload, "out.a");
        assert_eq!(judge(br#"{"stream":"OUT","seq":7}"#), Ok(false));
        assert_eq!(
            judge(br#"{"stream":"OUT","seq":7,"duplicate":true}"#),
            Ok(true)
        );
        for other in [&b""[..], b"ok", b"{}", br#"{"seq":null}"#, b"\xff"] {
            assert!(
                matches!(judge(other), Err(Failure::NoAck { .. })),
                "{other:?}"
            );
        }
        let nobody = super::judge(Some(NO_RESPONDERS), b"", "out.a");
        assert!(matches!(nobody, Err(Failure::NoAck { .. })));
    }
}
