//! What a server's response says of a message.

use crate::url::shown;
use fields::{DEPTH, Node, Pointer, check_depth};
use httpdate::parse_http_date;
use serde_json::value::RawValue;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use weir_sdk::Error;
use weir_sdk::http::{self, ErrorKind, Response};

#[derive(Clone, Debug)]
pub enum Answer {
    /// The value.
    Found(Rc<RawValue>),
    /// The server has none, and in which way it said so.
    Missing(String),
    /// A response that another attempt would get again, and why it is of no use.
    Unusable(String),
    /// No response. A retry, or a rejection of what the operator is not granted.
    None(Error),
}

pub struct Reader {
    /// The part of a response that is the value; without it all.
    pub pick: Option<Pointer>,
    /// How long a response is waited for, as it is configured.
    pub timeout: String,
}

impl Reader {
    pub fn read(&self, url: &str, response: Result<Response, http::Error>) -> Answer {
        let url = shown(url);
        match response {
            Ok(response) => match response.status {
                204 | 404 | 410 => {
                    Answer::Missing(format!("`{url}` has the status {}", response.status))
                }
                200..300 => self.value(url, &response.body),
                408 | 425 | 429 | 500..600 => Answer::None(Error::Retry {
                    after: retry_after(&response),
                    reason: format!("`{url}` has the status {}", response.status),
                }),
                status => Answer::Unusable(format!("`{url}` has the status {status}")),
            },
            Err(error) => match error.kind {
                ErrorKind::TooLarge => Answer::Unusable(format!("`{url}`: {error}")),
                ErrorKind::Denied => Answer::None(Error::reject(error.reason)),
                ErrorKind::Timeout => Answer::None(Error::retry(format!(
                    "`{url}`: {error}; `timeout` is {}",
                    self.timeout
                ))),
                ErrorKind::Failed => Answer::None(Error::retry(format!("`{url}`: {error}"))),
            },
        }
    }

    fn value(&self, url: &str, body: &[u8]) -> Answer {
        match self.picked(body) {
            Ok(Some(value)) => Answer::Found(value.into()),
            Ok(None) => {
                let pick = self.pick.iter().map(Pointer::to_string).collect::<String>();
                Answer::Missing(format!("the answer of `{url}` has no field {pick}"))
            }
            Err(error) => Answer::Unusable(format!("the answer of `{url}` {error}")),
        }
    }

    fn picked(&self, body: &[u8]) -> Result<Option<Box<RawValue>>, String> {
        let not_json = |error| format!("is not JSON: {error}");
        check_depth(body).map_err(|_| format!("has more than {DEPTH} levels of nesting"))?;
        let all: &RawValue = serde_json::from_slice(body).map_err(not_json)?;
        let Some(pick) = &self.pick else {
            return Ok(Some(all.to_owned()));
        };
        let mut node = Node::Raw(all);
        let Some(picked) = node.get(pick)? else {
            return Ok(None);
        };
        serde_json::from_slice(&picked.to_json()).map_err(not_json)
    }
}

/// How long `Retry-After` says to wait: seconds, or until a date, which is compared with the clock of the server, and of
/// the host if the response does not have it.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.header("retry-after")?.trim();
    let seconds = text.parse().map(Duration::from_secs).ok();
    seconds.or_else(|| {
        let until = parse_http_date(text).ok()?;
        let date = response.header("date");
        let now = date.and_then(|date| parse_http_date(date.trim()).ok());
        let wait = until.duration_since(now.unwrap_or_else(SystemTime::now));
        Some(wait.unwrap_or(Duration::ZERO))
    })
}
