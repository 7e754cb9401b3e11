//! Step 5, for a stream that accepts publishes in batches: which results form a batch, and what the server's
//! answers mean. Pure.
//!
//! A batch is a *burst*: the results that a lane publishes at once. It begins with the first result and ends
//! with the last. So the server answers at once at any rate, and no batch is open between two bursts. Small
//! bursts are published one by one, with the same cost and delay as without batches.
//!
//! The protocol is that of ADR-50 of NATS (*fast ingest*) and of `processJetStreamFastBatchMsg` in
//! nats-server 2.15's `stream.go`. With the gap mode `fail`, everything up to the number in an answer is
//! stored, in order, and the first missing or refused message ends the batch. Messages after it are published
//! again, one by one. `docs/adr/0022-fast-ingest-by-bursts.md` has the reasons.

use crate::delivery::publish_window::Window;
use crate::nats::refusal::{ApiError, Failure, judge};
use serde::Deserialize;
use std::collections::VecDeque;
use std::fmt::{self, Display};
use std::time::{Duration, Instant};

/// So many results, or inputs with results, make a batch. The server answers a batch twice and keeps a timer for
/// it, so a smaller one gains little; and at a low rate everything stays as it is without batches.
pub const LEAST: usize = 16;
/// After how many messages of a batch the server says how far it has come. The server lowers it to 500 divided
/// by the open batches of the stream.
const FLOW: u64 = 256;
/// How long nothing goes out in batches after the server did not take one: at first, and at most.
const REST: Duration = Duration::from_secs(10);
const LONGEST_REST: Duration = Duration::from_secs(600);

/// The part of a message in its batch (`FastBatchOp...` in `stream.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    First = 0,
    Next = 1,
    /// The last one. It is stored as well.
    Last = 2,
    /// Ends the batch and is not stored.
    End = 3,
}

/// A message of a burst, as its reply subject says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number in the window of the first message of its burst.
    pub first: u64,
    /// Its own, from 1.
    pub number: u64,
}

impl Place {
    /// Writes the end of its reply subject. `sink` is a name that no other sink has: a stream tells batches
    /// apart by the first token alone.
    pub fn write(self, sink: &str, part: Part, into: &mut Vec<u8>) {
        let mut digits = itoa::Buffer::new();
        let numbers = [
            ("-", self.first),
            (".", FLOW),
            (".fail.", self.number),
            (".", part as u64),
        ];
        into.extend_from_slice(sink.as_bytes());
        for (before, number) in numbers {
            into.extend_from_slice(before.as_bytes());
            into.extend_from_slice(digits.format(number).as_bytes());
        }
        into.extend_from_slice(b".$FI");
    }

    /// From what [`Place::write`] has written.
    #[must_use]
    pub fn read(reply: &str) -> Option<Self> {
        let mut tokens = reply.split('.');
        let (_, first) = tokens.next()?.rsplit_once('-')?;
        let number = tokens.nth(2)?;
        Some(Self {
            first: first.parse().ok()?,
            number: number.parse().ok()?,
        })
    }
}

/// Why a batch did not go as it should, though none of its messages was to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The stream does not take batches any more.
    Disabled,
    /// The server knows nothing of batches, or somebody else takes the messages.
    Unsupported,
    /// The stream or its server has as many open batches as it takes.
    Limit,
    /// The server has dropped the batch, or messages of it went elsewhere.
    Broken,
}

impl Trouble {
    /// As in the label of the metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Unsupported => "unsupported",
            Self::Limit => "limit",
            Self::Broken => "broken",
        }
    }
}

impl Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Disabled => "the stream does not allow batches any more (`allow_batched`)",
            Self::Unsupported => "the server that has the stream does not know batches",
            Self::Limit => "the stream or its server has too many open batches",
            Self::Broken => "the server ended a batch before its last message",
        })
    }
}

/// What one answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// All of the batch up to this number is stored.
    UpTo(u64),
    /// The same, and nothing behind it is or will be.
    End(u64),
    /// The batch is not there, and this message is not stored.
    NoBatch(Trouble),
    /// This message alone is stored, and perhaps was before: no batch is known here.
    Alone(bool),
    /// This message is not stored, for a reason of its own.
    Refused(Failure),
    /// Nothing that another answer does not say as well.
    Nothing,
}

impl Said {
    /// From the status and the payload of an answer to a message of a batch on `subject`.
    #[must_use]
    pub fn of(status: Option<u16>, payload: &[u8], subject: &str) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Answer {
            #[serde(rename = "type")]
            kind: Option<String>,
            seq: Option<u64>,
            batch: Option<String>,
            count: Option<u64>,
            error: Option<ApiError>,
        }
        let answer: Answer = serde_json::from_slice(payload).unwrap_or_default();
        let Answer {
            kind,
            seq,
            batch,
            count,
            error,
        } = answer;
        match (kind.as_deref(), error) {
            (Some("ack"), None) => seq.map_or(Self::Nothing, Self::UpTo),
            (Some("err"), Some(error)) => Self::Refused(error.failure(subject)),
            (Some(_), _) => Self::Nothing,
            (None, Some(error)) => match error.err_code {
                10205 => Self::NoBatch(Trouble::Disabled),
                // The pattern of the reply subject, the name of the batch.
                10206 | 10207 => Self::NoBatch(Trouble::Unsupported),
                10208 => Self::NoBatch(Trouble::Broken),
                10211 => Self::NoBatch(Trouble::Limit),
                _ => Self::Refused(error.failure(subject)),
            },
            (None, None) => match (batch.and(count), judge(status, payload, subject)) {
                (Some(count), _) => Self::End(count),
                (None, Ok(duplicate)) => Self::Alone(duplicate),
                (None, Err(failure)) => Self::Refused(failure),
            },
        }
    }
}

/// Results that went out as one batch.
#[derive(Debug)]
struct Burst {
    /// The number in the window of its first message; the others follow.
    first: u64,
    messages: u64,
    /// One of its messages failed for a reason of its own, which ends the batch at the server.
    excused: bool,
    /// The server was told that it ends, beyond its last message.
    ended: bool,
}

/// The bursts of one sink of which the server has not said all.
#[derive(Debug, Default)]
pub struct Bursts {
    sent: VecDeque<Burst>,
    /// Whether the last of them goes on.
    open: bool,
}

impl Bursts {
    /// The message with this number in the window is written as one of the present burst, and perhaps the
    /// last. `None` if it is alone in it: then it is no message of a batch.
    pub fn write(&mut self, number: u64, last: bool) -> Option<(Place, Part)> {
        let goes_on = std::mem::replace(&mut self.open, !last);
        if !goes_on {
            if last {
                return None;
            }
            self.sent.push_back(Burst {
                first: number,
                messages: 0,
                excused: false,
                ended: false,
            });
        }
        let burst = self.sent.back_mut()?;
        burst.messages += 1;
        let place = Place {
            first: burst.first,
            number: burst.messages,
        };
        let part = match (goes_on, last) {
            (false, _) => Part::First,
            (true, false) => Part::Next,
            (true, true) => Part::Last,
        };
        Some((place, part))
    }

    /// What an answer means for the messages that wait: for each that it settles, its entry, and whether it was
    /// stored before or why it is not. What went wrong, if no message is to blame.
    pub fn hear<T>(
        &mut self,
        window: &mut Window<T>,
        place: Place,
        said: Said,
        mut each: impl FnMut(T, Result<bool, Failure>),
    ) -> Option<Trouble> {
        let found = self
            .sent
            .iter()
            .position(|burst| burst.first == place.first)?;
        let burst = self.sent.get_mut(found)?;
        let first = burst.first;
        let mut stored = |number: u64| {
            let end = first + number.min(burst.messages);
            let numbers = first..end;
            numbers.for_each(|number| {
                if let Some(entry) = window.remove(number) {
                    each(entry, Ok(false));
                }
            });
        };
        let trouble = match said {
            Said::Nothing => return None,
            Said::UpTo(number) => {
                stored(number);
                return None;
            }
            Said::Alone(duplicate) => {
                let known = std::mem::replace(&mut burst.excused, true);
                // This server would store what says that a batch ends.
                burst.ended = true;
                if let Some(entry) = window.remove(first + place.number.saturating_sub(1)) {
                    each(entry, Ok(duplicate));
                }
                return (!known).then_some(Trouble::Unsupported);
            }
            Said::Refused(failure) => {
                burst.excused = true;
                if let Some(entry) = window.remove(first + place.number.saturating_sub(1)) {
                    each(entry, Err(failure));
                }
                return None;
            }
            Said::End(number) => {
                stored(number);
                (number < burst.messages && !burst.excused).then_some(Trouble::Broken)
            }
            Said::NoBatch(Trouble::Broken) if burst.excused => None,
            Said::NoBatch(trouble) => Some(trouble),
        };
        // The batch is over, and what is left of it is not in it.
        for number in first..first + burst.messages {
            if let Some(entry) = window.remove(number) {
                each(entry, Err(Failure::OutOfBatch));
            }
        }
        self.sent.remove(found);
        trouble
    }

    /// A message was given up, whatever the server may still say of it.
    pub fn gave_up(&mut self, number: u64) {
        let mut bursts = self.sent.iter_mut();
        if let Some(burst) = bursts.find(|burst| burst.holds(number)) {
            burst.excused = true;
        }
    }

    /// A burst whose last message has failed while others of it wait: the server must be told that it has
    /// ended. Returns the subject for that, and the number in the window of a waiting message.
    pub fn unended<T>(&mut self, window: &Window<T>) -> Option<(Place, u64)> {
        while let Some(burst) = self.sent.front()
            && !(self.open && self.sent.len() == 1)
            && burst.first + burst.messages <= window.first()
        {
            self.sent.pop_front();
        }
        let closed = self.sent.len() - usize::from(self.open);
        for burst in self.sent.iter_mut().take(closed) {
            let (first, end) = (burst.first, burst.first + burst.messages);
            if burst.ended || !burst.excused || window.get(end - 1).is_some() {
                continue;
            }
            if let Some(waits) = (first..end)
                .rev()
                .find(|number| window.get(*number).is_some())
            {
                burst.ended = true;
                let number = burst.messages;
                return Some((Place { first, number }, waits));
            }
        }
        None
    }
}

impl Burst {
    fn holds(&self, number: u64) -> bool {
        (self.first..self.first + self.messages).contains(&number)
    }
}

/// Whether a sink publishes in batches at present.
#[derive(Debug)]
pub struct Ingest {
    /// Whether the stream of the sink took batches when it was looked up.
    has_it: bool,
    /// Until when nothing goes out in batches.
    rests: Option<Instant>,
    rest: Duration,
}

impl Ingest {
    #[must_use]
    pub fn new(has_it: bool) -> Self {
        Self {
            has_it,
            rests: None,
            rest: REST,
        }
    }

    /// Whether a burst may begin.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.has_it && self.rests.is_none_or(|until| Instant::now() >= until)
    }

    /// The server did not take a batch. Whether it took one before: then this is news.
    pub fn fails(&mut self) -> bool {
        let is_news = self.rest == REST;
        if self.is_on() {
            self.rests = Instant::now().checked_add(self.rest);
            self.rest = (self.rest * 2).min(LONGEST_REST);
        }
        is_news
    }

    /// The server took a batch to its end.
    pub fn works(&mut self) {
        self.rest = REST;
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;
