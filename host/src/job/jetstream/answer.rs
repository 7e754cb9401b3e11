//! The server's answers to a commit or a request, and their meaning for a log.
//!
//! The codes are those of nats-server 2.15 (`server/errors.json`, as far as `stream.go` and
//! `jetstream_batching.go` answer a batch with them). An unknown code ends the job, because its meaning for a
//! commit is unknown.

use crate::job::log::{Fence, LogError};
use crate::nats::wire::{Message, Parts, Subscription, Wire};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// The answer to a message without a receiver.
const NO_RESPONDERS: u16 = 503;

/// The answer to a question for a message that is not there.
const NO_MESSAGE: u64 = 10037;

/// An error of the API.
#[derive(Debug, Deserialize)]
pub(super) struct ApiError {
    #[serde(default)]
    pub err_code: u64,
    #[serde(default)]
    description: String,
}

impl From<ApiError> for LogError {
    fn from(error: ApiError) -> Self {
        let ApiError {
            err_code,
            description,
        } = error;
        let why = format!("the server says: {description} ({err_code})");
        match err_code {
            // wrong last sequence
            10071 => Self::WrongFence,
            // An election, a restart, or too much at once. 10176, the batch is incomplete: the server has
            // been restarted since it began, or has another leader, or has waited too long; it is gone.
            // 10164 and 10163: the subject is just being written to.
            10008 | 10009 | 10118 | 10163 | 10164 | 10167 | 10176 | 10194 | 10210 => {
                Self::Busy(why)
            }
            // Out of memory, of storage, or beyond what the account or the stream may have.
            10002 | 10023 | 10028 | 10047 => Self::Full(why),
            10077 if description.starts_with("maximum ") => Self::Full(why),
            // The store failed, perhaps in the middle: what is stored of a batch is completed at the
            // server's next start.
            10077 => Self::Ambiguous(why),
            // A message, its headers, or the batch.
            10054 | 10097 | 10199 => Self::TooLarge(why),
            _ => Self::Permanent(why),
        }
    }
}

/// Where the checkpoint of a batch stands, from the answer to the batch's last message. None for the empty
/// answer to another message of it.
pub(super) fn stored(batch: &str, payload: &[u8]) -> Result<Option<Fence>, LogError> {
    #[derive(Deserialize)]
    struct Ack {
        seq: Option<u64>,
        batch: Option<String>,
        error: Option<ApiError>,
    }
    if payload.is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(payload) {
        Ok(Ack {
            error: Some(error), ..
        }) => Err(error.into()),
        Ok(Ack {
            seq: Some(sequence),
            batch: Some(acknowledged),
            ..
        }) if acknowledged == batch => Ok(Some(Fence(sequence))),
        Ok(Ack { seq: Some(_), .. }) => Err(LogError::Permanent(
            "the server stores the messages of a batch one by one".to_owned(),
        )),
        _ => Err(LogError::Ambiguous(
            "the answer is not a jetstream answer".to_owned(),
        )),
    }
}

/// Asks the server, and waits for what it answers.
///
/// # Errors
/// As those of [`wait`].
pub(super) async fn ask(
    wire: &Wire,
    subject: &str,
    question: &serde_json::Value,
    patience: Duration,
) -> Result<Bytes, LogError> {
    let inbox = wire.new_inbox();
    let mut answers = wire.subscribe_once(&inbox);
    let sent = wire.publish(&Parts {
        subject: subject.as_bytes(),
        reply: inbox.as_bytes(),
        payload: question.to_string().as_bytes(),
        ..Parts::default()
    });
    sent.map_err(|_| LogError::Permanent(format!("`{subject}` is not a valid subject")))?;
    Ok(wait(wire, &mut answers, patience).await?.payload)
}

/// A message as the server has it: its payload is base64.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub seq: u64,
    #[serde(default)]
    pub data: String,
}

/// The last message of a stream on a subject, or on one that matches it; none if there is none. `api` is where the leader
/// of the stream is asked for a message.
///
/// # Errors
/// As those of [`wait`], and what the server says.
pub(super) async fn last(
    wire: &Wire,
    api: &str,
    subject: &str,
    patience: Duration,
) -> Result<Option<Found>, LogError> {
    #[derive(Deserialize)]
    struct Answer {
        message: Option<Found>,
        error: Option<ApiError>,
    }
    let question = json!({ "last_by_subj": subject });
    let answered = ask(wire, api, &question, patience).await?;
    let answered: Answer = serde_json::from_slice(&answered)
        .map_err(|_| LogError::Ambiguous("the answer is not a jetstream answer".to_owned()))?;
    match (answered.message, answered.error) {
        (Some(found), _) => Ok(Some(found)),
        (None, Some(error)) if error.err_code == NO_MESSAGE => Ok(None),
        (None, Some(error)) => Err(error.into()),
        (None, None) => Err(LogError::Ambiguous("there is no answer in it".to_owned())),
    }
}

/// Waits for an answer.
///
/// # Errors
/// Ambiguous if none comes, or the connection is lost meanwhile.
pub(super) async fn wait(
    wire: &Wire,
    answers: &mut Subscription,
    patience: Duration,
) -> Result<Message, LogError> {
    let none = |why: &str| LogError::Ambiguous(why.to_owned());
    let answer = tokio::select! {
        biased;
        answer = answers.next() => answer.ok_or_else(|| none("the connection is closed"))?,
        () = wire.health.down() => return Err(none("the connection was lost")),
        () = tokio::time::sleep(patience) => return Err(none("the server did not answer")),
    };
    match answer.status() {
        Some((NO_RESPONDERS, _)) => Err(none("no stream answers")),
        _ => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(err_code: u64, description: &str) -> Option<LogError> {
        let error =
            serde_json::json!({ "code": 400, "err_code": err_code, "description": description });
        let answer = serde_json::json!({ "error": error, "stream": "J", "seq": 0 });
        stored("b", answer.to_string().as_bytes()).err()
    }

    #[test]
    fn every_code_that_a_batch_is_answered_with_has_its_meaning() {
        assert_eq!(
            error(10071, "wrong last sequence: 7"),
            Some(LogError::WrongFence)
        );
        for busy in [
            10008, 10009, 10118, 10163, 10164, 10167, 10176, 10194, 10210,
        ] {
            assert!(
                matches!(error(busy, "x"), Some(LogError::Busy(_))),
                "{busy}"
            );
        }
        for full in [10002, 10023, 10028, 10047] {
            assert!(
                matches!(error(full, "x"), Some(LogError::Full(_))),
                "{full}"
            );
        }
        for large in [10054, 10097, 10199] {
            assert!(
                matches!(error(large, "x"), Some(LogError::TooLarge(_))),
                "{large}"
            );
        }
        // Among them: disabled, no such stream, an id that is taken, a header that no batch may have.
        for permanent in [
            10059, 10060, 10109, 10111, 10158, 10174, 10175, 10177, 10179, 10201, 99999,
        ] {
            assert!(
                matches!(error(permanent, "x"), Some(LogError::Permanent(_))),
                "{permanent}"
            );
        }
        let full = error(10077, "maximum bytes exceeded");
        assert!(matches!(full, Some(LogError::Full(_))));
        let failed = error(10077, "no space left on device");
        assert!(matches!(failed, Some(LogError::Ambiguous(_))));
    }

    #[test]
    fn only_the_ack_of_the_batch_says_that_it_is_stored() {
        let ack = br#"{"stream":"J","seq":9,"batch":"b","count":3}"#;
        assert_eq!(stored("b", ack), Ok(Some(Fence(9))));
        assert_eq!(stored("b", b""), Ok(None));
        let single = br#"{"stream":"J","seq":9}"#;
        assert!(matches!(stored("b", single), Err(LogError::Permanent(_))));
        for other in [&b"{}"[..], b"ok", b"\xff"] {
            assert!(matches!(stored("b", other), Err(LogError::Ambiguous(_))));
        }
    }
}
