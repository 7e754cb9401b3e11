//! The parts of a message that a dead letter omits (`dead-letter.redact`). Pure.

use crate::config::resolved::Redact;
use crate::message::{Foreign, Message};
use bytes::Bytes;
use std::ops::Range;

/// In the place of a value.
pub(super) const REDACTED: &str = "[redacted]";

/// The message without its redacted parts; `None` if nothing is redacted.
pub(super) fn redacted(redact: &Redact, message: &Message) -> Option<Message> {
    let is_meant = |name: &str| {
        redact
            .headers
            .iter()
            .any(|each| each.eq_ignore_ascii_case(name))
    };
    let headers = message
        .headers
        .iter()
        .map(|(name, value)| match is_meant(name) {
            true => (name.clone(), REDACTED.into()),
            false => (name.clone(), value.clone()),
        });
    let kept = Message {
        headers: headers.collect(),
        foreign: match redact.headers.is_empty() {
            true => message.foreign.clone(),
            false => message.foreign.as_deref().and_then(|parts| {
                let lines = parts
                    .lines
                    .iter()
                    .filter(|line| name(line).is_some_and(|name| !is_meant(name)));
                // The block as it was has what is not kept.
                Foreign::of(parts.subject.clone(), lines.cloned().collect(), None)
            }),
        },
        payload: payload(redact, &message.payload),
        ..message.clone()
    };
    let is_whole = kept.headers == message.headers
        && kept.foreign == message.foreign
        && kept.payload == message.payload;
    (!is_whole).then_some(kept)
}

/// The name of a line that is no text; `None` if it goes on with the line before, or has no plain name.
fn name(line: &Bytes) -> Option<&str> {
    let end = memchr::memchr(b':', line)?;
    let name = std::str::from_utf8(line.get(..end)?).ok()?;
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain.then_some(name)
}

/// With the values replaced, and all else byte for byte.
fn payload(redact: &Redact, payload: &Bytes) -> Bytes {
    if redact.fields.is_empty() || payload.is_empty() {
        return payload.clone();
    }
    let spans = redact.fields.iter().map(|field| field.spans(payload));
    let Some(spans) = spans.collect::<Option<Vec<_>>>() else {
        return Bytes::from_static(REDACTED.as_bytes());
    };
    let mut spans: Vec<Range<usize>> = spans.into_iter().flatten().collect();
    // Of two that overlap, one is within the other, and the outer one comes first.
    spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let (mut kept, mut end) = (Vec::with_capacity(payload.len()), 0);
    for span in spans {
        if span.start < end {
            continue;
        }
        kept.extend_from_slice(payload.get(end..span.start).unwrap_or_default());
        kept.extend_from_slice(format!("\"{REDACTED}\"").as_bytes());
        end = span.end;
    }
    kept.extend_from_slice(payload.get(end..).unwrap_or_default());
    kept.into()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::Pointer;

    #[test]
    fn no_line_of_a_header_is_kept_that_may_go_on_with_one_that_is_not() {
        let redact = Redact {
            fields: Vec::new(),
            headers: vec!["Authorization".to_owned()],
        };
        let plain = Message {
            watermark: None,
            is_late: false,
            foreign: None,
            subject: "s".into(),
            payload: Bytes::from_static(b"{}"),
            headers: [("City".into(), "Ulm".into())].into_iter().collect(),
            key: None,
            source: None,
            event_time: 1,
            sequence: 1,
            attempt: 1,
        };
        let lines: [&[u8]; 5] = [
            b"Authorization: B\xff",
            b" more: B\xff",
            b"Authorization\0: B\xff",
            b"B\xff",
            b"City: M\xfc",
        ];
        let lines = lines.map(Bytes::from_static).into_iter().collect();
        let message = Message {
            foreign: Foreign::of(None, lines, Some(Bytes::from_static(b"all of it"))),
            ..plain.clone()
        };
        let kept = redacted(&redact, &message).unwrap().foreign.unwrap();
        let lines: Vec<&[u8]> = kept.lines.iter().map(|line| &**line).collect();
        assert_eq!((lines, &kept.block), (vec![&b"City: M\xfc"[..]], &None));
        assert_eq!(redacted(&redact, &plain), None);
    }

    fn after(fields: &[&str], before: &'static str) -> String {
        let redact = Redact {
            fields: fields
                .iter()
                .map(|text| Pointer::parse(text).unwrap())
                .collect(),
            headers: Vec::new(),
        };
        let bytes = payload(&redact, &Bytes::from_static(before.as_bytes()));
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn what_is_named_is_replaced_and_all_else_is_byte_for_byte() {
        let card = r#"{"card" : {"number": "4111", "n": 12345678901234567890123},  "a":1.0}"#;
        assert_eq!(
            after(&["/card/number"], card),
            r#"{"card" : {"number": "[redacted]", "n": 12345678901234567890123},  "a":1.0}"#
        );
        assert_eq!(
            after(&["/card/number", "/card"], card),
            r#"{"card" : "[redacted]",  "a":1.0}"#
        );
        assert_eq!(after(&["/none", "/a/b"], card), card);
        // Of a name that occurs twice, neither is kept; an escaped name is the same name.
        let twice = r#"{"a":1,"\u0061":[2,{"b":3}]}"#;
        assert_eq!(
            after(&["/a"], twice),
            r#"{"a":"[redacted]","\u0061":"[redacted]"}"#
        );
        let list = r#"[{"b":1,"c":2},{"b":{}},7]"#;
        let all = r#"[{"b":"[redacted]","c":2},{"b":"[redacted]"},7]"#;
        assert_eq!(after(&["/*/b"], list), all);
        assert_eq!(
            after(&["/1", "/2"], list),
            r#"[{"b":1,"c":2},"[redacted]","[redacted]"]"#
        );
    }

    #[test]
    fn a_payload_that_is_no_json_is_not_kept_at_all() {
        assert_eq!(after(&["/a"], "card 4111"), "[redacted]");
        assert_eq!(after(&["/a"], r#"{"a": 4111"#), "[redacted]");
        assert_eq!(after(&["/a"], ""), "");
        // Half of a surrogate pair: JSON to some readers, and no name to ours.
        for payload in [
            r#"{"\ud800":1,"card":{"number":"4111"}}"#,
            r#"{"card":{"\udc00":1,"number":"4111"}}"#,
        ] {
            assert_eq!(after(&["/card/number"], payload), "[redacted]");
        }
    }
}
