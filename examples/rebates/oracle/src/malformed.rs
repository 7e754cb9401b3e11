//! The ways in which shops break an event.
//!
//! Each takes the bytes of a good event and makes them bad; none of them leaves a message that a
//! careful reader could still take for good, so the oracle counts on a dead letter for every one.

use crate::random::Random;
use serde::Serialize;
use serde_json::{Value, json};

/// What is wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Malformed {
    /// The connection broke: the JSON ends in the middle.
    Truncated,
    /// Nothing at all was sent.
    Empty,
    /// A name in Latin-1 where the rest is UTF-8.
    NotUtf8,
    /// A field that every such event must have is absent.
    MissingField,
    /// A quantity as text, or a price in euros with a decimal point.
    WrongType,
    NegativePrice,
    UnknownCurrency,
    /// A user whose name would be a wildcard or several tokens in a subject.
    UnsafeUser,
    /// The last token of the subject is no event that shops have agreed on.
    UnknownEvent,
    /// More pieces are sent back than were left.
    RefundTooLarge,
}

/// All of them, in the order of declaration.
pub const ALL: [Malformed; 10] = [
    Malformed::Truncated,
    Malformed::Empty,
    Malformed::NotUtf8,
    Malformed::MissingField,
    Malformed::WrongType,
    Malformed::NegativePrice,
    Malformed::UnknownCurrency,
    Malformed::UnsafeUser,
    Malformed::UnknownEvent,
    Malformed::RefundTooLarge,
];

/// Breaks `subject` and `payload` of a good event in one way that applies to it.
pub(crate) fn break_event(
    random: &mut Random,
    subject: &mut String,
    payload: &mut Vec<u8>,
) -> Malformed {
    loop {
        // Draws again until one applies; truncation always does.
        let kind = random.pick(ALL);
        if apply(kind, random, subject, payload).is_some() {
            return kind;
        }
    }
}

/// `None`, and nothing is changed, when `kind` does not apply to this event.
fn apply(
    kind: Malformed,
    random: &mut Random,
    subject: &mut String,
    payload: &mut Vec<u8>,
) -> Option<()> {
    match kind {
        Malformed::Truncated => {
            let length = random.between(1, payload.len() as u64 - 1);
            payload.truncate(length as usize);
        }
        Malformed::Empty => payload.clear(),
        Malformed::NotUtf8 => {
            let marker = b"\"user\":\"";
            let found = payload
                .windows(marker.len())
                .position(|window| window == marker)?;
            payload.insert(found + marker.len() + 1, 0xE9);
        }
        Malformed::UnknownEvent => {
            let (front, event) = subject.rsplit_once('.')?;
            *subject = match event {
                "paid" => format!("{front}.payed"),
                "cancelled" => format!("{front}.canceled"),
                other => format!("{front}.{other}s"),
            };
        }
        Malformed::MissingField => {
            let field = random.pick(["order", "user", "currency", "lines"]);
            edit(payload, |event| {
                event.as_object_mut()?.shift_remove(field).map(drop)
            })?;
        }
        Malformed::WrongType => {
            let float = random.chance(500);
            edit(payload, |event| {
                let line = event.get_mut("lines")?.get_mut(0)?.as_object_mut()?;
                if float {
                    line.insert("unit_cents".into(), json!(12.99));
                } else {
                    line.insert("quantity".into(), json!("two"));
                }
                Some(())
            })?;
        }
        Malformed::NegativePrice => edit(payload, |event| {
            *event.get_mut("lines")?.get_mut(0)?.get_mut("unit_cents")? = json!(-1299);
            Some(())
        })?,
        Malformed::UnknownCurrency => {
            let currency = random.pick(["XBT", "eur", "\u{20ac}", ""]);
            edit(payload, |event| {
                *event.get_mut("currency")? = json!(currency);
                Some(())
            })?;
        }
        Malformed::UnsafeUser => {
            let user = random.pick(["", ">", "*", "ada.1", "ada 1", "ada\n1"]);
            edit(payload, |event| {
                *event.get_mut("user")? = json!(user);
                Some(())
            })?;
        }
        Malformed::RefundTooLarge => edit(payload, |event| {
            let line = event.get_mut("lines")?.get_mut(0)?;
            let quantity = line.get("quantity")?.as_u64()?;
            *line.get_mut("refunded")? = json!(quantity + 1);
            Some(())
        })?,
    }
    Some(())
}

/// Applies `change` to the JSON value of `payload`; leaves it as it was when `change` says `None`.
fn edit(payload: &mut Vec<u8>, change: impl FnOnce(&mut Value) -> Option<()>) -> Option<()> {
    let mut event: Value = serde_json::from_slice(payload).ok()?;
    change(&mut event)?;
    *payload = event.to_string().into_bytes();
    Some(())
}
