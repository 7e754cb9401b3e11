//! The generator: an endless evening in a few shops, cut after as many events as are asked for.
//!
//! Time is simulated. Orders arrive one by one, in a flash sale dozens at once, and each then goes
//! its own way through later events, which interleave with those of all other orders. What is due
//! later waits in a map ordered by time, so memory is bounded by the orders under way.

use crate::malformed::{self, Malformed};
use crate::random::Random;
use crate::shop::{CURRENCY, Market, Order, Sale};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Midnight of 1 November 2026 UTC, in milliseconds: when the first shop opens.
const OPENING: u64 = 1_793_491_200_000;
/// Events in ten thousand that are broken.
const MALFORMED_IN_10_000: u64 = 140;
/// Of the broken ones, those in a hundred that the shop notices and sends again, in order.
const CORRECTED_IN_100: u64 = 50;
/// Events in a thousand that a shop sends twice, byte for byte.
const DUPLICATED_IN_1_000: u64 = 8;

/// What happened to an order. The oracle reads this; the plugin only sees the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    Placed,
    Paid,
    Cancelled,
    Shipped,
    Refunded {
        /// 1 for the first refund of an order.
        number: u32,
        /// Pieces sent back with this refund, for each line of the order.
        pieces: Vec<u64>,
    },
}

impl Fact {
    /// Last token of the subject.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
            Self::Shipped => "shipped",
            Self::Refunded { .. } => "refunded",
        }
    }
}

/// One message as a shop sends it, and what it stands for.
#[derive(Clone, Debug)]
pub struct Event {
    /// `orders.<shop>.<event>`.
    pub subject: String,
    pub payload: Vec<u8>,
    pub order: Arc<Order>,
    /// True also of a malformed event: it happened, and was told badly.
    pub fact: Fact,
    pub malformed: Option<Malformed>,
}

/// An order on its way.
#[derive(Clone, Debug)]
struct Progress {
    order: Arc<Order>,
    next: Fact,
    /// Pieces sent back so far, for each line.
    refunded: Vec<u64>,
}

/// What is due at some time.
#[derive(Clone, Debug)]
enum Due {
    Next(Progress),
    /// The same bytes once more, or the corrected ones after broken ones.
    Again(Event),
}

/// The first `count` events of the shops that `seed` gives rise to.
#[must_use]
pub fn generate(seed: u64, count: u64) -> Generator {
    Generator {
        random: Random::new(seed),
        market: Market::new(),
        now: OPENING,
        next_order: OPENING,
        sale: None,
        due: BTreeMap::new(),
        scheduled: 0,
        left: count,
    }
}

/// Iterator over [`Event`]s; see [`generate`].
#[derive(Clone, Debug)]
pub struct Generator {
    random: Random,
    market: Market,
    /// Milliseconds since the Unix epoch.
    now: u64,
    /// When the next order is placed.
    next_order: u64,
    /// The flash sale that is on, and how many orders it still brings.
    sale: Option<(Sale, u64)>,
    /// By time, then by the order of scheduling.
    due: BTreeMap<(u64, u64), Due>,
    scheduled: u64,
    left: u64,
}

impl Iterator for Generator {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.left = self.left.checked_sub(1)?;
        if let Some(entry) = self.due.first_entry()
            && entry.key().0 <= self.next_order
        {
            let ((at, _), due) = entry.remove_entry();
            self.now = self.now.max(at);
            return Some(match due {
                Due::Next(progress) => self.tell(progress),
                Due::Again(event) => event,
            });
        }
        self.now = self.now.max(self.next_order);
        let progress = self.place();
        Some(self.tell(progress))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Generator {}

impl Generator {
    /// A new order, and when the one after it comes.
    fn place(&mut self) -> Progress {
        let sale = self.sale.map(|(sale, _)| sale);
        let order = self.market.order(&mut self.random, sale);
        self.sale = match self.sale {
            Some((sale, left)) if left > 1 => Some((sale, left - 1)),
            Some(_) => None,
            None if self.random.chance(3) => Some((
                self.market.sale(&mut self.random),
                self.random.between(40, 300),
            )),
            None => None,
        };
        let gap = match self.sale {
            Some(_) => self.random.between(0, 15),
            None => self.random.between(20, 1_500),
        };
        self.next_order = self.now + gap;
        let refunded = vec![0; order.lines.len()];
        Progress {
            order,
            next: Fact::Placed,
            refunded,
        }
    }

    /// Sends the event that is next for an order, and schedules what follows from it.
    fn tell(&mut self, mut progress: Progress) -> Event {
        let good = Event {
            subject: format!("orders.{}.{}", progress.order.shop, progress.next.name()),
            payload: payload(&progress, self.now).to_string().into_bytes(),
            order: Arc::clone(&progress.order),
            fact: progress.next.clone(),
            malformed: None,
        };
        if let Fact::Refunded { pieces, .. } = &progress.next {
            for (total, now) in progress.refunded.iter_mut().zip(pieces) {
                *total += now;
            }
        }
        self.follow(progress);
        self.disturb(good)
    }

    /// Schedules the next event of an order, if it has one.
    fn follow(&mut self, mut progress: Progress) {
        const SECOND: u64 = 1_000;
        const MINUTE: u64 = 60 * SECOND;
        let chance = self.random.below(100);
        let (next, earliest, latest) = match (&progress.next, chance) {
            (Fact::Placed, 0..85) => (Some(Fact::Paid), SECOND, MINUTE),
            (Fact::Placed, 85..94) => (Some(Fact::Cancelled), 5 * SECOND, 2 * MINUTE),
            (Fact::Paid, 0..80) => (Some(Fact::Shipped), MINUTE, 20 * MINUTE),
            (Fact::Paid, 80..88) => (self.refund(&progress), 10 * SECOND, 5 * MINUTE),
            (Fact::Shipped, 0..12) => (self.refund(&progress), 5 * MINUTE, 40 * MINUTE),
            (Fact::Refunded { .. }, 0..40) => (self.refund(&progress), MINUTE, 20 * MINUTE),
            _ => (None, 0, 0),
        };
        if let Some(next) = next {
            progress.next = next;
            let at = self.now + self.random.between(earliest, latest);
            self.schedule(at, Due::Next(progress));
        }
    }

    /// The next refund of an order: all that is left, or a part of one line. `None` when nothing is.
    fn refund(&mut self, progress: &Progress) -> Option<Fact> {
        let mut pieces: Vec<u64> = progress
            .order
            .lines
            .iter()
            .zip(&progress.refunded)
            .map(|(line, refunded)| line.quantity - refunded)
            .collect();
        if pieces.iter().all(|&left| left == 0) {
            return None;
        }
        if self.random.chance(450) {
            let kept = pieces.iter().position(|&left| left > 0)?;
            for (position, left) in pieces.iter_mut().enumerate() {
                *left = if position == kept {
                    self.random.between(1, *left)
                } else {
                    0
                };
            }
        }
        let number = match progress.next {
            Fact::Refunded { number, .. } => number + 1,
            _ => 1,
        };
        Some(Fact::Refunded { number, pieces })
    }

    /// Now and then breaks an event or repeats it.
    fn disturb(&mut self, mut event: Event) -> Event {
        if self.random.below(10_000) < MALFORMED_IN_10_000 {
            let good = event.clone();
            let Event {
                subject, payload, ..
            } = &mut event;
            event.malformed = Some(malformed::break_event(&mut self.random, subject, payload));
            if self.random.below(100) < CORRECTED_IN_100 {
                let at = self.now + self.random.between(500, 5_000);
                self.schedule(at, Due::Again(good));
            }
        } else if self.random.chance(DUPLICATED_IN_1_000) {
            let at = self.now + self.random.between(10, 2_000);
            self.schedule(at, Due::Again(event.clone()));
        }
        event
    }

    fn schedule(&mut self, at: u64, due: Due) {
        self.scheduled += 1;
        self.due.insert((at, self.scheduled), due);
    }
}

/// The JSON of an event. A refund repeats the whole order with the pieces that went back before it:
/// that is what lets a reader without memory compute exactly what to claw back.
fn payload(progress: &Progress, at: u64) -> Value {
    let Progress {
        order,
        next,
        refunded,
    } = progress;
    let lines = |returned: Option<&[u64]>| -> Value {
        let mut lines = Vec::with_capacity(order.lines.len());
        for (position, line) in order.lines.iter().enumerate() {
            let mut value = json!({
                "category": line.category,
                "quantity": line.quantity,
                "unit_cents": line.unit_cents,
            });
            if let (Some(now), Some(fields)) = (returned, value.as_object_mut()) {
                fields.insert("refunded_before".into(), json!(refunded.get(position)));
                fields.insert("refunded".into(), json!(now.get(position)));
            }
            lines.push(value);
        }
        Value::Array(lines)
    };
    let (order, user) = (&order.id, &order.user);
    match next {
        Fact::Placed | Fact::Paid => json!({
            "order": order, "user": user, "currency": CURRENCY, "at": at, "lines": lines(None),
        }),
        Fact::Cancelled => json!({ "order": order, "user": user, "at": at, "reason": "customer" }),
        Fact::Shipped => json!({ "order": order, "user": user, "at": at, "carrier": "post" }),
        Fact::Refunded { number, pieces } => json!({
            "order": order, "user": user, "currency": CURRENCY, "at": at, "refund": number,
            "lines": lines(Some(pieces)),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a over what a reader of the input sees.
    fn digest(events: impl Iterator<Item = Event>) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for event in events {
            for byte in event.subject.bytes().chain(event.payload) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
        hash
    }

    #[test]
    fn the_events_of_a_seed_are_the_same_on_every_machine() {
        assert_eq!(digest(generate(42, 10_000)), 14_625_961_986_771_384_188);
        assert_ne!(digest(generate(42, 1_000)), digest(generate(43, 1_000)));
    }

    #[test]
    fn more_events_begin_with_the_same_ones() {
        assert_eq!(
            digest(generate(7, 9_000)),
            digest(generate(7, 18_000).take(9_000))
        );
    }
}
