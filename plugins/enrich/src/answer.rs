//! What a server's response says of a message.

use crate::url::shown;
use fields::{DEPTH, Node, Pointer, check_depth};
use serde_json::value::RawValue;
use std::rc::Rc;
use std::time::Duration;
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
                ErrorKind::Timeout | ErrorKind::Failed => {
                    Answer::None(Error::retry(format!("`{url}`: {error}")))
                }
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
        check_depth(body).map_err(|_| format!("is nested deeper than {DEPTH} levels"))?;
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

/// The seconds of `Retry-After`. Its other form, a date, is left to the pipeline's backoff.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.header("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
