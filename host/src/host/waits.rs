//! Texts for what a stalled pipeline waits for, from the reports of its lanes and of the server.
//!
//! Pure. There is one sentence for each cause, with a hint if the user can do something.

use crate::nats::attachment::ServerView;
use crate::nats::job_outputs::Behind;
use crate::nats::job_progress::{Task, Trouble};
use crate::process::activity::{Failing, Wait};
use crate::report::count;
use std::time::Instant;

/// Partitions that are named at once.
const MOST: usize = 8;

/// A cause in words, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) words: String,
    pub(super) hint: Option<String>,
}

/// The consumer of a pipeline; a job has none, and its name is empty.
#[derive(Clone, Copy)]
pub(super) struct Reads<'a> {
    pub(super) stream: &'a str,
    pub(super) consumer: &'a str,
}

/// What the lanes of a pipeline wait for, each cause once. `server` is what the server knows, if it says;
/// `refused` is what the server said of acks that it does not permit.
pub(super) fn causes(
    reads: Reads<'_>,
    waits: &[Wait],
    server: Option<&ServerView>,
    refused: Option<String>,
    now: Instant,
) -> Vec<Cause> {
    let refused = refused.map(|words| Cause {
        words: format!("the server refuses the acks: {words}"),
        hint: Some("allow this user to publish there".to_owned()),
    });
    let mut causes: Vec<(Cause, usize)> = refused.map(|cause| (cause, 0)).into_iter().collect();
    for wait in waits {
        let cause = cause(reads, wait, server, now);
        match causes.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, lanes)) => *lanes += 1,
            None => causes.push((cause, 1)),
        }
    }
    let several = causes.len() > 1;
    let count = |(cause, lanes): (Cause, usize)| match lanes {
        0 => cause,
        1 if several => with(cause, "1 lane: "),
        lanes if several => with(cause, &format!("{lanes} lanes: ")),
        _ => cause,
    };
    causes.into_iter().map(count).collect()
}

fn with(cause: Cause, front: &str) -> Cause {
    Cause {
        words: format!("{front}{}", cause.words),
        ..cause
    }
}

fn cause(reads: Reads<'_>, wait: &Wait, server: Option<&ServerView>, now: Instant) -> Cause {
    let seconds = |since: Instant| now.saturating_duration_since(since).as_secs();
    let (words, hint) = match wait {
        Wait::Call { operator, since } => (
            format!(
                "operator `{operator}` has been in a call for {} s",
                seconds(*since)
            ),
            Some(format!(
                "see what its plugin does; `limits.deadline` of operator `{operator}` ends a call"
            )),
        ),
        Wait::Failing(Failing { words, hint }) => {
            let usual = "look at what refuses it, and at the server's log";
            let hint = hint.clone().unwrap_or_else(|| usual.to_owned());
            (words.clone(), Some(hint))
        }
        Wait::PublishAck { subject, since } => (
            format!(
                "there has been no publish ack for `{subject}` for {} s",
                seconds(*since)
            ),
            Some(format!(
                "look at the stream that captures `{subject}`: it may have no leader"
            )),
        ),
        Wait::Retry => (
            "plugins want to be called again later with all that is in hand".to_owned(),
            None,
        ),
        Wait::Deliveries(pull) => return deliveries(reads, pull.as_deref(), server),
        Wait::Working => ("a lane is between two steps".to_owned(), None),
    };
    Cause { words, hint }
}

/// What a job has published is not taken over. `troubles` are those of its partitions on this host.
pub(super) fn behind(behind: &Behind, troubles: &[(u16, Task, Trouble)]) -> Vec<Cause> {
    let stream = match behind {
        Behind::Sourcing(stream) => stream,
        Behind::Forwarding => {
            let of_this = troubles.iter().filter(|(_, task, _)| *task != Task::Own);
            return of_partitions(of_this);
        }
    };
    vec![Cause {
        words: format!("stream `{stream}` does not source the results of the job, so they wait"),
        hint: Some(format!(
            "see its sources with `nats stream info {stream}`; `weir run --create` adds the job to them"
        )),
    }]
}

/// Partitions that cannot be owned.
pub(super) fn failing(troubles: &[(u16, Task, Trouble)]) -> Vec<Cause> {
    of_partitions(troubles.iter().filter(|(_, task, _)| *task == Task::Own))
}

fn of_partitions<'t>(troubles: impl Iterator<Item = &'t (u16, Task, Trouble)>) -> Vec<Cause> {
    let cause = |(partition, task, trouble): &(u16, Task, Trouble)| Cause {
        words: match task {
            Task::Own => trouble.words.clone(),
            _ => format!("partition {partition}: {}", trouble.words),
        },
        hint: trouble.hint.clone(),
    };
    troubles.take(MOST).map(cause).collect()
}

/// Why a job processes nothing.
fn unread(stream: &str, server: Option<&ServerView>) -> Cause {
    let unowned = server.map_or(0, |seen| seen.unowned);
    let words = match unowned {
        0 => format!("nothing comes from stream `{stream}`"),
        1 => "1 partition has no owner yet".to_owned(),
        unowned => format!("{unowned} partitions have no owner yet"),
    };
    Cause {
        words,
        hint: Some("look at the server's log: a stream may have no leader".to_owned()),
    }
}

/// Why a pull brings nothing.
fn deliveries(reads: Reads<'_>, pull: Option<&str>, server: Option<&ServerView>) -> Cause {
    let Reads {
        stream, consumer, ..
    } = reads;
    if consumer.is_empty() {
        return unread(stream, server);
    }
    let the_consumer = format!("consumer `{consumer}` of stream `{stream}`");
    let (words, hint) = match (server, pull) {
        (
            Some(ServerView {
                paused: Some(left), ..
            }),
            _,
        ) => (
            format!("{the_consumer} is paused, for {} s more", left.as_secs()),
            format!("resume it with `nats consumer resume {stream} {consumer}`"),
        ),
        (Some(seen), _) if seen.is_used_up() => (
            format!(
                "all {} deliveries that {the_consumer} may have outstanding are unsettled; another client has \
                 them, or they wait for a retry",
                seen.ack_pending
            ),
            "stop other clients of this consumer, wait for `ack-wait`, or raise \
             `source.max-ack-pending`"
                .to_owned(),
        ),
        (_, Some(words)) => (
            format!("the server ends the pulls from {the_consumer}: {words}"),
            format!("look at it with `nats consumer info {stream} {consumer}`"),
        ),
        (None, None) => (
            format!("the server does not say how {the_consumer} is, and pulls bring nothing"),
            format!("look at it with `nats consumer info {stream} {consumer}`"),
        ),
        (Some(seen), None) => (
            format!(
                "pulls from {the_consumer} bring nothing, though it has {} to deliver",
                count(seen.pending, "message")
            ),
            format!(
                "look at it with `nats consumer info {stream} {consumer}`, and at the server's log"
            ),
        ),
    };
    Cause {
        words,
        hint: Some(hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const READS: Reads<'static> = Reads {
        stream: "IN",
        consumer: "p",
    };

    fn words(waits: &[Wait], server: Option<&ServerView>) -> Vec<String> {
        let causes = causes(READS, waits, server, None, Instant::now());
        causes.into_iter().map(|cause| cause.words).collect()
    }

    #[test]
    fn lanes_that_wait_for_the_same_are_counted_where_others_wait_for_something_else() {
        let failing = || {
            let (words, hint) = ("it is full".to_owned(), None);
            Wait::Failing(Failing { words, hint })
        };
        assert_eq!(words(&[failing(), failing()], None), ["it is full"]);
        let mixed = [failing(), Wait::Retry, failing()];
        let said = words(&mixed, None);
        assert_eq!(
            said.first().map(String::as_str),
            Some("2 lanes: it is full")
        );
        assert!(
            said.get(1)
                .is_some_and(|said| said.starts_with("1 lane: plugins want"))
        );
    }

    #[test]
    fn why_a_pull_brings_nothing_is_what_the_server_knows() {
        let server = ServerView {
            pending: 12,
            ack_pending: 3,
            most: 5,
            ..ServerView::default()
        };
        let said = |server: Option<&ServerView>, pull: Option<&str>| {
            let wait = Wait::Deliveries(pull.map(ToOwned::to_owned));
            words(&[wait], server).join("\n")
        };
        assert!(said(Some(&server), None).contains("though it has 12 messages"));
        assert!(said(Some(&server), Some("Exceeded MaxWaiting")).contains("Exceeded MaxWaiting"));
        let full = ServerView {
            ack_pending: 5,
            ..server.clone()
        };
        assert!(said(Some(&full), None).starts_with("all 5 deliveries"));
        let paused = ServerView {
            paused: Some(Duration::from_secs(90)),
            ..full
        };
        assert!(said(Some(&paused), None).contains("is paused, for 90 s more"));
        assert!(said(None, None).contains("does not say"));
    }

    #[test]
    fn acks_that_are_refused_are_said_first() {
        let refused = Some("Permissions Violation".to_owned());
        let causes = causes(READS, &[Wait::Retry], None, refused, Instant::now());
        assert_eq!(causes.len(), 2);
        assert!(
            causes
                .first()
                .is_some_and(|cause| cause.words.starts_with("the server refuses the acks"))
        );
    }
}
