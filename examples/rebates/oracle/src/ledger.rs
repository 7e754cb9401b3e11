//! The oracle: what the rebates must be, from what happened rather than from what was sent.
//!
//! It keeps an account of every order over the whole run, in the manner of a nightly batch, and
//! books each event as the difference between what the order deserves after it and what it deserved
//! before. The plugin has no such memory and reads the same numbers out of each message, so the two
//! agree only if both are right. They share no code.
//!
//! The policy: each category gives a percentage of its price; the sum over the order is rounded once,
//! half a cent up, and capped. Sending pieces back takes away exactly what they had earned: over all
//! its refunds an order never gives back a cent more or less than it got.

use crate::generate::{Event, Fact};
use crate::malformed::Malformed;
use crate::shop::Order;
use std::collections::{BTreeMap, HashMap};

/// Rebate of each category in hundredths of a percent. Those absent earn nothing.
pub const RATES: [(&str, u64); 7] = [
    ("antiques", 50),
    ("books", 500),
    ("games", 1_000),
    ("garden", 300),
    ("grocery", 100),
    ("music", 725),
    ("toys", 250),
];

/// The most that one order earns, in cents.
pub const CAP_CENTS: u64 = 2_500;

/// One rebate or claw-back that must be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub user: String,
    /// Negative for a refund; never 0.
    pub cents: i64,
    /// How often the shops told it; a repeated event makes a repeated output, under the same id.
    pub copies: u64,
}

/// A message that must become a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Position in the input, from 1: its sequence, where the input alone fills the stream.
    pub sequence: u64,
    pub subject: String,
    pub payload: Vec<u8>,
    pub malformed: Malformed,
}

/// Everything that a run over the events must lead to.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    pub events: u64,
    /// By id: `<order>/paid`, `<order>/refund-<number>`.
    pub entries: BTreeMap<String, Entry>,
    /// Those ids, in the order in which they were told first.
    pub ids: Vec<String>,
    /// Messages on `rebates.>`, copies included.
    pub outputs: u64,
    /// Messages that rightly lead to nothing.
    pub drops: u64,
    pub dead: Vec<Dead>,
}

impl Expected {
    /// Rebates less claw-backs of each user, in cents, every id counted once.
    #[must_use]
    pub fn users(&self) -> BTreeMap<&str, i64> {
        let mut users = BTreeMap::new();
        for entry in self.entries.values() {
            *users.entry(entry.user.as_str()).or_default() += entry.cents;
        }
        users
    }
}

/// What is left of an order.
#[derive(Debug)]
struct Account {
    /// Pieces that were not sent back, for each line.
    kept: Vec<u64>,
    /// What the order has earned so far, in cents.
    earned: i64,
}

/// The books of all shops.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: HashMap<String, Account>,
    /// By id, what each event changed; an event that is told again changes nothing.
    booked: HashMap<String, i64>,
    expected: Expected,
}

impl Ledger {
    /// Reads all `events` and says what they must lead to.
    pub fn of(events: impl IntoIterator<Item = Event>) -> Expected {
        let mut ledger = Self::default();
        events.into_iter().for_each(|event| ledger.add(event));
        ledger.expected
    }

    /// Books one event.
    fn add(&mut self, event: Event) {
        self.expected.events += 1;
        // A malformed event is booked as well: the customer did pay, or did send back. Only the
        // message about it is lost, until the shop corrects it.
        let booked = self.book(&event.order, &event.fact);
        if let Some(malformed) = event.malformed {
            self.expected.dead.push(Dead {
                sequence: self.expected.events,
                subject: event.subject,
                payload: event.payload,
                malformed,
            });
            return;
        }
        match booked {
            Some((id, cents)) if cents != 0 => {
                self.expected.outputs += 1;
                let user = event.order.user.clone();
                if !self.expected.entries.contains_key(&id) {
                    self.expected.ids.push(id.clone());
                }
                let entry = self.expected.entries.entry(id);
                entry
                    .or_insert(Entry {
                        user,
                        cents,
                        copies: 0,
                    })
                    .copies += 1;
            }
            _ => self.expected.drops += 1,
        }
    }

    /// The id of the event and what it changes, in cents. `None` for one that moves no money.
    fn book(&mut self, order: &Order, fact: &Fact) -> Option<(String, i64)> {
        let (id, pieces) = match fact {
            Fact::Placed | Fact::Cancelled | Fact::Shipped => return None,
            Fact::Paid => (format!("{}/paid", order.id), &[][..]),
            Fact::Refunded { number, pieces } => {
                (format!("{}/refund-{number}", order.id), pieces.as_slice())
            }
        };
        if let Some(&cents) = self.booked.get(&id) {
            return Some((id, cents));
        }
        let account = self
            .accounts
            .entry(order.id.clone())
            .or_insert_with(|| Account {
                kept: order.lines.iter().map(|line| line.quantity).collect(),
                earned: 0,
            });
        for (kept, back) in account.kept.iter_mut().zip(pieces) {
            *kept = kept.saturating_sub(*back);
        }
        let earned = deserved(order, &account.kept);
        let change = earned - account.earned;
        account.earned = earned;
        self.booked.insert(id.clone(), change);
        Some((id, change))
    }
}

/// What an order deserves for the pieces that were kept, in cents.
fn deserved(order: &Order, kept: &[u64]) -> i64 {
    // A cent has ten thousand parts: prices are in cents, rates in ten-thousandths.
    const PARTS: u128 = 10_000;
    let mut parts: u128 = 0;
    for (line, &kept) in order.lines.iter().zip(kept) {
        for (category, rate) in RATES {
            if category == line.category {
                parts += u128::from(rate) * u128::from(kept) * u128::from(line.unit_cents);
            }
        }
    }
    let (whole, rest) = (parts / PARTS, parts % PARTS);
    let rounded = whole + u128::from(rest * 2 >= PARTS);
    rounded.min(u128::from(CAP_CENTS)) as i64
}

#[cfg(test)]
mod tests;
