//! The generator: each sensor wakes up every ten minutes and sends three readings within a minute.
//!
//! Numbers count the readings that there would be without gaps, in rounds of ten minutes.

use serde_json::json;

/// Noon of 24 October 2025 UTC, in milliseconds: one and a half days before the clocks are set back in Hamburg.
const START: u64 = 1_761_307_200_000;
const MINUTE: u64 = 60_000;
/// How often a sensor wakes up.
const ROUND: u64 = 10 * MINUTE;
/// How many readings it sends then.
const EACH: u64 = 3;
const SENSORS: u64 = 6;
const SLOTS: u64 = SENSORS * EACH;
/// Rounds that have one gap of a sensor, or none.
const GAP_BLOCK: u64 = 48;
/// Rounds that have one drift of a sensor, or none: a day.
const DRIFT_BLOCK: u64 = 144;
/// How long readings are on their way, at most.
const ON_TIME: u64 = 40_000;
/// How long those that come late are: two rounds and a half.
const LATE: u64 = 25 * MINUTE;

/// The plants, with their time zones.
pub const PLANTS: [(&str, &str); 2] = [("hamburg", "Europe/Berlin"), ("pune", "Asia/Kolkata")];

/// A reading as it was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub number: u64,
    /// Milliseconds since the Unix epoch.
    pub time: u64,
    /// How long it was on its way, in milliseconds.
    pub delay: u64,
    pub sensor: u64,
    /// Micrometres a second.
    pub vibration: i64,
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

/// What is planted in a block of rounds of a sensor: the first round and the one behind the last.
fn planted(seed: u64, block: u64, sensor: u64, purpose: u64) -> (u64, u64) {
    let draw =
        |more: u64, bound: u64| random(seed, block * SENSORS + sensor, purpose + more) % bound;
    let (first, length) = match purpose {
        GAP => (8 + draw(1, 20), 4 + draw(2, 6)),
        _ => (60 + draw(1, 40), 40),
    };
    match draw(3, 2) {
        0 => (first, first + length),
        _ => (0, 0),
    }
}
const GAP: u64 = 100;
const DRIFT: u64 = 200;

/// The reading of this number, if its sensor is not silent, with what it is on its way if it is on time.
#[must_use]
pub fn reading(seed: u64, number: u64) -> Option<Reading> {
    let draw = |purpose: u64, bound: u64| random(seed, number, purpose) % bound;
    let (round, slot) = (number / SLOTS, number % SLOTS);
    let (sensor, of_three) = (slot / EACH, slot % EACH);
    let (begin, end) = planted(seed, round / GAP_BLOCK, sensor, GAP);
    if (begin..end).contains(&(round % GAP_BLOCK)) {
        return None;
    }
    let (begin, end) = planted(seed, round / DRIFT_BLOCK, sensor, DRIFT);
    let at = round % DRIFT_BLOCK;
    let drift = match (begin..end).contains(&at) {
        true => 20 * (at - begin),
        false => 0,
    };
    // No two sensors share a minute.
    let minute = round * ROUND + sensor * ROUND / SENSORS / MINUTE * MINUTE;
    Some(Reading {
        number,
        time: START + minute + 5_000 + of_three * 20_000 + draw(1, 10_000),
        delay: draw(2, ON_TIME),
        sensor,
        vibration: (1500 + 400 * sensor + drift + draw(3, 200)) as i64,
    })
}

/// The readings of the first numbers of a seed, in the order in which they come.
#[must_use]
pub fn readings(seed: u64, count: u64) -> Vec<Reading> {
    let reading_of = |number| {
        let mut reading = reading(seed, number)?;
        // The sensor sends others meanwhile: so its minute has ended when this one comes.
        let later = number + 2 * SLOTS;
        let is_overtaken = later < count && self::reading(seed, later).is_some();
        if number % EACH == 1 && is_overtaken && random(seed, number, 4).is_multiple_of(40) {
            reading.delay = LATE;
        }
        Some(reading)
    };
    let mut readings: Vec<Reading> = (0..count).filter_map(reading_of).collect();
    readings.sort_by_key(|reading| (reading.time + reading.delay, reading.number));
    readings
}

impl Reading {
    /// Whether its minute has ended when it comes.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.delay == LATE
    }

    #[must_use]
    pub fn plant(&self) -> (&'static str, &'static str) {
        PLANTS
            .get((self.sensor / 3) as usize)
            .copied()
            .unwrap_or_default()
    }

    #[must_use]
    pub fn device(&self) -> String {
        let plant = self.plant().0.get(..3).unwrap_or_default();
        format!("{plant}-{}", self.sensor % 3)
    }

    /// As its sensor publishes it.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("sensors.{}.{}", self.plant().0, self.device())
    }

    /// As its sensor publishes it.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let payload = json!({
            "plant": self.plant().0, "device": self.device(), "at": self.time,
            "vibration": self.vibration,
        });
        payload.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_readings_and_some_of_them_out_of_order_and_late() {
        let all = readings(1, 10_000);
        assert_eq!(all, readings(1, 10_000));
        assert_ne!(all, readings(2, 10_000));
        assert!(all.len() < 9_900, "there are no gaps");
        let out_of_order = all
            .iter()
            .zip(all.iter().skip(1))
            .filter(|(one, next)| one.time > next.time);
        assert!(out_of_order.count() > 500);
        let late = all.iter().filter(|reading| reading.is_late()).count();
        assert!((30..200).contains(&late), "{late}");
    }

    #[test]
    fn what_is_on_time_is_less_than_a_minute_behind_and_what_is_late_is_behind_its_own_sensor() {
        let (mut latest, mut of_sensor) = (0, [0; SENSORS as usize]);
        for reading in readings(3, 20_000) {
            let own = of_sensor.get_mut(reading.sensor as usize);
            let Some(own) = own else { continue };
            match reading.is_late() {
                true => assert!(
                    reading.time / MINUTE * MINUTE + 2 * MINUTE < *own,
                    "{reading:?}"
                ),
                false => assert!(reading.time + MINUTE > latest, "{reading:?}"),
            }
            latest = latest.max(reading.time);
            *own = reading.time.max(*own);
        }
    }
}
