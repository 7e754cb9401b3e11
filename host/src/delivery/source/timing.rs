//! How long pulls wait at the server, and how long a silence means that a pull is lost.

use super::Source;
use crate::delivery::source::Ended;
use std::time::{Duration, Instant};

/// How long a pull waits at the server for messages before it is asked again.
const EXPIRES: Duration = Duration::from_secs(10);
/// How often the server says that it is still there while a pull waits.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Silence after which a pull is taken for lost.
pub(super) const SILENCE: Duration = silence(HEARTBEAT);
/// The same where the pull before has brought nothing: an idle pipeline costs little, and hears later of a
/// pull that the server has lost.
const IDLE_EXPIRES: Duration = Duration::from_secs(30);
const IDLE_HEARTBEAT: Duration = Duration::from_millis(7500);
const IDLE_SILENCE: Duration = silence(IDLE_HEARTBEAT);
/// No pull is under way for longer.
pub(super) const LONGEST: Duration = IDLE_EXPIRES.saturating_add(IDLE_SILENCE);
/// How often a connection that is lost is looked at.
const LOST: Duration = Duration::from_millis(100);

/// Two heartbeats and some.
const fn silence(heartbeat: Duration) -> Duration {
    let two = heartbeat.saturating_mul(2);
    two.saturating_add(Duration::from_millis(500))
}

/// That of one pull.
pub(super) struct Timing {
    pub(super) expires: Duration,
    pub(super) heartbeat: Duration,
    pub(super) silence: Duration,
}

impl Timing {
    /// `most` is how long the server lets a pull wait.
    pub(super) fn of(idle: bool, most: Option<Duration>) -> Self {
        let (expires, heartbeat, silence) = match idle {
            true => (IDLE_EXPIRES, IDLE_HEARTBEAT, IDLE_SILENCE),
            false => (EXPIRES, HEARTBEAT, SILENCE),
        };
        let expires = most.unwrap_or(expires).min(expires);
        Self {
            expires,
            // The server refuses a longer one.
            heartbeat: heartbeat.min(expires / 2),
            silence,
        }
    }
}

impl Source {
    /// How long to wait for what comes.
    pub(super) fn patience(&self) -> Duration {
        let now = Instant::now();
        if !self.wire.health.is_connected() {
            return LOST;
        }
        match self.pause {
            _ if self.draining => (self.heard + SILENCE).saturating_duration_since(now),
            Some(until) if self.pulls.is_empty() => until.saturating_duration_since(now),
            _ if self.pulls.is_empty() => HEARTBEAT,
            _ => (self.heard + self.silence).saturating_duration_since(now),
        }
    }

    /// Nothing has come for so long.
    pub(super) fn on_silence(&mut self) {
        let silent = |than| self.heard.elapsed() >= than;
        if silent(SILENCE) && self.draining {
            // What may still be on its way comes again after ack-wait.
            self.ended = Some(Ended::Drained);
        } else if silent(self.silence) && !self.pulls.is_empty() {
            self.metrics.missed_heartbeats.inc();
            self.pulls.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_waits_no_longer_than_the_server_lets_it_and_has_two_heartbeats_at_least() {
        let busy = Timing::of(false, None);
        assert_eq!((busy.expires, busy.silence), (EXPIRES, SILENCE));
        let second = Some(Duration::from_secs(1));
        for idle in [true, false] {
            for most in [None, second] {
                let timing = Timing::of(idle, most);
                assert!(timing.heartbeat * 2 <= timing.expires);
                assert!(timing.silence > timing.heartbeat * 2);
                assert!(timing.expires + timing.silence <= LONGEST);
            }
        }
        assert_eq!(Timing::of(true, second).expires, Duration::from_secs(1));
    }
}
