//! The generator: about an impression a second, and the clicks on it.

use serde_json::{Value, json};

/// Midnight of 1 November 2025 UTC, in milliseconds.
const START: u64 = 1_761_955_200_000;
const SECOND: u64 = 1000;
const CAMPAIGNS: u64 = 5;
const USERS: u64 = 400;
/// Impressions that have one planted burst of clicks among them.
const BLOCK: u64 = 300;
/// How long messages are on their way, at most: they come out of order by less than the pipelines' `bound`.
const DELAY: u64 = 8 * SECOND;

/// An ad that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impression {
    pub number: u64,
    pub campaign: u64,
    pub user: u64,
    /// Milliseconds since the Unix epoch, as all times here.
    pub time: u64,
}

/// A click on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Click {
    pub id: String,
    /// The number of the impression; there is none for some clicks.
    pub impression: u64,
    pub user: String,
    pub time: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Impression(Impression),
    Click(Click),
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

/// The impression of this number and the clicks that come with it: those on it, and those of a burst that begins
/// with it.
fn around(seed: u64, number: u64) -> (Impression, Vec<Click>) {
    let draw = |purpose: u64, bound: u64| random(seed, number, purpose) % bound;
    let impression = Impression {
        number,
        campaign: draw(0, CAMPAIGNS),
        user: draw(1, USERS),
        time: START + number * SECOND + draw(2, SECOND),
    };
    let click = |at: u64, after: u64| Click {
        id: format!("k-{number}-{at}"),
        // Of one in 40 nobody has ever heard.
        impression: if draw(3, 40) == 0 {
            u64::MAX - number
        } else {
            number
        },
        user: format!("u-{}", impression.user),
        time: impression.time + after,
    };
    let mut clicks = Vec::new();
    // Campaigns are clicked on more or less often, and some clicks are the second on their impression.
    if draw(4, 20) < 2 + impression.campaign {
        // One in 30 comes when it does not count any more, and some at the last moment at which it does.
        let after = match draw(5, 30) {
            0 => 30 * 60 * SECOND + 1 + draw(6, 600 * SECOND),
            1 => 30 * 60 * SECOND,
            _ => draw(7, 1500 * SECOND),
        };
        clicks.push(click(0, after));
        if draw(8, 10) == 0 {
            clicks.push(click(1, after + 20 * SECOND + draw(9, 60 * SECOND)));
        }
    }
    if number.is_multiple_of(BLOCK) {
        // From less than a burst to more than one. A robot clicks on what was shown to others.
        let mut time = impression.time + 60 * SECOND;
        for at in 0..7 + draw(10, 12) {
            time += 300 + random(seed, number + at, 11) % (3 * SECOND);
            clicks.push(Click {
                id: format!("b-{number}-{at}"),
                impression: number.saturating_sub(at * 3),
                user: format!("r-{}", draw(12, 20)),
                time,
            });
        }
    }
    (impression, clicks)
}

/// The events around the first impressions of a seed, in the order in which they come. Some come twice.
#[must_use]
pub fn events(seed: u64, count: u64) -> Vec<Event> {
    let mut arriving = Vec::new();
    let mut arrive = |number: u64, of: u64, time: u64, event: Event| {
        let delay = |purpose: u64| random(seed, number, purpose + of) % DELAY;
        arriving.push((time + delay(1000), number, of, event.clone()));
        if random(seed, number, 3000 + of).is_multiple_of(30) {
            arriving.push((time + delay(2000), number, of, event));
        }
    };
    for number in 0..count {
        let (impression, clicks) = around(seed, number);
        arrive(number, 0, impression.time, Event::Impression(impression));
        for (of, click) in (1..).zip(clicks) {
            arrive(number, of, click.time, Event::Click(click));
        }
    }
    arriving.sort_by_key(|(time, number, of, _)| (*time, *number, *of));
    arriving.into_iter().map(|(_, _, _, event)| event).collect()
}

impl Impression {
    #[must_use]
    pub fn campaign_name(&self) -> String {
        format!("c-{}", self.campaign)
    }

    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "id": format!("i-{}", self.number), "campaign": self.campaign_name(),
            "user": format!("u-{}", self.user), "at": self.time,
        })
    }
}

impl Click {
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "id": self.id, "impression": format!("i-{}", self.impression), "user": self.user,
            "at": self.time,
        })
    }
}

impl Event {
    /// As it is published.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::Impression(impression) => format!("impressions.{}", impression.campaign_name()),
            Self::Click(_) => "clicks.web".to_owned(),
        }
    }

    /// As it is published.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let payload = match self {
            Self::Impression(impression) => impression.json(),
            Self::Click(click) => click.json(),
        };
        payload.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_events_and_some_of_them_twice_and_out_of_order() {
        let all = events(1, 3000);
        assert_eq!(all, events(1, 3000));
        assert_ne!(all, events(2, 3000));
        let time = |event: &Event| match event {
            Event::Impression(impression) => impression.time,
            Event::Click(click) => click.time,
        };
        let impressions = all
            .iter()
            .filter(|event| matches!(event, Event::Impression(_)));
        assert!((3050..3200).contains(&impressions.count()));
        let (mut latest, mut behind) = (0, 0);
        for event in &all {
            assert!(time(event) + DELAY > latest);
            behind += u64::from(time(event) < latest);
            latest = latest.max(time(event));
        }
        assert!(behind > 500, "{behind}");
    }
}
