//! Taking over an ordered consumer from a lane that is gone.
//!
//! Deliveries that the former lane held are delivered again only when ack-wait has run out, while
//! the server already hands out what comes after them. So a lane that finds deliveries outstanding
//! when it receives its pin lets everything rest until ack-wait has passed, takes what is
//! outstanding, and works through all of it by sequence. Pure but for the clock.

use crate::delivery::source::Delivery;
use std::time::{Duration, Instant};

/// What an ordered lane does with its deliveries at the moment.
#[derive(Default)]
pub struct Failover {
    pin: Option<String>,
    rest: Option<Rest>,
}

/// Deliveries that must not be worked on yet.
struct Rest {
    /// When the former lane's deliveries have all run out of ack-wait.
    until: Instant,
    /// When to go on without those that have still not come: the stream may have let them go.
    at_the_latest: Instant,
    /// Of those, how many have not come yet.
    outstanding: usize,
    deliveries: Vec<Delivery>,
}

impl Failover {
    /// Whether `pin` is one that this lane has just received, so that it must ask the server what
    /// is outstanding.
    #[must_use]
    pub fn is_new(&self, pin: Option<&str>) -> bool {
        pin.is_some() && self.pin.as_deref() != pin
    }

    /// Begins under a new pin, with this many deliveries outstanding that others hold or held before.
    pub fn begin(&mut self, pin: Option<&str>, outstanding: usize, ack_wait: Duration) {
        self.pin = pin.map(ToOwned::to_owned);
        if outstanding > 0 {
            tracing::info!(
                outstanding,
                "waiting for deliveries that another host left unsettled, to keep the order"
            );
            let deliveries = self
                .rest
                .take()
                .map(|rest| rest.deliveries)
                .unwrap_or_default();
            let until = Instant::now() + ack_wait;
            self.rest = Some(Rest {
                until,
                at_the_latest: until + ack_wait,
                outstanding,
                deliveries,
            });
        }
    }

    /// How many more deliveries may be asked for: all that `room` has, none while the former
    /// lane's are not due, then at least as many as are outstanding.
    #[must_use]
    pub fn room(&self, room: usize) -> usize {
        match &self.rest {
            None => room,
            Some(rest) if Instant::now() < rest.until => 0,
            Some(rest) => rest.outstanding.max(1),
        }
    }

    /// When `room` changes by itself.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        let rest = self.rest.as_ref()?;
        Some(if rest.until > Instant::now() {
            rest.until
        } else {
            rest.at_the_latest
        })
    }

    /// Takes deliveries in; gives out, by sequence, those that may be worked on.
    #[must_use]
    pub fn pass(&mut self, deliveries: Vec<Delivery>) -> Vec<Delivery> {
        let Some(rest) = &mut self.rest else {
            return deliveries;
        };
        let again = deliveries
            .iter()
            .filter(|delivery| delivery.message.attempt > 1)
            .count();
        rest.outstanding = rest.outstanding.saturating_sub(again);
        rest.deliveries.extend(deliveries);
        if rest.outstanding > 0 && Instant::now() < rest.at_the_latest {
            return Vec::new();
        }
        let mut released = self
            .rest
            .take()
            .map(|rest| rest.deliveries)
            .unwrap_or_default();
        released.sort_by_key(|delivery| delivery.message.sequence);
        released
    }

    /// How many deliveries rest.
    #[must_use]
    pub fn resting(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| rest.deliveries.len())
    }

    /// What rests, for a lane that stops.
    #[must_use]
    pub fn give_up(&mut self) -> Vec<Delivery> {
        self.rest
            .take()
            .map(|rest| rest.deliveries)
            .unwrap_or_default()
    }
}
