//! What hosts and commands leave in buckets for each other: whatever a key holds, what is read of it
//! is written back as it was read, and decisions about it keep bad versions from running.

use crate::engine::Target;
use serde::{Serialize, de::DeserializeOwned};
use weir::nats::deployments::{Component, Deployment};
use weir::nats::receipts::Receipt;
use weir::nats::registry::Version;
use weir::nats::shadows::ShadowReport;

const RECEIPT: &str = r#"{"id":"","pipeline":"p","operator":"o","host":"h-1","lane":0,"what":"canary 10 %","old":{"digest":"aa","sequence":17},"new":{"digest":"bb","sequence":null},"origin":"p.wasm","began":"2026-11-26T10:00:00Z","taken":null}"#;
const DEPLOYMENT: &str = r#"{"stable":{"component":{"digest":"aa","origin":"a.wasm"},"over":["bb","cc"]},"before":{"deployed":"aa","stable":null},"trial":{"component":{"digest":"dd","origin":"d.wasm"},"kind":{"canary":10.5},"over":["aa"]},"quarantine":[{"digest":"cc","reason":"worse","since":"2026-11-26T10:00:00Z"}],"last":{"what":"deployed","digest":"aa","reason":null,"samples":[],"at":"2026-11-26T10:00:00Z"},"earlier":[{"what":"refused","digest":"bb"}]}"#;
const EARLIER: &str = r#"{"stable":null,"trial":null,"quarantine":[],"last":{"what":"deployed"}}"#;
const SHADOWED: &str =
    r#"{"trial":{"component":{"digest":"dd","origin":""},"kind":"shadow","over":[]}}"#;
const VERSION: &str = r#"{"digest":"aa","size":17,"contract":"weir:plugin/operator@0.1.0","pushed":"2026-11-26T10:00:00Z","signature":"s"}"#;

const TOKENS: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "1.5",
    "18446744073709551616",
    "\"\"",
    "\"aa\"",
    "\"bb\"",
    "\"cc\"",
    "\"dd\"",
    "[]",
    "{}",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"stable\":",
    "\"before\":",
    "\"trial\":",
    "\"quarantine\":",
    "\"over\":",
    "\"digest\":",
    "\"last\":",
    "\"earlier\":",
    "\"canary\":",
    "\"shadow\"",
    "\\u0000",
    "\u{e9}",
];

/// The versions that decisions are about.
const DIGESTS: [&str; 5] = ["aa", "bb", "cc", "dd", "ee"];

#[test]
fn whatever_a_bucket_holds_it_is_read_as_it_was_written_and_what_is_in_quarantine_does_not_run() {
    let seeds =
        [RECEIPT, DEPLOYMENT, EARLIER, SHADOWED, VERSION].map(|text| text.as_bytes().to_vec());
    Target {
        name: "receipts",
        seeds: seeds.to_vec(),
        tokens: TOKENS,
        runs: 20_000,
        check,
    }
    .run();
}

fn check(bytes: &[u8]) -> String {
    let receipt = read::<Receipt>(bytes);
    let version = read::<Version>(bytes);
    let report = read::<ShadowReport>(bytes);
    let deployment = read::<Deployment>(bytes);
    let Some(deployment) = deployment else {
        return format!(
            "{} {} {}",
            receipt.is_some(),
            version.is_some(),
            report.is_some()
        );
    };
    decide(deployment.clone(), bytes);
    let Deployment {
        stable,
        before,
        trial,
        quarantine,
        ..
    } = &deployment;
    format!(
        "{:?}",
        (
            stable.is_some(),
            before.is_some(),
            trial.is_some(),
            quarantine.len().min(3)
        )
    )
}

/// What is read is read again from what is written of it.
fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_string(&value).unwrap();
    let again: T =
        serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
    assert_eq!(serde_json::to_string(&again).unwrap(), written);
    Some(value)
}

/// Decisions that the bytes stand for, one a byte.
fn decide(mut deployment: Deployment, bytes: &[u8]) {
    for byte in bytes.iter().rev().take(20).map(|byte| usize::from(*byte)) {
        let [one, other] =
            [byte % DIGESTS.len(), byte / 5 % DIGESTS.len()].map(|index| DIGESTS[index]);
        let component = Component {
            digest: other.to_owned(),
            origin: String::new(),
        };
        match byte / 25 % 4 {
            0 => deployment.install(component, vec![one.to_owned()]),
            1 => deployment.release(one),
            2 => deployment.decided("deployed", one, None),
            _ => drop(deployment.promote(one, "it is as good")),
        }
        for configured in DIGESTS {
            if let Some(wanted) = deployment.instead_of(configured) {
                let banned = deployment.quarantined(&wanted.digest);
                assert!(
                    banned.is_none(),
                    "{} runs in the place of {configured}",
                    wanted.digest
                );
            }
        }
        read::<Deployment>(&serde_json::to_vec(&deployment).unwrap()).unwrap();
    }
}
