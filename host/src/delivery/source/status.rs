//! The server's answers to a pull other than messages, and how pulling ends.

use crate::delivery::source::Source;
use crate::delivery::source::pulls::Amount;
use crate::nats::wire::Message;
use std::time::{Duration, Instant};

/// The pause after a pull without permission.
const REFUSED: Duration = Duration::from_secs(10);

/// How long to wait before asking again for what no pull may ask for.
const LIMITED: Duration = Duration::from_secs(1);

/// Why a pull brought nothing.
#[derive(Debug)]
pub enum Ended {
    /// Every delivery that was under way has been handed out after `drain`.
    Drained,
    /// Nothing will ever come: the consumer or the connection is gone.
    Gone(String),
    /// Nothing comes: pulling is not permitted. Another pull asks again.
    Refused(NotPermitted),
}

/// The server does not permit a pull.
#[derive(Debug)]
pub struct NotPermitted {
    /// What it says.
    pub words: String,
    /// Whether it has answered pulls of this source before: the permission was taken away, and may come
    /// back.
    pub was_permitted: bool,
    /// Whether it has not permitted the one before either.
    pub again: bool,
}

impl std::error::Error for NotPermitted {}

impl std::fmt::Display for NotPermitted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.words)
    }
}

impl Source {
    /// How the server ended the last pull, if not as it should.
    #[must_use]
    pub fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    /// The server's words on a pull that is under way, if it does not permit it.
    pub(super) fn refusal(&mut self) -> Option<Ended> {
        let since = self.pulls.since()?;
        let words = self.wire.health.violation(&self.request, since)?;
        self.pulls.clear();
        self.pause = Some(Instant::now() + REFUSED);
        Some(Ended::Refused(NotPermitted {
            words,
            was_permitted: self.answered,
            again: std::mem::replace(&mut self.refused, true),
        }))
    }

    /// Statuses of pull consumers (architecture decision records 13 and 42 of NATS).
    pub(crate) fn on_status(
        &mut self,
        status: u16,
        text: &str,
        message: &Message,
    ) -> Result<(), Ended> {
        const HEARTBEAT: u16 = 100;
        const NO_MESSAGES: u16 = 404;
        const TIMEOUT: u16 = 408;
        const CONFLICT: u16 = 409;
        const NO_RESPONDERS: u16 = 503;
        let subject = String::from_utf8_lossy(&message.subject);
        if status == HEARTBEAT || subject == self.filler() {
            return Ok(());
        }
        let number = |name| message.header(name)?.parse().ok();
        let left = number("Nats-Pending-Messages").map(|messages| Amount {
            messages,
            bytes: number("Nats-Pending-Bytes").unwrap_or_default(),
        });
        let brought = self.pulls.ended(&subject, left);
        match status {
            NO_MESSAGES | TIMEOUT => (self.said, self.idle) = (None, brought == Some(false)),
            CONFLICT if text.contains("Consumer Deleted") => {
                return Err(Ended::Gone(text.to_owned()));
            }
            CONFLICT if text.contains("Exceeds MaxBytes") => {
                // A pull that has brought something is full. One that has brought nothing met a
                // message larger than the server would take today, and must ask for more.
                if brought == Some(false) {
                    if self
                        .limits
                        .bytes
                        .is_some_and(|most| self.least_bytes >= most)
                    {
                        // No pull may ask for enough.
                        self.said = Some(text.to_owned());
                        self.pause = Some(Instant::now() + LIMITED);
                    }
                    self.least_bytes = (self.least_bytes * 2).min(1 << 30);
                }
            }
            CONFLICT if text.contains("Batch Completed") => {}
            CONFLICT if self.limits.learn(text) => {
                tracing::info!("asking for less from now on: {text}");
            }
            _ => {
                self.metrics.pull_errors.inc();
                let words = match status {
                    NO_RESPONDERS => "no jetstream server answers",
                    _ => text,
                };
                let again = self.said.as_deref() == Some(words);
                self.said = Some(words.to_owned());
                self.pause = Some(Instant::now() + Duration::from_millis(250));
                if status == NO_RESPONDERS {
                    self.doubtful = true;
                    tracing::debug!("no jetstream server answers pulls; asking again");
                } else if status == CONFLICT && text.contains("Server Shutdown") {
                    // What comes of it is said when the connection is lost.
                    tracing::debug!("the server ended a pull: {text}");
                } else if !again {
                    tracing::warn!(status, "the server ended a pull: {text}");
                }
            }
        }
        Ok(())
    }
}
