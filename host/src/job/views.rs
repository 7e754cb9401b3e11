//! The values of views: the key and the value for each result, or for each value of the state. Pure.
//!
//! They are committed with the results (`jetstream/batch.rs`), and the bucket of each view sources them from the
//! job's stream (`nats/views.rs`). Which keys a bucket can have is in `nats/views/key.rs`.

use crate::config::resolved::{View, ViewFrom};
use crate::headers::block::ForeignLines;
use crate::headers::{HOPS, KV_OPERATION, TTL};
use crate::message::Message;
use crate::nats::views::{MARKER, key};
use crate::outgoing::OutgoingMessage;
use crate::state::Shown;
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::HashSet;

/// Nanoseconds in a second. The server takes a time to live in seconds.
const SECOND: u64 = 1_000_000_000;
/// Values that expire later than this are kept forever, in nanoseconds: a hundred years.
const FOR_EVER: u64 = 100 * 365 * 24 * 3600 * SECOND;
/// How much longer the server keeps a value that expires than the job does, in seconds: it removes what no host does.
const LONGER: u64 = 10;
/// What a value takes besides its key and its bytes, about: the subject and the headers.
const OVERHEAD: usize = 128;

/// What a result is in these views; nothing in those for which it has no key. The subject of a value is
/// `<view>.<partition>.<key>`. Its headers are the host's alone: readers trust what they say.
pub(super) fn values(
    views: &[View],
    partition: u16,
    result: &OutgoingMessage,
) -> impl Iterator<Item = OutgoingMessage> {
    let as_message = Message {
        subject: result.subject.clone(),
        payload: result.payload.clone(),
        headers: result.headers.iter().cloned().collect(),
        key: result.key.clone(),
        source: None,
        event_time: 0,
        sequence: 0,
        attempt: 1,
        watermark: None,
        is_late: false,
        foreign: None,
    };
    let is_deleted = result.payload.is_empty();
    let delete = is_deleted.then(|| (KV_OPERATION.into(), "DEL".into()));
    let hops = result.headers.iter().filter(|(name, _)| name == HOPS);
    let headers: Vec<_> = hops.cloned().chain(delete).collect();
    let of_results = views.iter().filter(|view| view.from == ViewFrom::Results);
    of_results.filter_map(move |view| {
        let key = key::escape(&view.key.extract(&as_message)?)?;
        Some(OutgoingMessage {
            is_late: false,
            subject: ByteString::from(format!("{}.{partition}.{key}", view.name)),
            id: result.id.clone(),
            digest: result.digest.clone(),
            headers: headers.clone(),
            foreign: ForeignLines::new(),
            payload: result.payload.clone(),
            key: None,
        })
    })
}

/// The value of a view for a value of the state; none if a bucket cannot have its key. A value that is
/// deleted, has expired, or is longer than `longest` deletes its key there, so that no older value remains.
/// The number of expired keys is unlimited, so the marker of an expired key is itself temporary.
pub(super) fn of_state(
    view: &View,
    partition: u16,
    shown: &Shown<'_>,
    longest: usize,
) -> Option<OutgoingMessage> {
    let key = str::from_utf8(shown.key).ok()?;
    let key = key::escape(&view.key.of_key(key)?)?;
    let value = shown.value.filter(|value| value.len() <= longest);
    let keep = |seconds: u64| (TTL.into(), format!("{seconds}s").into());
    let headers = match (value, shown.left) {
        (None, Some(0)) => vec![(KV_OPERATION.into(), "PURGE".into()), keep(MARKER / SECOND)],
        (None, _) => vec![(KV_OPERATION.into(), "DEL".into())],
        (Some(_), Some(left)) if left < FOR_EVER => vec![keep(left.div_ceil(SECOND) + LONGER)],
        (Some(_), _) => Vec::new(),
    };
    Some(OutgoingMessage {
        is_late: false,
        subject: ByteString::from(format!("{}.{partition}.{key}", view.name)),
        id: None,
        digest: None,
        headers,
        foreign: ForeignLines::new(),
        payload: Bytes::copy_from_slice(value.unwrap_or_default()),
        key: None,
    })
}

/// Bytes of that, about.
pub(super) fn size(shown: &Shown<'_>) -> usize {
    shown.key.len() + shown.value.map_or(0, <[u8]>::len) + OVERHEAD
}

/// Keeps of several values of one key the last.
pub(super) fn keep_last(values: &mut Vec<OutgoingMessage>) {
    let mut seen = HashSet::new();
    values.reverse();
    values.retain(|value| seen.insert(value.subject.clone()));
    values.reverse();
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::config::template::KeyRule;

    fn view(name: &str, key: &str) -> View {
        View {
            name: name.to_owned(),
            from: ViewFrom::Results,
            key: KeyRule::of_result(key).unwrap(),
            bucket: "b".to_owned(),
            ttl: None,
        }
    }

    fn result(key: &str, payload: &'static str) -> OutgoingMessage {
        OutgoingMessage {
            is_late: false,
            subject: "out.a".into(),
            id: None,
            digest: None,
            headers: vec![
                ("kv-operation".into(), "PURGE".into()),
                ("Weir-Commit".into(), "0.1".into()),
                ("User".into(), "u".into()),
            ],
            foreign: Default::default(),
            payload: payload.into(),
            key: Some(key.into()),
        }
    }

    #[test]
    fn a_result_is_a_value_of_each_view_for_which_it_has_a_key() {
        let views = [
            view("v", "{key}"),
            view("s", "{subject[1]}"),
            view("u", "{payload:/user}"),
            view("h", "{header:User}"),
        ];
        let found = |result| -> Vec<_> {
            let values = values(&views, 3, &result);
            values.map(|value| value.subject.to_string()).collect()
        };
        assert_eq!(
            found(result("k 1", "{\"user\":7}")),
            ["v.3.k=201", "s.3.a", "u.3.7", "h.3.u"]
        );
        let others = ["s.3.a", "h.3.u"];
        assert_eq!(found(result("", "x")), others);
        assert_eq!(found(result(&"x".repeat(10_000), "x")), others);
    }

    #[test]
    fn only_a_result_without_a_payload_deletes_its_key_and_no_header_of_it_counts() {
        let views = [view("v", "{key}")];
        let headers = |payload| {
            let result = result("k", payload);
            values(&views, 0, &result).next().unwrap().headers
        };
        assert_eq!(headers("x"), []);
        assert_eq!(headers(""), [(KV_OPERATION.into(), "DEL".into())]);
    }

    #[test]
    fn a_value_of_the_state_says_how_long_it_is_there_and_one_that_no_message_holds_is_none() {
        let mut view = view("v", "{key}");
        view.key = KeyRule::of_state("of/{key}").unwrap();
        let of = |key: &'static [u8], value, left| {
            let shown = Shown { key, value, left };
            let value = of_state(&view, 3, &shown, 4)?;
            let headers = value.headers.iter();
            let headers = headers.map(|(name, value)| format!("{name}: {value}"));
            let headers = headers.collect::<Vec<_>>().join(", ");
            Some((value.subject.to_string(), value.payload, headers))
        };
        let is = |payload: &'static str, headers: &str| {
            let subject = "v.3.of/k=201".to_owned();
            Some((subject, payload.into(), headers.to_owned()))
        };
        assert_eq!(of(b"k 1", Some(b"1234"), None), is("1234", ""));
        for (left, seconds) in [(1, "11s"), (SECOND, "11s"), (SECOND + 1, "12s")] {
            let header = format!("Nats-TTL: {seconds}");
            assert_eq!(of(b"k 1", Some(b"1"), Some(left)), is("1", &header));
        }
        assert_eq!(of(b"k 1", Some(b"1"), Some(u64::MAX)), is("1", ""));
        let expired = is("", "KV-Operation: PURGE, Nats-TTL: 3600s");
        assert_eq!(of(b"k 1", None, Some(0)), expired);
        let gone = is("", "KV-Operation: DEL");
        assert_eq!(of(b"k 1", None, None), gone);
        assert_eq!(of(b"k 1", Some(b"12345"), Some(1)), gone);
        assert_eq!(of(b"k 1", Some(b"12345"), None), gone);
        assert_eq!(of(b"", Some(b"1"), None), None);
        assert_eq!(of(b"\xff", Some(b"1"), None), None);
    }

    #[test]
    fn the_last_value_of_each_key_is_kept_in_its_place() {
        let views = [view("v", "{key}")];
        let results = [("a", "1"), ("b", "2"), ("a", "3")];
        let results = results.map(|(key, payload)| result(key, payload));
        let mut all: Vec<_> = results
            .iter()
            .flat_map(|one| values(&views, 0, one))
            .collect();
        keep_last(&mut all);
        let left: Vec<_> = all
            .iter()
            .map(|one| (&*one.subject, &*one.payload))
            .collect();
        assert_eq!(left, [("v.0.b", &b"2"[..]), ("v.0.a", &b"3"[..])]);
    }
}
