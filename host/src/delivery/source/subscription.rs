//! The subscription of a source: how it begins, begins anew, and ends without losing what is on its way.
//!
//! The server goes on answering pulls for as long as somebody subscribes to their inbox. Unsubscribing
//! takes effect at the client first, which from then on drops what comes, and later at the server. A
//! delivery that is dropped in between would come again only after ack-wait, to somebody else.
//!
//! So a subscription ends at a number of messages that both ends count: more than can be on their way.
//! The server is then made to send as many as it takes, with requests that it answers with a refusal
//! each. What it wants to deliver afterwards it finds nobody for, and delivers elsewhere at once.

use super::{Delivery, Ended, Source};
use crate::nats::Connection;
use anyhow::{Context, Result, anyhow};
use async_nats::Subscriber;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};

/// Statuses that may be on their way besides messages.
const STATUSES: usize = 64;
/// The most fillers to send: of more deliveries than that some may be dropped.
const MOST_FILLERS: usize = 16 * 1024;
/// What is no request: the server answers it with a status 400.
const NO_REQUEST: Bytes = Bytes::from_static(b"{");

/// A new inbox, and what comes on it.
///
/// # Errors
/// When the connection is closed.
pub(super) async fn open(connection: &Connection) -> Result<(String, Subscriber)> {
    let inbox = connection.client.new_inbox();
    let subscribed = connection.client.subscribe(format!("{inbox}.*")).await;
    let subscription = subscribed
        .map_err(|error| anyhow!("{error}"))
        .context("cannot subscribe to the inbox of pulls")?;
    Ok((inbox, subscription))
}

impl Source {
    /// The server forgets pulls with the connection they came on. On a new one it counts anew what it
    /// sends to a subscription, so that the two ends count differently; a new one takes its place.
    /// Returns what the one before had received. Safe to drop while it waits.
    ///
    /// # Errors
    /// When a lane must begin anew, because results are made for what a server takes.
    pub(super) async fn subscribe_after_reconnect(&mut self) -> Result<Vec<Delivery>, Ended> {
        let mut left = Vec::new();
        let health = &self.connection.health;
        let reconnects = health.reconnects();
        if reconnects == self.reconnects || !health.is_connected() || self.fillers.is_some() {
            return Ok(left);
        }
        if self.connection.client.max_payload() != self.max_payload {
            return Err(Ended::Gone(
                "the server's `max_payload` has changed".to_owned(),
            ));
        }
        let opened = open(&self.connection).await;
        let (inbox, subscription) = opened.map_err(|error| Ended::Gone(format!("{error:#}")))?;
        self.pulls.clear();
        while let Some(Some(message)) = self.subscription.next().now_or_never() {
            // What a status says is about a pull that is forgotten.
            let _ = self.take(message, &mut left);
        }
        self.inbox = inbox;
        self.subscription = subscription;
        self.arrived = 0;
        self.reconnects = reconnects;
        self.doubtful = true;
        Ok(left)
    }

    /// Asks for no more. What the server has already sent is still handed out by `pull`, which ends
    /// with [`Ended::Drained`].
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// While draining, ends the subscription. Safe to drop while it waits, if it is called again.
    pub(super) async fn unsubscribe(&mut self) {
        if !self.draining || !self.connection.health.is_connected() {
            return;
        }
        if self.fillers.is_none() {
            let coming = (self.expected() + STATUSES).min(MOST_FILLERS);
            let most = (self.arrived + coming) as u64;
            // A connection that is closed has ended the subscription already.
            let _ = self.subscription.unsubscribe_after(most).await;
            self.fillers = Some(coming);
        }
        while let Some(left) = self.fillers.filter(|left| *left > 0) {
            let (to, reply) = (self.request.clone(), self.filler());
            let client = &self.connection.client;
            let _ = client.publish_with_reply(to, reply, NO_REQUEST).await;
            self.fillers = Some(left - 1);
        }
    }

    /// Where fillers are answered.
    pub(super) fn filler(&self) -> String {
        format!("{}.0", self.inbox)
    }
}
