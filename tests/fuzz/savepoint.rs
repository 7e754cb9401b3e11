//! Savepoints: whatever an object of the bucket holds, reading it ends, and what is read of it is written and read
//! again as the same.

use crate::engine::Target;
use weir::job::log::Progress;
use weir::job::positions::Span;
use weir::job::savepoint::{Amount, Header, Part, Reader, Verified, Writer, verify};
use weir::nats::job::{DefinedSource, Definition};
use weir::state::{Clock, Groups, State};
use weir::threads::block_on;

const MAGIC: &[u8] = b"weir savepoint 1\n";
const DIGEST: usize = 32;

const TOKENS: &[&str] = &[
    "H\x02\0\0\0{}",
    "S\x02\0\0\0[]",
    "G\x02\0\0\0\0\0",
    "E\x02\0\0\0{}",
    "H",
    "S",
    "G",
    "E",
    "\0\0\0\0",
    "\u{7f}\u{7f}\u{7f}\u{7f}",
    "\"start\":",
    "\"end\":",
    "1024",
    "65535",
    "-1",
    "null",
    "[]",
    "{}",
];

#[test]
fn a_savepoint_is_read_as_what_it_is_or_refused() {
    let whole = written(&["a", "b", ""]);
    let empty = written(&[]);
    Target {
        name: "savepoint",
        // A seed has neither the beginning nor the digest: edits would only break them.
        seeds: [whole, empty]
            .map(|bytes| bytes[MAGIC.len()..bytes.len() - DIGEST].to_vec())
            .to_vec(),
        tokens: TOKENS,
        runs: 3_000,
        check,
    }
    .run();
}

/// Two partitions, with state for these keys.
fn written(keys: &[&str]) -> Vec<u8> {
    let mut state = State::new(Groups::all(), ["op"], u64::MAX).unwrap();
    let op = state.operator("op").unwrap();
    for key in keys {
        state.set(op, key.as_bytes(), b"n", b"1", None).unwrap();
        let set = state.set_timer(op, key.as_bytes(), b"t", Clock::EventTime, 7);
        set.unwrap();
    }
    state.seal();
    state.confirmed();
    let header = Header {
        job: "p".to_owned(),
        definition: Definition {
            first: DefinedSource {
                rows: Vec::new(),
                name: None,
                source: "IN@1".to_owned(),
                begin: 0,
                key: None,
                table: false,
            },
            partitions: 2,
            order: Default::default(),
            more: Vec::new(),
        },
        at: "2026-11-27T00:00:00Z".to_owned(),
        weir: "0.1.0".to_owned(),
        digests: Default::default(),
    };
    let span = |groups| Span {
        groups,
        inputs: vec![Progress::at("IN@1", 7)],
        committed: 0,
    };
    let mut parts = vec![
        Part::Header(Box::new(header)),
        Part::Spans(vec![span(0..512), span(512..1024)]),
    ];
    for group in Groups::all()
        .iter()
        .filter(|group| state.group_usage(*group).rows > 0)
    {
        parts.push(Part::Group(group.number(), state.snapshot(group)));
    }
    write(&parts)
}

fn write(parts: &[Part]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Some((Part::Header(header), rest)) = parts.split_first() else {
        panic!("what is verified begins with a header");
    };
    let written = block_on(async {
        let mut writer = Writer::begin(&mut bytes, header).await?;
        for part in rest {
            match part {
                Part::Header(_) => panic!("what is verified has one header"),
                Part::Spans(spans) => writer.spans(spans).await?,
                Part::Group(number, content) => writer.group(*number, content).await?,
            }
        }
        writer.end(Amount::default()).await
    });
    written.unwrap();
    bytes
}

fn check(bytes: &[u8]) -> String {
    // As an object may be: not even the beginning is right.
    let _ = block_on(verify(bytes));
    let mut whole = [MAGIC, bytes].concat();
    whole.extend(blake3::hash(&whole).as_bytes());
    let verified = match block_on(verify(&*whole)) {
        Ok(verified) => verified,
        Err(error) => {
            let words = error.to_string();
            return words
                .split(" at line")
                .next()
                .unwrap_or_default()
                .to_owned();
        }
    };
    let parts = block_on(async {
        let mut reader = Reader::begin(&*whole).await?;
        let mut parts = Vec::new();
        while let Some(part) = reader.next().await? {
            parts.push(part);
        }
        Ok(parts)
    });
    let again = block_on(verify(&*write(&parts.unwrap()))).unwrap();
    assert_eq!(again, verified);
    let Verified { spans, amount, .. } = verified;
    format!(
        "{} {} {}",
        spans.len().min(9),
        amount.keys.min(9),
        amount.rows.min(9)
    )
}
