//! The servers of a cluster: the configured ones, and those that a server has named. Pure.
//!
//! Owns the order of the attempts and the pause between two rounds.

use rand::seq::SliceRandom;
use std::time::Duration;

/// The pause after the first round in which no server could be reached. It doubles with each round.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause. An outage that has ended is noticed after half of it on average.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Servers that are remembered besides the configured ones.
const MOST_NAMED: usize = 256;

/// An address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub host: String,
    pub port: u16,
    /// Whether the scheme `tls://` demands TLS.
    pub tls: bool,
}

impl Address {
    /// `nats://host:port`, `tls://host`, or `host:port` as servers name each other.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("nats", text));
        let rest = rest.trim_end_matches('/');
        // The colons of an IPv6 address are in brackets.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
            _ => (rest, 4222),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| Self {
            host: host.to_owned(),
            port,
            tls: scheme == "tls",
        })
    }
}

/// The servers, in the order in which they are tried.
#[derive(Debug)]
pub(super) struct Servers {
    configured: Vec<Address>,
    /// Those that the latest server has named.
    named: Vec<Address>,
    /// What is left of the present round, last first.
    round: Vec<Address>,
    /// Rounds in which none was reached.
    failed: u32,
}

impl Servers {
    /// The configured ones alone; what is no address is left out.
    pub(super) fn new(configured: &[String]) -> Self {
        let configured = configured.iter().filter_map(|text| Address::parse(text));
        let configured: Vec<_> = configured.collect();
        Self {
            round: configured.iter().rev().cloned().collect(),
            configured,
            named: Vec::new(),
            failed: 0,
        }
    }

    /// A server has named those of its cluster. They inherit nothing: what they demand they say
    /// themselves.
    pub(super) fn name(&mut self, named: impl Iterator<Item = Address>) {
        let known = |address: &Address| {
            let mut known = self.configured.iter();
            known.any(|known| known.host == address.host && known.port == address.port)
        };
        self.named = named
            .filter(|named| !known(named))
            .take(MOST_NAMED)
            .collect();
    }

    /// The next to try; `None` at the end of a round.
    pub(super) fn next(&mut self) -> Option<Address> {
        self.round.pop()
    }

    /// A new round begins, in another order, with `last` at its end: a server that was lost is not
    /// asked first. The pause before it, if the last one has reached nobody.
    pub(super) fn begin_round(&mut self, last: Option<&Address>) -> Option<Duration> {
        let mut all: Vec<_> = self.configured.iter().chain(&self.named).cloned().collect();
        all.shuffle(&mut rand::rng());
        all.sort_by_key(|address| Some(address) != last);
        self.round = all;
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failed.min(16));
        let pause = (self.failed > 0).then(|| {
            // Hosts that have lost the same server come back at different times.
            let share = rand::random_range(0.5..1.0);
            doubled.min(LONGEST_PAUSE).mul_f64(share)
        });
        self.failed += 1;
        pause
    }

    /// One was reached.
    pub(super) fn reached(&mut self) {
        self.failed = 0;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        let expected = |host: &str, port, tls| Address {
            host: host.to_owned(),
            port,
            tls,
        };
        assert_eq!(address("nats://a.b:4223"), expected("a.b", 4223, false));
        assert_eq!(address("tls://a.b/"), expected("a.b", 4222, true));
        assert_eq!(address("10.0.0.1:4222"), expected("10.0.0.1", 4222, false));
        assert_eq!(address("nats://[::1]"), expected("::1", 4222, false));
        assert_eq!(address("[fe80::1]:9"), expected("fe80::1", 9, false));
        assert_eq!(Address::parse("nats://"), None);
        assert_eq!(Address::parse("a:port"), None);
    }

    #[test]
    fn a_round_has_every_server_once_and_the_lost_one_last() {
        let mut servers = Servers::new(&["nats://a".to_owned(), "nats://b".to_owned()]);
        assert_eq!(servers.next(), Some(address("nats://a")));
        servers.reached();
        servers.name(["b:4222", "c:4222"].into_iter().filter_map(Address::parse));
        for _ in 0..20 {
            servers.begin_round(Some(&address("nats://a")));
            let round: Vec<_> = std::iter::from_fn(|| servers.next()).collect();
            assert_eq!(round.len(), 3);
            assert_eq!(round.last(), Some(&address("nats://a")));
            assert!(round.contains(&address("nats://c")));
        }
    }

    #[test]
    fn the_pauses_grow_to_their_bound_and_begin_anew_when_a_server_is_reached() {
        let mut servers = Servers::new(&["nats://a".to_owned()]);
        assert_eq!(servers.begin_round(None), None);
        let mut longest = FIRST_PAUSE * 2;
        for _ in 0..100 {
            let pause = servers.begin_round(None).unwrap();
            assert!(pause <= longest.min(LONGEST_PAUSE) && pause >= FIRST_PAUSE);
            longest *= 2;
            longest = longest.min(LONGEST_PAUSE);
        }
        servers.reached();
        assert_eq!(servers.begin_round(None), None);
    }
}
