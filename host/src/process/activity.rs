//! What a lane waits for: the lane writes it, and the host reads it when nothing is settled.
//!
//! A lane records when a call begins and ends, and what fails; it reports the rest on request. So nothing is
//! written for each message. Judges nothing: `host/waits.rs` has the texts.

use crate::threads::locked;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::Notify;

/// Shared by one lane and the host.
pub struct Activity {
    /// The operators of the chain, by name.
    operators: Vec<String>,
    /// The place of the one that is called now, or was called last. Set by the chain.
    operator: Arc<AtomicUsize>,
    /// When the call began that has not returned.
    calling: Mutex<Option<Instant>>,
    /// What could not be done, and what to do about it; until something of the kind succeeds.
    failure: Mutex<Option<Failing>>,
    /// Whether there is one, so that success looks for it without a lock.
    is_failing: AtomicBool,
    asked: Notify,
    said: Mutex<Said>,
}

/// What a lane cannot do, and tries again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    pub words: String,
    pub hint: Option<String>,
}

/// What has come of a question.
#[derive(Clone, Default)]
enum Said {
    #[default]
    NeverAsked,
    Nothing,
    This(Answer),
}

/// What a lane says of itself between two batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Messages in hand.
    pub held: usize,
    /// Of these, those for which a plugin asked to be called again later, and those behind them.
    pub retries: usize,
    /// The oldest publish without an ack: its subject, and since when.
    pub publish: Option<(String, Instant)>,
    /// How the server ended the last pull, if not as it should.
    pub pull: Option<String>,
}

/// What a lane waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// An operator's plugin has not returned.
    Call { operator: String, since: Instant },
    /// Something fails and is tried again.
    Failing(Failing),
    /// A publish ack.
    PublishAck { subject: String, since: Instant },
    /// The time at which plugins want to be called again.
    Retry,
    /// It has nothing in hand; and how the server ended its last pull, if not as it should.
    Deliveries(Option<String>),
    /// It is between two steps.
    Working,
}

impl Activity {
    /// Of a lane with these operators; `operator` is where its chain keeps the place of the one that it
    /// calls.
    #[must_use]
    pub fn new(operators: Vec<String>, operator: Arc<AtomicUsize>) -> Self {
        Self {
            operators,
            operator,
            calling: Mutex::default(),
            failure: Mutex::default(),
            is_failing: AtomicBool::default(),
            asked: Notify::new(),
            said: Mutex::default(),
        }
    }

    /// A call begins, or has returned.
    pub fn calls(&self, since: Option<Instant>) {
        *locked(&self.calling) = since;
    }

    /// Something failed that will be tried again.
    pub fn fails(&self, words: &str, hint: Option<String>) {
        let words = words.to_owned();
        *locked(&self.failure) = Some(Failing { words, hint });
        self.is_failing.store(true, Ordering::Relaxed);
    }

    /// Something was published.
    pub fn succeeds(&self) {
        if self.is_failing.swap(false, Ordering::Relaxed) {
            *locked(&self.failure) = None;
        }
    }

    /// Asks the lane; it answers when it is between two batches.
    pub fn ask(&self) {
        *locked(&self.said) = Said::Nothing;
        self.asked.notify_one();
    }

    /// Waits until the host asks. For the lane alone.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// For the lane alone.
    pub fn answer(&self, answer: Answer) {
        *locked(&self.said) = Said::This(answer);
    }

    /// Whether the lane has a message to process now; retries wait for their time.
    #[must_use]
    pub fn has_work(&self) -> bool {
        if locked(&self.calling).is_some() {
            return true;
        }
        match &*locked(&self.said) {
            Said::NeverAsked => false,
            // It is so busy that it does not answer.
            Said::Nothing => true,
            Said::This(answer) => answer.held > answer.retries,
        }
    }

    /// What the lane waits for, as far as it has said.
    #[must_use]
    pub fn waits(&self) -> Wait {
        if let Some(since) = *locked(&self.calling) {
            let place = self.operator.load(Ordering::Relaxed);
            let operator = self.operators.get(place).cloned().unwrap_or_default();
            return Wait::Call { operator, since };
        }
        if let Some(failing) = locked(&self.failure).clone() {
            return Wait::Failing(failing);
        }
        let Said::This(answer) = locked(&self.said).clone() else {
            return Wait::Working;
        };
        match answer {
            Answer {
                publish: Some((subject, since)),
                ..
            } => Wait::PublishAck { subject, since },
            Answer { held: 0, pull, .. } => Wait::Deliveries(pull),
            Answer { held, retries, .. } if held == retries => Wait::Retry,
            _ => Wait::Working,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity() -> Activity {
        let operators = vec!["first".to_owned(), "second".to_owned()];
        Activity::new(operators, Arc::new(AtomicUsize::new(1)))
    }

    #[test]
    fn a_call_says_more_than_a_failure_and_that_more_than_what_is_in_hand() {
        let (activity, now) = (activity(), Instant::now());
        assert_eq!(activity.waits(), Wait::Working);
        activity.answer(Answer {
            held: 3,
            publish: Some(("out.a".to_owned(), now)),
            ..Answer::default()
        });
        let subject = "out.a".to_owned();
        let publish = Wait::PublishAck {
            subject,
            since: now,
        };
        assert_eq!(activity.waits(), publish);
        activity.fails("it is full", None);
        let (words, hint) = ("it is full".to_owned(), None);
        assert_eq!(activity.waits(), Wait::Failing(Failing { words, hint }));
        activity.calls(Some(now));
        let operator = "second".to_owned();
        let call = Wait::Call {
            operator,
            since: now,
        };
        assert_eq!(activity.waits(), call);
        activity.calls(None);
        activity.succeeds();
        assert_eq!(activity.waits(), publish);
    }

    #[test]
    fn retries_are_not_in_hand_and_a_lane_without_anything_waits_for_deliveries() {
        let activity = activity();
        assert!(!activity.has_work());
        let say = |held, retries| {
            activity.answer(Answer {
                held,
                retries,
                ..Answer::default()
            });
            (activity.has_work(), activity.waits())
        };
        assert_eq!(say(0, 0), (false, Wait::Deliveries(None)));
        assert_eq!(say(2, 2), (false, Wait::Retry));
        assert_eq!(say(3, 2), (true, Wait::Working));
        activity.ask();
        assert_eq!(
            (activity.has_work(), activity.waits()),
            (true, Wait::Working)
        );
    }
}
