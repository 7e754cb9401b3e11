//! The generator: payment after payment, about one a second, each from the seed and its number alone.
//!
//! Numbers are in blocks of [`BLOCK`]. In each block one fraud is planted, of one of four kinds in turn; what
//! is planted where follows from the number of the block.

use serde_json::json;

/// Midnight of 1 November 2026 UTC, in milliseconds.
const START: u64 = 1_793_491_200_000;
/// Payments that have one planted fraud between them.
pub const BLOCK: u64 = 200;
const CARDS: u64 = 20_000;
const MERCHANTS: u64 = 2_000;
/// Kilometres to the east and to the north of each city on the country's grid.
const CITIES: [(i32, i32); 12] = [
    (120, 80),
    (410, 160),
    (760, 90),
    (1180, 210),
    (230, 470),
    (590, 520),
    (980, 610),
    (1390, 480),
    (150, 930),
    (520, 1010),
    (890, 1120),
    (1310, 980),
];

/// A payment as it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// From 0; the id of the payment.
    pub number: u64,
    /// Milliseconds since the Unix epoch; later numbers have later times.
    pub time: u64,
    pub card: u64,
    pub merchant: u64,
    /// Of the card's own devices, or one that a thief has.
    pub device: u64,
    pub cents: u64,
    pub accepted: bool,
    pub city: usize,
}

/// What is planted in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    Declines,
    Travel,
    Device,
    Burst,
}

impl Planted {
    /// That of the block with this payment.
    #[must_use]
    pub fn near(number: u64) -> Self {
        match number / BLOCK % 4 {
            0 => Self::Declines,
            1 => Self::Travel,
            2 => Self::Device,
            _ => Self::Burst,
        }
    }
}

/// A number without a pattern for each seed, number and purpose: the finisher of SplitMix64.
fn random(seed: u64, number: u64, purpose: u64) -> u64 {
    let mut mixed = seed;
    for more in [number, purpose] {
        mixed = mixed.wrapping_add(more).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
    }
    mixed
}

/// The payment of this number.
#[must_use]
pub fn payment(seed: u64, number: u64) -> Payment {
    let draw = |purpose: u64, bound: u64| random(seed, number, purpose) % bound;
    let (block, at) = (number / BLOCK, number % BLOCK);
    // Of the fraud in this block; nobody else uses the card there.
    let victim = random(seed, block, 100) % CARDS;
    let card = match draw(0, CARDS) {
        card if card == victim => (card + 1) % CARDS,
        card => card,
    };
    let ordinary = |card: u64| Payment {
        number,
        time: START + number * 1000 + draw(1, 1000),
        card,
        merchant: draw(2, MERCHANTS),
        // One payment in 20 is with the telephone.
        device: u64::from(draw(3, 20) == 0),
        cents: match draw(4, 50) {
            0 => 50_000 + draw(5, 200_000),
            _ => 100 + draw(5, 30_000),
        },
        accepted: draw(6, 32) != 0,
        // One payment in 64 is on a journey.
        city: match draw(7, 64) {
            0 => draw(8, 12) as usize,
            _ => home(card),
        },
    };
    let of_victim = || Payment {
        device: 0,
        cents: 100 + draw(5, 30_000),
        accepted: true,
        city: home(victim),
        ..ordinary(victim)
    };
    match (Planted::near(number), at) {
        (Planted::Declines, 20 | 33 | 47) => Payment {
            accepted: false,
            ..of_victim()
        },
        (Planted::Declines, 60) | (Planted::Travel, 30) | (Planted::Device, 10) => of_victim(),
        (Planted::Travel, 50) => Payment {
            city: (home(victim) + 6) % 12,
            ..of_victim()
        },
        (Planted::Device, 40) => Payment {
            device: 1000 + block,
            ..of_victim()
        },
        (Planted::Device, 90) => Payment {
            device: 1000 + block,
            cents: 60_000 + draw(5, 90_000),
            ..of_victim()
        },
        (Planted::Burst, 20..60) if at % 2 == 0 => Payment {
            merchant: random(seed, block, 101) % MERCHANTS,
            ..ordinary(card)
        },
        _ => ordinary(card),
    }
}

/// The first payments of a seed.
pub fn payments(seed: u64, count: u64) -> impl Iterator<Item = Payment> {
    (0..count).map(move |number| payment(seed, number))
}

fn home(card: u64) -> usize {
    (random(0, card, 200) % 12) as usize
}

impl Payment {
    /// Where it was, in kilometres to the east and to the north.
    #[must_use]
    pub fn place(&self) -> (i32, i32) {
        CITIES.get(self.city).copied().unwrap_or_default()
    }

    /// The key of its card.
    #[must_use]
    pub fn card_name(&self) -> String {
        format!("c-{}", self.card)
    }

    /// The key of its merchant.
    #[must_use]
    pub fn merchant_name(&self) -> String {
        format!("m-{}", self.merchant)
    }

    /// As its terminal publishes it.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("payments.city-{}", self.city)
    }

    /// As its terminal publishes it.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let (east, north) = self.place();
        let payload = json!({
            "id": self.number, "time": self.time, "card": self.card_name(),
            "merchant": self.merchant_name(), "device": format!("d-{}-{}", self.card, self.device),
            "cents": self.cents, "accepted": self.accepted,
            "place": { "east": east, "north": north },
        });
        payload.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_rise_with_the_numbers_and_a_seed_always_gives_the_same() {
        let all: Vec<Payment> = payments(1, 1000).collect();
        assert!(all.is_sorted_by(|one, next| one.time < next.time));
        assert_eq!(all.last(), Some(&payment(1, 999)));
        assert_ne!(payment(1, 999), payment(2, 999));
    }
}
