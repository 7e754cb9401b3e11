//! Events of a connection outside of requests.
//!
//! No caller learns directly that a connection was lost or restored, or that the server refused a publish or
//! a subscription: async-nats reports these to its event callback, our own client to its task. [`Health`]
//! stores both for everyone who waits. A subscription that the server ends does not come back, even if it is
//! permitted again: its owner must reconnect or subscribe again.
//!
//! The server reports a missing permission, but not that it is back. So a violation explains only what was
//! sent before the report: callers say since when.

use crate::report::ResultExt;
use crate::telemetry::metrics::Counter;
use crate::threads::locked;
use anyhow::{Result, anyhow};
use async_nats::{Event, ServerError};
use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The number of violations to keep; one for each subject that is not permitted is enough.
const VIOLATIONS: usize = 64;
/// A violation that goes on has a line in the log this often.
const SAID_AGAIN: Duration = Duration::from_secs(60);
/// A connection that is lost again so soon has no further line in the log: a server may take one and end it
/// at once, for example in the second in which credentials expire.
const SOON: Duration = Duration::from_secs(5);

/// The events of a connection since it was opened. Shared with its client.
#[derive(Default)]
pub struct Health {
    /// The prefix of its inboxes.
    inbox: String,
    connected: AtomicBool,
    /// Whether it was up before and is not any more.
    lost: AtomicBool,
    reconnects: AtomicU64,
    /// The same, for counts over several connections.
    counter: Counter,
    /// The latest first, one for each subject.
    violations: Mutex<VecDeque<Violation>>,
    trouble: Mutex<Trouble>,
    /// The server's words on a subscription to an inbox that it has ended or not permitted; until the
    /// connection is found again.
    deaf: Mutex<Option<String>>,
    /// Notified at every event.
    pub changed: Notify,
}

/// The loss of a connection, as text for the log and the status.
#[derive(Default)]
struct Trouble {
    /// Why the latest attempt to find it again has failed. Set while it is lost.
    text: Option<String>,
    /// When the log said so last.
    said: Option<Instant>,
    /// When the log said last that it was lost.
    lost: Option<Instant>,
    /// Whether the latest loss had no line in the log.
    silent: bool,
}

/// A publish or subscription that the server did not permit.
struct Violation {
    subject: String,
    /// In the server's words.
    text: String,
    /// When the server said so last.
    at: Instant,
    /// When the log said so last.
    said: Instant,
}

impl Health {
    /// For a new connection with this prefix of its inboxes. `counter` counts its reconnects.
    pub(super) fn new(inbox: &str, counter: Counter) -> Self {
        Self {
            inbox: inbox.to_owned(),
            counter,
            ..Self::default()
        }
    }

    /// The connection is up for the first time.
    pub(super) fn opened(&self) {
        self.connected.store(true, Ordering::Relaxed);
    }

    /// Whether the connection is up now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// How often the connection was found again after it was lost.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    /// The server's words, if it has ended a subscription to an inbox: no answers come any more.
    #[must_use]
    pub fn is_deaf(&self) -> Option<String> {
        locked(&self.deaf).clone()
    }

    /// Waits until that is so.
    pub async fn deaf(&self) -> String {
        loop {
            let changed = self.changed.notified();
            if let Some(words) = self.is_deaf() {
                return words;
            }
            changed.await;
        }
    }

    /// Waits until the connection is not up.
    pub async fn down(&self) {
        loop {
            let changed = self.changed.notified();
            if !self.is_connected() {
                return;
            }
            changed.await;
        }
    }

    /// The server's words on a publish or subscription to `subject`, if it has refused one since then.
    #[must_use]
    pub fn violation(&self, subject: &str, since: Instant) -> Option<String> {
        let violations = locked(&self.violations);
        violations
            .iter()
            .find(|violation| violation.subject == subject && violation.at >= since)
            .map(|violation| violation.text.clone())
    }

    /// The first publish or subscription that the server has refused since then: its subject, and the server's words.
    #[must_use]
    pub fn first_violation(&self, since: Instant) -> Option<(String, String)> {
        let violations = locked(&self.violations);
        let is_it = |violation: &&Violation| violation.at >= since && is_violation(&violation.text);
        let first = violations.iter().rev().find(is_it)?;
        Some((first.subject.clone(), first.text.clone()))
    }

    /// The result of requests, unless the server refuses one of them, which would get no answer. For a
    /// connection that does nothing else meanwhile and needs all answers.
    ///
    /// # Errors
    /// The server's words, with a hint.
    pub async fn unless_refused<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let began = Instant::now();
        let mut work = std::pin::pin!(work);
        loop {
            let changed = self.changed.notified();
            if let Some((subject, words)) = self.first_violation(began) {
                let action = match words.contains("Subscription") {
                    true => "subscribe",
                    false => "publish",
                };
                return Err(anyhow!("the server refused: {words}"))
                    .hint(|| format!("allow this user to {action} to `{subject}`"));
            }
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = changed => {}
            }
        }
    }

    /// The server's words on an ack, if it has refused one since then. `of` is the end of its subject:
    /// stream and consumer, each with a dot before it.
    #[must_use]
    pub fn refused_ack(&self, of: &str, since: Instant) -> Option<String> {
        let violations = locked(&self.violations);
        let is_it = |violation: &&Violation| {
            violation.at >= since
                && violation.subject.starts_with("$JS.ACK.")
                && violation.subject.ends_with(of)
        };
        let refused = violations.iter().find(is_it);
        refused.map(|violation| violation.text.clone())
    }

    /// What the client for everything but messages says.
    pub(super) fn on_event(&self, event: Event) {
        match event {
            Event::Connected => self.found(),
            Event::Disconnected => self.lost(&"it was closed"),
            Event::Closed => self.closed(),
            Event::ServerError(ServerError::Other(text)) => self.server_error(&text),
            Event::LameDuckMode => tracing::warn!("the nats server is about to shut down"),
            // One for each attempt to reconnect, of which there may be many.
            other if !self.is_connected() => self.not_found(&other),
            other => tracing::warn!("nats: {other}"),
        }
    }

    /// The connection is up, for the first time or again.
    pub(super) fn found(&self) {
        if self.lost.swap(false, Ordering::Relaxed) {
            self.reconnects.fetch_add(1, Ordering::Relaxed);
            self.counter.inc();
        }
        self.connected.store(true, Ordering::Relaxed);
        *locked(&self.deaf) = None;
        let mut trouble = locked(&self.trouble);
        trouble.text = None;
        match trouble.silent {
            true => tracing::debug!("connected to nats"),
            false => tracing::info!("connected to nats"),
        }
        self.changed.notify_waiters();
    }

    /// The connection is not up any more, and is looked for.
    pub(super) fn lost(&self, why: &dyn Display) {
        self.lost.store(true, Ordering::Relaxed);
        self.connected.store(false, Ordering::Relaxed);
        let (mut trouble, now) = (locked(&self.trouble), Instant::now());
        let soon = |said: Instant| now.saturating_duration_since(said) < SOON;
        trouble.silent = trouble.lost.is_some_and(soon);
        match trouble.silent {
            true => tracing::debug!("the connection to nats was lost again: {why}"),
            false => {
                trouble.lost = Some(now);
                tracing::warn!("the connection to nats was lost; reconnecting: {why}");
            }
        }
        self.changed.notify_waiters();
    }

    /// No server could be connected to. It is tried again by and by; the log says so once a minute.
    pub(super) fn not_found(&self, why: &dyn Display) {
        let (text, now) = (why.to_string(), Instant::now());
        let mut trouble = locked(&self.trouble);
        let recently = |said: Instant| now.saturating_duration_since(said) < SAID_AGAIN;
        match trouble.said.is_some_and(recently) {
            true => tracing::debug!("cannot reconnect to nats: {text}"),
            false => {
                trouble.said = Some(now);
                tracing::warn!("cannot reconnect to nats; trying again: {text}");
            }
        }
        trouble.text = Some(text);
    }

    /// There will be no further connection.
    pub(super) fn closed(&self) {
        self.connected.store(false, Ordering::Relaxed);
        tracing::debug!("the connection to nats is closed");
        self.changed.notify_waiters();
    }

    /// An error of the server's, in its words.
    pub(super) fn server_error(&self, text: &str) {
        if self.is_inbox(text) {
            *locked(&self.deaf) = Some(text.to_owned());
        }
        match (self.refused(text, Instant::now()), is_violation(text)) {
            (true, true) => tracing::error!("nats refused: {text}"),
            (true, false) => tracing::warn!("nats: {text}"),
            (false, _) => tracing::debug!("nats: {text}"),
        }
        self.changed.notify_waiters();
    }

    /// Why the latest attempt to find the connection again has failed, while it is lost.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        locked(&self.trouble).text.clone()
    }

    /// Whether a violation is about a subscription to one of the connection's inboxes.
    fn is_inbox(&self, text: &str) -> bool {
        let inbox = subject(text).strip_prefix(&self.inbox);
        text.contains("Subscription") && inbox.is_some_and(|rest| rest.starts_with('.'))
    }

    /// Remembers a violation, or another error. Whether it is worth a line in the log.
    fn refused(&self, text: &str, at: Instant) -> bool {
        let subject = subject(text);
        let mut violations = locked(&self.violations);
        let before = violations
            .iter()
            .position(|violation| violation.subject == subject)
            .and_then(|before| violations.remove(before));
        let said = before.map(|before| before.said);
        let recently = |said: &Instant| at.saturating_duration_since(*said) < SAID_AGAIN;
        let said = said.filter(recently);
        violations.truncate(VIOLATIONS - 1);
        violations.push_front(Violation {
            subject: subject.to_owned(),
            text: text.to_owned(),
            at,
            said: said.unwrap_or(at),
        });
        said.is_none()
    }
}

fn is_violation(text: &str) -> bool {
    text.to_ascii_lowercase().contains("permissions violation")
}

/// What a violation is about: `Permissions Violation for Publish to "out.a"`. The subject of an ack
/// is cut to its consumer, or each message would have a violation of its own.
fn subject(text: &str) -> &str {
    let subject = text.split('"').nth(1).unwrap_or(text);
    if !subject.starts_with("$JS.ACK.") {
        return subject;
    }
    // With a domain and an account before the stream.
    let long = subject.matches('.').count() > 8;
    let end = subject.match_indices('.').nth(if long { 5 } else { 3 });
    end.map_or(subject, |(end, _)| subject.get(..end).unwrap_or(subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation(subject: &str) -> Event {
        let text = format!("Permissions Violation for Publish to \"{subject}\"");
        Event::ServerError(ServerError::Other(text))
    }

    #[test]
    fn a_violation_explains_what_was_sent_before_it_and_nothing_later() {
        let (health, first) = (Health::default(), Instant::now());
        assert_eq!(health.violation("out.a", first), None);
        health.on_event(violation("out.a"));
        let said = health.violation("out.a", first);
        assert!(said.is_some_and(|text| text.contains("out.a")));
        assert_eq!(health.violation("out.b", first), None);
        assert_eq!(health.violation("out", first), None);
        // The permission is back.
        let second = Instant::now() + Duration::from_nanos(1);
        assert_eq!(health.violation("out.a", second), None);
        while Instant::now() < second {}
        health.on_event(violation("out.a"));
        assert!(health.violation("out.a", second).is_some());
    }

    #[test]
    fn a_flood_of_violations_is_said_once_a_minute_for_each_subject_and_each_consumer() {
        let (health, start) = (Health::default(), Instant::now());
        let said = |subject: &str, at| {
            let text = format!("Permissions Violation for Publish to \"{subject}\"");
            health.refused(&text, at)
        };
        assert!(said("out.a", start));
        assert!(!said("out.a", start));
        assert!(said("out.b", start));
        assert!(said("$JS.ACK.IN.p.1.1.1.1700000000.5", start));
        assert!(!said("$JS.ACK.IN.p.1.2.2.1700000001.4", start));
        assert!(said("$JS.ACK.IN.q.1.1.1.1700000000.5", start));
        assert!(said("$JS.ACK.hub.hash.IN.p.1.1.1.1700000000.5.x", start));
        assert!(!said("$JS.ACK.hub.hash.IN.p.1.2.2.1700000001.4.y", start));
        assert!(said("$JS.ACK.hub.hash.IN.q.1.1.1.1700000000.5.x", start));
        assert!(!said("out.a", start + SAID_AGAIN / 2));
        assert!(said("out.a", start + SAID_AGAIN));
        assert!(!said("out.a", start + SAID_AGAIN * 3 / 2));
    }

    #[test]
    fn only_an_inbox_that_is_not_permitted_makes_a_connection_deaf_until_it_is_found_again() {
        let health = Health::new("_INBOX.weir", Counter::default());
        let refuse = |subject: &str| {
            let text = format!("Permissions Violation for Subscription to \"{subject}\"");
            health.on_event(Event::ServerError(ServerError::Other(text)));
            locked(&health.deaf).is_some()
        };
        assert!(!refuse("$SRV.PING"));
        assert!(!refuse("_INBOX.weirder.1"));
        assert!(refuse("_INBOX.weir.1.*"));
        health.on_event(Event::Connected);
        health.on_event(violation("_INBOX.weir.1"));
        assert!(locked(&health.deaf).is_none());
    }

    #[test]
    fn a_connection_that_is_closed_is_not_connected() {
        let health = Health::default();
        health.opened();
        assert!(health.is_connected());
        health.on_event(Event::Closed);
        assert!(!health.is_connected());
    }
}
