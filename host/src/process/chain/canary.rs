//! Which messages a canary processes: a share of the keys, so that all messages of a key go to one version.
//!
//! Pure, and the same on every lane and host.

use crate::message::Message;

/// A share of all keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Hashes below this are in it.
    below: u64,
    /// The salt, from the version: each version gets different keys.
    salt: [u8; 8],
}

impl Share {
    /// `percent` of the keys, over 0 and at most 100, chosen by a version's digest.
    #[must_use]
    pub fn new(percent: f64, digest: &str) -> Self {
        let part = (percent / 100.0).clamp(0.0, 1.0);
        Self {
            // Saturates for the whole.
            below: (part * u64::MAX as f64) as u64,
            salt: head(digest.as_bytes()).to_le_bytes(),
        }
    }

    /// Whether a message of the source is in it: by its key, and where it has none by its sequence.
    #[must_use]
    pub fn picks(&self, source: &Message) -> bool {
        let sequence = source.sequence.to_le_bytes();
        let key = source
            .key
            .as_ref()
            .map_or(&sequence[..], |key| key.as_bytes());
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.salt);
        hasher.update(key);
        let hash = u64::from_le_bytes(first(hasher.finalize().as_bytes()));
        hash <= self.below
    }
}

fn head(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(first(blake3::hash(bytes).as_bytes()))
}

fn first(hash: &[u8; 32]) -> [u8; 8] {
    hash.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(key: Option<&str>, sequence: u64) -> Message {
        Message {
            watermark: None,
            is_late: false,
            foreign: None,
            subject: "in".into(),
            payload: bytes::Bytes::new(),
            headers: [].into_iter().collect(),
            key: key.map(Into::into),
            source: None,
            event_time: 0,
            sequence,
            attempt: 1,
        }
    }

    #[test]
    fn a_share_is_as_large_as_it_says_and_a_key_is_in_it_or_is_not() {
        for percent in [1.0, 10.0, 50.0, 99.0] {
            let share = Share::new(percent, "d1g");
            let picked = (0..20_000).filter(|number| {
                let key = number.to_string();
                let first = share.picks(&message(Some(&key), 1));
                assert_eq!(first, share.picks(&message(Some(&key), 2)));
                first
            });
            let found = picked.count() as f64 / 200.0;
            assert!((found - percent).abs() < 1.0, "{percent} % were {found} %");
        }
    }

    #[test]
    fn versions_try_different_keys_and_messages_without_a_key_are_chosen_one_by_one() {
        let (one, other) = (Share::new(50.0, "a"), Share::new(50.0, "b"));
        let differ = (0..1000).filter(|number| {
            let keyless = message(None, *number);
            one.picks(&keyless) != other.picks(&keyless)
        });
        assert!((400..600).contains(&differ.count()));
        assert!((0..1000).all(|number| Share::new(100.0, "a").picks(&message(None, number))));
    }
}
