//! What is remembered of a card, and the rules that need it.

use crate::Memory;
use crate::payment::{Alert, Payment, Place};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// So many payments must be declined within [`DECLINED_WITHIN`] before one is accepted.
const DECLINED: usize = 3;
/// In milliseconds, as all times here.
const DECLINED_WITHIN: u64 = 60_000;
/// Nobody is faster, not even by plane.
const KILOMETRES_AN_HOUR: u128 = 900;
/// What lies closer together may be two terminals of one airport.
const NEAR_KILOMETRES: u128 = 50;
/// How long a device is new to a card.
const NEW_DEVICE: u64 = 10 * 60_000;
/// What is a lot to pay with a new one, in cents.
const LARGE: u64 = 50_000;
/// Devices of a card that are remembered; beyond, the first one is forgotten.
const DEVICES: usize = 16;

#[derive(Default, Deserialize, Serialize)]
pub struct Card {
    /// When and where the last payment was.
    last: Option<(u64, Place)>,
    /// When the last payments were declined; at most [`DECLINED`].
    declined: VecDeque<u64>,
    /// Each device with its first use.
    devices: Vec<(String, u64)>,
}

impl Memory for Card {
    fn last(&self) -> u64 {
        self.last.map_or(0, |(time, _)| time)
    }

    fn see<'a>(&mut self, payment: &'a Payment) -> Vec<Alert<'a>> {
        let alerts = [
            self.declines(payment),
            self.travel(payment),
            self.device(payment),
        ];
        self.remember(payment);
        alerts.into_iter().flatten().collect()
    }
}

impl Card {
    /// Somebody tries numbers or amounts until one is taken.
    fn declines<'a>(&self, payment: &'a Payment) -> Option<Alert<'a>> {
        let first = self.declined.front().copied()?;
        let since = payment.time.saturating_sub(first);
        let found = payment.accepted && self.declined.len() == DECLINED && since < DECLINED_WITHIN;
        let text = || {
            format!(
                "accepted {} s after the first of {DECLINED} declined",
                since / 1000
            )
        };
        found.then(|| payment.breaks("declines", text()))
    }

    /// The card is in two places.
    fn travel<'a>(&self, payment: &'a Payment) -> Option<Alert<'a>> {
        const HOUR: u128 = 3_600_000;
        let (time, place) = self.last?;
        let milliseconds = payment.time.saturating_sub(time);
        let squared = payment.place.distance_squared(place);
        let reach = KILOMETRES_AN_HOUR * u128::from(milliseconds);
        let found = squared > NEAR_KILOMETRES.pow(2) && squared * HOUR.pow(2) > reach.pow(2);
        let text = || format!("{} km in {} s", squared.isqrt(), milliseconds / 1000);
        found.then(|| payment.breaks("travel", text()))
    }

    /// A device of which nobody knows yet whose it is pays a lot. The first one of a card is its owner's.
    fn device<'a>(&self, payment: &'a Payment) -> Option<Alert<'a>> {
        let known = self.devices.iter().skip(1);
        let (_, first) = known
            .into_iter()
            .find(|(device, _)| *device == payment.device)?;
        let since = payment.time.saturating_sub(*first);
        let found = payment.accepted && payment.cents >= LARGE && since <= NEW_DEVICE;
        let text = || {
            format!(
                "{} cents {} s after the first use",
                payment.cents,
                since / 1000
            )
        };
        found.then(|| payment.breaks("device", text()))
    }

    fn remember(&mut self, payment: &Payment) {
        // One that comes late does not turn the time back.
        self.last = Some((self.last().max(payment.time), payment.place));
        if !payment.accepted {
            self.declined.push_back(payment.time);
            if self.declined.len() > DECLINED {
                self.declined.pop_front();
            }
        }
        if !self
            .devices
            .iter()
            .any(|(device, _)| *device == payment.device)
        {
            if self.devices.len() == DEVICES {
                self.devices.remove(1);
            }
            self.devices.push((payment.device.clone(), payment.time));
        }
    }
}
