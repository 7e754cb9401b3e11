//! Reading an event, strictly. What is malformed must become a dead letter here: further on it would
//! become a wrong amount.

use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::fmt;
use weir_sdk::{Error, Message};

/// An event of one order, checked. Texts are borrowed from the payload where they can be.
pub struct Order<'a> {
    pub id: Cow<'a, str>,
    /// Safe as one token of a subject.
    pub user: Cow<'a, str>,
    pub event: Event<'a>,
}

/// What happened.
pub enum Event<'a> {
    /// Placed or paid: the same goods, told twice.
    Purchase {
        paid: bool,
        currency: Cow<'a, str>,
        lines: Vec<Line<'a>>,
    },
    /// Cancelled before it was paid, or sent: no money moves.
    NoMoney,
    Refunded {
        currency: Cow<'a, str>,
        /// 1 for the first refund of an order.
        number: u32,
        lines: Vec<RefundLine<'a>>,
    },
}

/// Pieces of one category at one price: what the policy looks at.
#[derive(Clone, Copy)]
pub struct Pieces<'a> {
    pub category: &'a str,
    pub count: u64,
    pub unit_cents: u64,
}

/// Payload of `cancelled` and `shipped`. Fields that are not named are none of this plugin's
/// business, here and below: shops add to their events all the time.
#[derive(Deserialize)]
struct Note<'a> {
    #[serde(borrow)]
    order: Cow<'a, str>,
    #[serde(borrow)]
    user: Cow<'a, str>,
}

/// Payload of `placed` and `paid`.
#[derive(Deserialize)]
struct Purchase<'a> {
    #[serde(borrow)]
    order: Cow<'a, str>,
    #[serde(borrow)]
    user: Cow<'a, str>,
    #[serde(borrow)]
    currency: Cow<'a, str>,
    #[serde(borrow)]
    lines: Vec<Line<'a>>,
}

/// Payload of `refunded`: the whole order, so that nobody needs to remember it.
#[derive(Deserialize)]
struct Refund<'a> {
    #[serde(borrow)]
    order: Cow<'a, str>,
    #[serde(borrow)]
    user: Cow<'a, str>,
    #[serde(borrow)]
    currency: Cow<'a, str>,
    refund: u32,
    #[serde(borrow)]
    lines: Vec<RefundLine<'a>>,
}

#[derive(Deserialize)]
pub struct Line<'a> {
    #[serde(borrow)]
    category: Cow<'a, str>,
    #[serde(deserialize_with = "quantity")]
    quantity: u64,
    #[serde(deserialize_with = "unit_cents")]
    unit_cents: u64,
}

#[derive(Deserialize)]
pub struct RefundLine<'a> {
    #[serde(borrow)]
    category: Cow<'a, str>,
    #[serde(deserialize_with = "quantity")]
    quantity: u64,
    #[serde(deserialize_with = "unit_cents")]
    unit_cents: u64,
    /// Pieces that went back with earlier refunds of the order.
    #[serde(deserialize_with = "refunded_before")]
    refunded_before: u64,
    /// Pieces that go back now. Together with those before, at most `quantity`.
    #[serde(deserialize_with = "refunded")]
    refunded: u64,
}

impl<'a> Order<'a> {
    /// Reads the event that `message` tells.
    pub fn read(message: &'a Message) -> Result<Self, Error> {
        if message.payload.is_empty() {
            return Err(Error::reject("the payload is empty"));
        }
        let (id, user, event) = match event_name(&message.subject)? {
            "cancelled" | "shipped" => {
                let Note { order, user } = message.json()?;
                (order, user, Event::NoMoney)
            }
            name @ ("placed" | "paid") => {
                let Purchase {
                    order,
                    user,
                    currency,
                    lines,
                } = message.json()?;
                not_empty(&lines)?;
                let paid = name == "paid";
                (
                    order,
                    user,
                    Event::Purchase {
                        paid,
                        currency,
                        lines,
                    },
                )
            }
            "refunded" => {
                let Refund {
                    order,
                    user,
                    currency,
                    refund: number,
                    lines,
                } = message.json()?;
                not_empty(&lines)?;
                lines.iter().try_for_each(RefundLine::check)?;
                (
                    order,
                    user,
                    Event::Refunded {
                        currency,
                        number,
                        lines,
                    },
                )
            }
            other => return Err(Error::reject(format!("there is no event `{other}`"))),
        };
        if id.is_empty() {
            return Err(Error::reject("`order` is empty"));
        }
        check_user(&user)?;
        Ok(Self { id, user, event })
    }
}

impl Line<'_> {
    pub fn bought(&self) -> Pieces<'_> {
        let Self {
            category,
            quantity,
            unit_cents,
        } = self;
        Pieces {
            category,
            count: *quantity,
            unit_cents: *unit_cents,
        }
    }
}

impl RefundLine<'_> {
    pub fn kept_before(&self) -> Pieces<'_> {
        let Self {
            category,
            unit_cents,
            ..
        } = self;
        let count = self.quantity - self.refunded_before;
        Pieces {
            category,
            count,
            unit_cents: *unit_cents,
        }
    }

    pub fn kept_after(&self) -> Pieces<'_> {
        let before = self.kept_before();
        Pieces {
            count: before.count - self.refunded,
            ..before
        }
    }

    /// No more goes back than was bought. `kept_before` and `kept_after` rely on it.
    fn check(&self) -> Result<(), Error> {
        let Self {
            quantity,
            refunded_before: before,
            refunded,
            ..
        } = self;
        match before.checked_add(*refunded) {
            Some(total) if total <= *quantity => Ok(()),
            _ => Err(Error::reject(format!(
                "{refunded} pieces go back of {quantity}, of which {before} went back before"
            ))),
        }
    }
}

/// Last token of `orders.<shop>.<event>`.
fn event_name(subject: &str) -> Result<&str, Error> {
    let mut tokens = subject.split('.');
    match (tokens.next(), tokens.next(), tokens.next(), tokens.next()) {
        (Some("orders"), Some(_), Some(event), None) => Ok(event),
        _ => Err(Error::reject(format!(
            "`{subject}` is not `orders.<shop>.<event>`"
        ))),
    }
}

fn not_empty<T>(lines: &[T]) -> Result<(), Error> {
    if lines.is_empty() {
        Err(Error::reject("`lines` is empty"))
    } else {
        Ok(())
    }
}

/// The user becomes a token of the subject: a dot would make two of it, and a `>` or a space would
/// make a subject that nobody may publish to.
fn check_user(user: &str) -> Result<(), Error> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !user.is_empty() && user.len() <= 64 && user.bytes().all(safe) {
        return Ok(());
    }
    Err(Error::reject(format!(
        "`user` is {user:?}, not 1 to 64 of letters, digits, `-` and `_`"
    )))
}

fn quantity<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    whole(input, "quantity", 1, "a whole number of pieces, at least 1")
}

fn unit_cents<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    whole(
        input,
        "unit_cents",
        0,
        "a whole number of cents, not negative",
    )
}

fn refunded_before<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    whole(
        input,
        "refunded_before",
        0,
        "a whole number of pieces, not negative",
    )
}

fn refunded<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    whole(
        input,
        "refunded",
        0,
        "a whole number of pieces, not negative",
    )
}

/// A whole number of at least `least`; the error names the field and what was expected of it.
fn whole<'de, D: Deserializer<'de>>(
    input: D,
    field: &str,
    least: u64,
    expected: &'static str,
) -> Result<u64, D::Error> {
    struct Whole(u64, &'static str);

    impl de::Visitor<'_> for Whole {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.1)
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
            if number >= self.0 {
                return Ok(number);
            }
            Err(E::invalid_value(de::Unexpected::Unsigned(number), &self))
        }
    }

    input
        .deserialize_u64(Whole(least, expected))
        .map_err(|error| de::Error::custom(format_args!("`{field}`: {error}")))
}
