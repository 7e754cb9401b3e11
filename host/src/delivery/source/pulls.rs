//! The pull requests of a lane in progress, and how many messages they still expect.
//!
//! Pure. A delivery does not name its request, and the server serves several requests in turn. So only the
//! sum is counted, and the server reports the rest of a request when it ends one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Messages and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// Requests that may still bring something.
pub(super) struct Pulls {
    /// Oldest first. One that was served in full stays until nothing is to come, or it is too old.
    open: VecDeque<Pull>,
    to_come: Amount,
    /// The server has ended a request after this long.
    longest: Duration,
}

/// One request.
struct Pull {
    /// Where the server answers it.
    subject: String,
    asked: Amount,
    since: Instant,
}

impl Pulls {
    /// None yet. No request is under way for longer than `longest`.
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            open: VecDeque::new(),
            to_come: Amount::default(),
            longest,
        }
    }

    /// A request has been sent.
    pub(super) fn push(&mut self, subject: String, asked: Amount, since: Instant) {
        let old = |pull: &Pull| since.saturating_duration_since(pull.since) > self.longest;
        while self.open.front().is_some_and(old) {
            self.open.pop_front();
        }
        if self.open.is_empty() {
            self.to_come = Amount::default();
        }
        self.to_come.messages += asked.messages;
        self.to_come.bytes += asked.bytes;
        self.open.push_back(Pull {
            subject,
            asked,
            since,
        });
    }

    /// A message has come, with this many bytes.
    pub(super) fn arrived(&mut self, bytes: usize) {
        self.subtract(Amount { messages: 1, bytes });
    }

    /// The server has ended a request, of which this much was left; all of it if the server does not say.
    /// Whether the request had brought a message; `None` if it is not under way.
    pub(super) fn ended(&mut self, subject: &str, left: Option<Amount>) -> Option<bool> {
        let position = self.open.iter().position(|pull| pull.subject == subject)?;
        let asked = self.open.remove(position)?.asked;
        let left = left.unwrap_or(asked);
        self.subtract(left);
        Some(left.messages < asked.messages)
    }

    /// The server has forgotten all of them.
    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.to_come = Amount::default();
    }

    /// Whether nothing is to come.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// What is asked for and has not come.
    pub(super) fn to_come(&self) -> Amount {
        self.to_come
    }

    /// Since when the oldest is under way.
    pub(super) fn since(&self) -> Option<Instant> {
        self.open.front().map(|pull| pull.since)
    }

    fn subtract(&mut self, amount: Amount) {
        self.to_come.messages = self.to_come.messages.saturating_sub(amount.messages);
        self.to_come.bytes = self.to_come.bytes.saturating_sub(amount.bytes);
        if self.to_come.messages == 0 || self.open.is_empty() {
            self.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount(messages: usize) -> Amount {
        Amount {
            messages,
            bytes: messages * 10,
        }
    }

    proptest! {
        /// The server serves a request with one message and moves it behind the others
        /// (`waitQueue.pop` in `consumer.go`).
        #[test]
        fn the_sum_agrees_with_the_server_and_no_request_is_left_over(steps in prop::collection::vec(any::<u8>(), 1..300)) {
            let (mut server, mut pulls) = (VecDeque::new(), Pulls::new(Duration::MAX));
            for (number, step) in steps.into_iter().enumerate() {
                match step % 8 {
                    0 | 1 => {
                        let (subject, messages) = (number.to_string(), usize::from(step / 8) + 1);
                        server.push_back((subject.clone(), messages));
                        pulls.push(subject, amount(messages), Instant::now());
                    }
                    2 => if let Some((subject, left)) = server.pop_front() {
                        pulls.ended(&subject, Some(amount(left)));
                    },
                    _ => if let Some((subject, left)) = server.pop_front() {
                        if left > 1 {
                            server.push_back((subject, left - 1));
                        }
                        pulls.arrived(10);
                    },
                }
                let left = server.iter().map(|(_, left)| left).sum();
                prop_assert_eq!(pulls.to_come(), amount(left));
                prop_assert_eq!(pulls.is_empty(), server.is_empty());
            }
        }
    }

    #[test]
    fn a_request_that_ends_says_whether_it_has_brought_anything() {
        let (mut pulls, now) = (Pulls::new(Duration::MAX), Instant::now());
        pulls.push("a".to_owned(), amount(5), now);
        assert_eq!(pulls.ended("b", None), None);
        assert_eq!(pulls.ended("a", Some(amount(5))), Some(false));
        pulls.push("c".to_owned(), amount(5), now);
        pulls.arrived(10);
        assert_eq!(pulls.to_come(), amount(4));
        assert_eq!(pulls.ended("c", Some(amount(4))), Some(true));
        pulls.push("d".to_owned(), amount(5), now);
        // Not every status says what was left.
        assert_eq!(pulls.ended("d", None), Some(false));
        assert_eq!(pulls.since(), None);
    }

    #[test]
    fn a_request_whose_end_was_never_heard_is_forgotten_when_it_must_have_ended() {
        let (longest, start) = (Duration::from_secs(10), Instant::now());
        let mut pulls = Pulls::new(longest);
        pulls.push("a".to_owned(), amount(5), start);
        let later = start + longest * 2;
        pulls.push("b".to_owned(), amount(3), later);
        assert_eq!((pulls.to_come(), pulls.since()), (amount(3), Some(later)));
    }
}
