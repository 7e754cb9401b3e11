//! Which errors of a request end by themselves: no answer, or one that says that there is no leader yet. Pure.
//!
//! async-nats prints its source in `Display` and returns it from `source()` as well, so only the kind is said.

use crate::report;
use async_nats::error::Error;
use async_nats::jetstream;
use async_nats::jetstream::context::{
    ConsumerInfoErrorKind, CreateStreamErrorKind, GetStreamErrorKind, PublishErrorKind,
    RequestError, RequestErrorKind,
};
use async_nats::jetstream::kv::EntryErrorKind;
use async_nats::jetstream::stream::ConsumerErrorKind;
use std::error::Error as _;
use std::fmt::{self, Debug, Display};

/// Answers of servers that elect a leader, start or catch up (`server/errors.json` of nats-server 2.15). That a server
/// has no JetStream, or no room, is not among them.
const PASSING: [u64; 6] = [
    10008, // JetStream system temporarily unavailable
    10009, // JetStream cluster can not handle request
    10118, // stream is offline
    10119, // consumer is offline
    10194, // stream is offline, with a reason
    10195, // consumer is offline, with a reason
];

/// No server has answered a request.
#[derive(Debug)]
struct Unanswered(String);

impl std::error::Error for Unanswered {}

impl Display for Unanswered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "JetStream does not answer: {}", self.0)
    }
}

/// What the client says of a request that has failed.
pub(super) trait Kind: Clone + Debug + Display + PartialEq {
    /// Whether no answer has come.
    fn is_silence(&self) -> bool;

    /// The answer of the server, if it is an error.
    fn answer(&self) -> Option<&jetstream::Error>;
}

macro_rules! kinds {
    ($($kind:ident: $silence:pat => $($answer:ident)?;)*) => {$(
        impl Kind for $kind {
            fn is_silence(&self) -> bool {
                use $kind::*;
                matches!(self, $silence)
            }

            fn answer(&self) -> Option<&jetstream::Error> {
                match self {
                    $($kind::$answer(error) => Some(error),)?
                                        _ => None,
                }
            }
        }
    )*};
}

kinds! {
    GetStreamErrorKind: Request => JetStream;
    CreateStreamErrorKind: JetStreamUnavailable | TimedOut | Response => JetStream;
    ConsumerErrorKind: Request | TimedOut => JetStream;
    ConsumerInfoErrorKind: Request | TimedOut | NoResponders | Offline => JetStream;
    RequestErrorKind: NoResponders | TimedOut | Other => ;
    PublishErrorKind: StreamNotFound | TimedOut | BrokenPipe => ;
    EntryErrorKind: TimedOut => ;
}

/// A request that has failed, in words, such that [`passes`] knows it.
pub(super) fn failed<K: Kind>(error: &Error<K>) -> anyhow::Error {
    let kind = error.kind();
    if let Some(answer) = kind.answer() {
        return answer.clone().into();
    }
    if !kind.is_silence() {
        return anyhow::anyhow!("{kind}");
    }
    let cause = error.source();
    let cause = cause.and_then(|cause| cause.downcast_ref::<RequestError>());
    let words = match cause.map(Error::kind) {
        Some(RequestErrorKind::NoResponders) => "nobody receives the request".to_owned(),
        Some(kind) => kind.to_string(),
        None => kind.to_string(),
    };
    Unanswered(words).into()
}

/// Whether a request has failed for a reason that ends by itself.
#[must_use]
pub fn passes(error: &anyhow::Error) -> bool {
    let answer = report::find::<jetstream::Error>(error);
    let is_passing = |answer: &jetstream::Error| PASSING.contains(&answer.error_code().0);
    report::find::<Unanswered>(error).is_some() || answer.is_some_and(is_passing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    fn answered(code: u64) -> anyhow::Error {
        let error = serde_json::json!({ "code": 503, "err_code": code, "description": "no" });
        let error: jetstream::Error =
            serde_json::from_value(error).unwrap_or_else(|_| unreachable!());
        let kind = GetStreamErrorKind::JetStream(error);
        failed(&Error::new(kind))
    }

    #[test]
    fn elections_pass_and_a_stream_that_is_not_there_stays_away() {
        for (code, expected) in [(10008, true), (10118, true), (10059, false), (10076, false)] {
            let error = Err::<(), _>(answered(code)).context("cannot read stream `IN`");
            assert_eq!(error.is_err_and(|error| passes(&error)), expected, "{code}");
        }
        let silent = RequestError::new(RequestErrorKind::TimedOut);
        let silent = Error::with_source(GetStreamErrorKind::Request, silent);
        assert!(passes(&failed(&silent)));
        assert_eq!(
            failed(&silent).to_string(),
            "JetStream does not answer: timed out"
        );
        assert!(!passes(&failed(&Error::new(
            GetStreamErrorKind::InvalidStreamName
        ))));
    }
}
