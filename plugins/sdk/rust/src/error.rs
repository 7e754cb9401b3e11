//! Why a message was not processed, and what is to be done about it.

use crate::{Outcome, Outputs, Retry};
use std::fmt::Display;
use std::time::Duration;

/// Ends the processing of one message without outputs.
///
/// Any `std::error::Error` turns into a rejection through `?`, with its chain of causes as the
/// reason: a message that cannot be read today cannot be read tomorrow. What passes by itself is
/// for [`Error::retry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A passing fault: deliver the message again.
    Retry {
        /// Not before this long; `None` leaves it to the pipeline's backoff.
        after: Option<Duration>,
        /// For whoever reads the log.
        reason: String,
    },
    /// It is never going to work: dead letter, with this reason.
    Reject(String),
}

impl Error {
    /// It is never going to work: dead letter, with this reason.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(reason.into())
    }

    /// A passing fault: deliver the message again, with the pipeline's backoff.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry {
            after: None,
            reason: reason.into(),
        }
    }

    /// A passing fault: deliver the message again, not before `after`.
    pub fn retry_after(after: Duration, reason: impl Into<String>) -> Self {
        Self::Retry {
            after: Some(after),
            reason: reason.into(),
        }
    }
}

// `Error` is not a `std::error::Error` itself: that is what makes this conversion possible.
impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        Self::Reject(reason)
    }
}

/// Turns what is missing or wrong into an [`Error`] with a reason of its own.
///
/// ```
/// # use weir_sdk::{Error, OrFail};
/// fn cents(text: &str) -> Result<i64, Error> {
///     let (whole, cents) = text.split_once('.').or_reject("an amount needs cents")?;
///     let whole: i64 = whole.parse().or_reject(format_args!("no amount: `{text}`"))?;
///     Ok(whole * 100 + cents.parse::<i64>()?)
/// }
/// assert_eq!(cents("12"), Err(Error::reject("an amount needs cents")));
/// ```
pub trait OrFail<T> {
    /// The value, or a dead letter with this reason (and the cause, where there is one).
    fn or_reject(self, reason: impl Display) -> Result<T, Error>;
    /// The value, or another delivery, with this reason (and the cause, where there is one).
    fn or_retry(self, reason: impl Display) -> Result<T, Error>;
}

impl<T> OrFail<T> for Option<T> {
    fn or_reject(self, reason: impl Display) -> Result<T, Error> {
        self.ok_or_else(|| Error::reject(reason.to_string()))
    }

    fn or_retry(self, reason: impl Display) -> Result<T, Error> {
        self.ok_or_else(|| Error::retry(reason.to_string()))
    }
}

impl<T, E: Display> OrFail<T> for Result<T, E> {
    fn or_reject(self, reason: impl Display) -> Result<T, Error> {
        self.map_err(|cause| Error::reject(format!("{reason}: {cause}")))
    }

    fn or_retry(self, reason: impl Display) -> Result<T, Error> {
        self.map_err(|cause| Error::retry(format!("{reason}: {cause}")))
    }
}

impl From<Result<Outputs, Error>> for Outcome {
    fn from(result: Result<Outputs, Error>) -> Self {
        match result {
            Ok(outputs) => Self::Emit(outputs.into_inner()),
            Err(Error::Reject(reason)) => Self::Reject(reason),
            Err(Error::Retry { after, reason }) => Self::Retry(Retry {
                after_ms: after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
                reason,
            }),
        }
    }
}
