//! Messages in transit to the log, and what happens to them.

use super::{Content, Model, Record};
use crate::job::log::{Commit, Fence, LogError};
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

pub(super) type Answer = Rc<RefCell<Option<Result<Fence, LogError>>>>;

/// A request under way.
pub(super) struct Sent {
    request: Request,
    /// None if nobody waits for it.
    answer: Option<Answer>,
}

#[derive(Clone)]
pub(super) enum Request {
    Commit(Fence, Rc<Commit>),
    Purge(Fence),
}

impl Model {
    /// Something that is under way meets its fate. False if nothing is.
    pub fn deliver(&self) -> bool {
        let under_way = self.sent.borrow().len();
        if under_way == 0 {
            return false;
        }
        let which = self.random.borrow_mut().below(under_way);
        let lost = || Err(LogError::Ambiguous("no answer came".to_owned()));
        // Whoever waits gives up, and the request is still under way.
        if self.once_in(8) {
            if let Some(answer) = self.sent.borrow_mut()[which].answer.take() {
                *answer.borrow_mut() = Some(lost());
            }
            return true;
        }
        let sent = self.sent.borrow_mut().swap_remove(which);
        let answer = |result| {
            if let Some(answer) = &sent.answer {
                *answer.borrow_mut() = Some(result);
            }
        };
        match self.random.borrow_mut().below(16) {
            _ if self.calm.get() => {}
            0 => {
                answer(lost());
                return true;
            }
            1 => {
                answer(Err(LogError::Busy("not now".to_owned())));
                return true;
            }
            // As from a leader that has just been elected.
            2 => {
                answer(Err(LogError::WrongFence));
                return true;
            }
            3 => {
                let request = sent.request.clone();
                let answer = None;
                self.sent.borrow_mut().push(Sent { request, answer });
            }
            _ => {}
        }
        let has_sender = sent
            .answer
            .as_ref()
            .is_some_and(|answer| Rc::strong_count(answer) > 1);
        if !has_sender {
            self.tally.borrow_mut().late += 1;
        }
        let result = self.arrive(&sent.request);
        if self.once_in(6) {
            if result.is_ok() {
                self.tally.borrow_mut().ambiguous += 1;
            }
            answer(lost());
        } else {
            answer(result);
        }
        true
    }

    /// A request arrives.
    fn arrive(&self, request: &Request) -> Result<Fence, LogError> {
        match request {
            Request::Commit(expected, commit) => self.store(*expected, commit),
            Request::Purge(before) => {
                let is_old = |record: &Record| {
                    matches!(record.content, Content::Delta(_)) && record.sequence < before.0
                };
                self.remove(is_old);
                Ok(*before)
            }
        }
    }

    pub(super) fn send(&self, request: Request) -> Answer {
        let answer = Answer::default();
        let waits = Some(Rc::clone(&answer));
        self.sent.borrow_mut().push(Sent {
            request,
            answer: waits,
        });
        answer
    }
}

pub(super) async fn answered(answer: Answer) -> Result<Fence, LogError> {
    poll_fn(|_| match answer.borrow_mut().take() {
        Some(result) => Poll::Ready(result),
        None => Poll::Pending,
    })
    .await
}

/// Lets others go on.
pub async fn step() {
    let mut first = true;
    poll_fn(|_| match std::mem::take(&mut first) {
        true => Poll::Pending,
        false => Poll::Ready(()),
    })
    .await;
}
