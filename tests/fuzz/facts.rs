//! Reply subjects: what JetStream says of a delivery there is read as it is, and nothing is read of a
//! subject that is another's.

use crate::engine::Target;
use weir::delivery::ticket::Facts;

const TOKENS: &[&str] = &[
    "$JS.ACK.",
    "$JS.ACK",
    ".",
    "..",
    "0",
    "1",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "-1",
    "+1",
    "_",
    "hub",
    "_INBOX.",
    "1.1.1.1.1",
    ".r4nd0m",
    "\u{e9}",
    " ",
];

#[test]
fn the_facts_of_a_delivery_are_those_of_its_reply_subject() {
    let seeds = [
        "$JS.ACK.ORDERS.weir.3.17.40.1700000000000000000.5",
        "$JS.ACK.hub.ACCHASH.ORDERS.weir.3.17.40.1700000000000000000.5.r4nd0m",
        "$JS.ACK._.ACCHASH.ORDERS.weir.1.18446744073709551615.1.1700000000000000000.0",
        "_INBOX.abc.1",
    ];
    let seeds = seeds.map(|text| text.as_bytes().to_vec()).to_vec();
    Target {
        name: "facts",
        seeds,
        tokens: TOKENS,
        runs: 20_000,
        check,
    }
    .run();
}

fn check(bytes: &[u8]) -> String {
    let reply = String::from_utf8_lossy(bytes);
    let found = Facts::parse(reply.as_bytes());
    let numbers = numbers(&reply);
    let expected = numbers.map(|[attempt, sequence, _, stored, pending]| {
        Some(Facts {
            sequence,
            attempt: u32::try_from(attempt).ok()?,
            stored,
            pending,
        })
    });
    assert_eq!(found, expected.flatten());
    if let Some(Facts {
        sequence,
        attempt,
        stored,
        pending,
    }) = found
    {
        let numbers = format!("{attempt}.{sequence}.7.{stored}.{pending}");
        for reply in [
            format!("$JS.ACK.S.c.{numbers}"),
            format!("$JS.ACK.d.a.S.c.{numbers}.x"),
        ] {
            assert_eq!(Facts::parse(reply.as_bytes()), found, "{reply}");
        }
    }
    format!("{} {}", found.is_some(), reply.matches('.').count().min(14))
}

/// What stands behind stream and consumer, read token by token: the old form has seven tokens behind
/// `$JS.ACK`, the new one nine and those that a later server may add.
fn numbers(reply: &str) -> Option<[u64; 5]> {
    let tokens: Vec<&str> = reply.split('.').collect();
    let numbers = match tokens.as_slice() {
        ["$JS", "ACK", _, _, numbers @ ..] if numbers.len() == 5 => numbers,
        ["$JS", "ACK", _, _, _, _, numbers @ ..] if numbers.len() >= 5 => &numbers[..5],
        _ => return None,
    };
    let numbers: Option<Vec<u64>> = numbers.iter().map(|text| text.parse().ok()).collect();
    numbers?.try_into().ok()
}
