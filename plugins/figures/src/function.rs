//! The figures: what each keeps of the messages so far, and what it says of them in the end.
//!
//! A value that is missing or null counts for nothing, as in SQL. What is kept depends neither on the order of
//! the messages nor on how they were divided, but for the sketches, which stay within their errors.

use crate::number::Decimal;
use crate::partial::{Hash, Partial, Squares};
use crate::payload::Payload;
use crate::rank::{At, Ranking, first, is_equal, ranks};
use crate::shown::{Shown, ranked};
use crate::sketch::{Distinct, Frequent, Quantiles};
use crate::value::{
    Kept, canonical, compared, digits, is_readable, is_text, kept, node, null, number,
};
use fields::Node;
use jiff::Timestamp;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A figure of some messages. The text is the pointer to the field that it is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Function {
    /// Of all messages, or of those that have a field.
    Count(Option<String>),
    /// Of all messages.
    Time(Time),
    Sum(String),
    Average(String),
    /// Of numbers and texts; numbers are less than texts.
    Min(String),
    Max(String),
    Variance(String, Spread),
    /// By event time, of equal ones by the sequence.
    First(String),
    Last(String),
    /// How many values differ.
    Distinct(String),
    DistinctEstimated(String),
    /// The most frequent values, at most so many.
    Top(String, usize),
    /// The values below which these shares of all lie.
    Quantiles(String, Vec<f64>),
    /// The first values, at most so many, in the order of event time; or what is shown of their messages.
    List(String, Option<Shown>, usize),
    /// The messages with the greatest or the least numbers in a field, and what is shown of them.
    Ranked(String, Ranking),
}

/// A figure of event times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    First,
    Last,
    /// From the first to the last, in seconds.
    Between,
}

/// Which measure of a spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Of a sample, which is divided by n - 1, or of all there is, divided by n.
    pub sample: bool,
    /// Its square root.
    pub root: bool,
}

impl Function {
    /// What it keeps of no messages.
    pub fn empty(&self) -> Result<Partial, String> {
        let none = Decimal::default;
        Ok(match self {
            Self::Count(_) => Partial::Count(0),
            Self::Time(_) => Partial::Times(None),
            Self::Sum(_) | Self::Average(_) => Partial::Sum(none(), 0),
            Self::Variance(..) => Partial::Squares(Box::default()),
            Self::Min(_) | Self::Max(_) => Partial::Bound(None),
            Self::First(_) | Self::Last(_) => Partial::Placed(None),
            Self::Distinct(_) => Partial::Hashes(BTreeSet::new()),
            Self::DistinctEstimated(_) => Partial::Distinct(Distinct::new()?.into()),
            Self::Top(..) => Partial::Frequent(Frequent::new()?.into()),
            Self::Quantiles(..) => Partial::Quantiles(Quantiles::new()?.into()),
            Self::List(..) | Self::Ranked(..) => Partial::Rows(Vec::new()),
        })
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::Time(_) => None,
            Self::Count(field) => field.as_deref(),
            Self::Sum(field) | Self::Average(field) | Self::Min(field) | Self::Max(field) => {
                Some(field)
            }
            Self::First(field) | Self::Last(field) => Some(field),
            Self::Distinct(field) | Self::DistinctEstimated(field) => Some(field),
            Self::Variance(field, _) | Self::Top(field, _) | Self::Quantiles(field, _) => {
                Some(field)
            }
            Self::List(field, ..) | Self::Ranked(field, _) => Some(field),
        }
    }

    /// The pointers to what it looks at.
    pub fn pointers(&self) -> Vec<&str> {
        let mut pointers: Vec<&str> = self.field().into_iter().collect();
        match self {
            Self::Ranked(_, Ranking { show, .. }) | Self::List(_, Some(show), _) => {
                pointers.extend(show.pointers());
            }
            _ => {}
        }
        pointers
    }

    /// Takes a message in. The reason is why it cannot be: nothing has changed then.
    pub fn add(&self, partial: &mut Partial, payload: &Payload<'_>, at: At) -> Result<(), String> {
        let Some(field) = self.field() else {
            let one = match self {
                Self::Time(_) => Partial::Times(Some((at.0, at.0))),
                _ => Partial::Count(1),
            };
            return self.merge(partial, one);
        };
        let value = match payload.pointer(field) {
            None | Some("null") => return Ok(()),
            Some(value) => value,
        };
        let canonical = || canonical(value).map_err(|why| format!("{field}: {why}"));
        match partial {
            Partial::Count(count) => *count = count.saturating_add(1),
            // These are of no field.
            Partial::Times(_) => {}
            Partial::Sum(sum, count) => {
                sum.add(&number(field, value)?)?;
                *count = count.saturating_add(1);
            }
            Partial::Squares(kept) => {
                let Squares(sum, squares, count) = kept.as_mut();
                let value = number(field, value)?;
                // The square is the first to be out of range.
                squares.add(&value.times(&value))?;
                sum.add(&value)?;
                *count = count.saturating_add(1);
            }
            Partial::Bound(bound) => {
                if !is_text(value) {
                    is_readable(field, value)?;
                }
                if bound
                    .as_deref()
                    .is_none_or(|bound| self.is_bound(value, bound.get()))
                {
                    *bound = Some(kept(value)?);
                }
            }
            Partial::Placed(placed) => {
                if placed
                    .as_ref()
                    .is_none_or(|(held, _)| self.is_placed(at, *held))
                {
                    *placed = Some((at, kept(value)?));
                }
            }
            Partial::Hashes(hashes) => drop(hashes.insert(hash(&canonical()?))),
            Partial::Distinct(sketch) => sketch.add(&canonical()?),
            Partial::Frequent(sketch) => sketch.add(&canonical()?),
            Partial::Quantiles(sketch) => sketch.add(number(field, value)?.double()),
            Partial::Rows(rows) => {
                let (by, shown) = match self {
                    Self::Ranked(_, ranking) => {
                        is_readable(field, value)?;
                        if ranking.is_behind(rows, value, at) {
                            return Ok(());
                        }
                        (kept(value)?, ranking.show.of(payload)?)
                    }
                    Self::List(_, Some(show), _) => (none(), show.of(payload)?),
                    _ => (none(), kept(value)?),
                };
                self.merge(partial, Partial::Rows(vec![(by, at, shown)]))?;
            }
        }
        Ok(())
    }

    /// Takes in what was kept of other messages.
    pub fn merge(&self, partial: &mut Partial, other: Partial) -> Result<(), String> {
        match (partial, other) {
            (Partial::Count(count), Partial::Count(more)) => *count = count.saturating_add(more),
            (Partial::Times(times), Partial::Times(Some((from, to)))) => {
                let (first, last) = times.unwrap_or((from, to));
                *times = Some((first.min(from), last.max(to)));
            }
            (Partial::Times(_), Partial::Times(None)) => {}
            (Partial::Sum(sum, count), Partial::Sum(other, more)) => {
                sum.add(&other)?;
                *count = count.saturating_add(more);
            }
            (Partial::Squares(kept), Partial::Squares(other)) => {
                kept.0.add(&other.0)?;
                kept.1.add(&other.1)?;
                kept.2 = kept.2.saturating_add(other.2);
            }
            (Partial::Bound(bound), Partial::Bound(Some(other))) => {
                if bound
                    .as_ref()
                    .is_none_or(|bound| self.is_bound(other.get(), bound.get()))
                {
                    *bound = Some(other);
                }
            }
            (Partial::Placed(placed), Partial::Placed(Some((at, other)))) => {
                if placed
                    .as_ref()
                    .is_none_or(|(held, _)| self.is_placed(at, *held))
                {
                    *placed = Some((at, other));
                }
            }
            (Partial::Bound(_), Partial::Bound(None))
            | (Partial::Placed(_), Partial::Placed(None)) => {}
            (Partial::Hashes(hashes), Partial::Hashes(others)) => hashes.extend(others),
            (Partial::Distinct(sketch), Partial::Distinct(other)) => sketch.merge(&other),
            (Partial::Frequent(sketch), Partial::Frequent(other)) => sketch.merge(&other),
            (Partial::Quantiles(sketch), Partial::Quantiles(other)) => sketch.merge(&other),
            (Partial::Rows(rows), Partial::Rows(others)) => {
                rows.extend(others);
                let (most, ties) = match self {
                    Self::Ranked(_, ranking) => {
                        rows.sort_by(|(one, at, _), (other, then, _)| {
                            ranking.order(one.get(), other.get()).then(at.cmp(then))
                        });
                        (ranking.most, ranking.ties)
                    }
                    Self::List(_, _, most) => {
                        rows.sort_by_key(|(_, at, _)| *at);
                        (*most, false)
                    }
                    _ => (0, false),
                };
                rows.truncate(first(rows, most, ties, is_equal));
            }
            _ => return Err("what was kept is of other figures than `results:` names".to_owned()),
        }
        Ok(())
    }

    /// Whether a value comes before the least so far, or behind the greatest.
    fn is_bound(&self, value: &str, bound: &str) -> bool {
        let wanted = match self {
            Self::Max(_) => Ordering::Greater,
            _ => Ordering::Less,
        };
        compared(value, bound) == wanted
    }

    /// Whether a message comes before the first so far, or behind the last.
    fn is_placed(&self, at: At, held: At) -> bool {
        match self {
            Self::Last(_) => at >= held,
            _ => at < held,
        }
    }

    /// What it says in the end: null where there was nothing to go by.
    pub fn result(&self, partial: Partial) -> Node<'static> {
        match (self, partial) {
            (_, Partial::Count(count)) => node(&count),
            (Self::Time(time), Partial::Times(Some((from, to)))) => match time {
                Time::First => text_of(from),
                Time::Last => text_of(to),
                Time::Between => {
                    let second = Decimal::whole(1_000_000_000);
                    digits(
                        Decimal::whole(to.saturating_sub(from))
                            .divided_by(&second)
                            .rounded(),
                    )
                }
            },
            (_, Partial::Times(_)) => null(),
            (_, Partial::Sum(_, 0)) => null(),
            (Self::Average(_), Partial::Sum(sum, count)) => {
                digits(sum.divided_by(&Decimal::whole(count)).rounded())
            }
            (_, Partial::Sum(sum, _)) => digits(sum.exact()),
            (Self::Variance(_, spread), Partial::Squares(squares)) => {
                let variance = variance(*spread, &squares);
                variance.map_or_else(null, |variance| digits(variance.rounded()))
            }
            (_, Partial::Squares(..)) => null(),
            (_, Partial::Bound(bound)) => bound.map_or_else(null, Node::New),
            (_, Partial::Placed(placed)) => placed.map_or_else(null, |(_, value)| Node::New(value)),
            (_, Partial::Hashes(hashes)) => node(&hashes.len()),
            (_, Partial::Distinct(sketch)) => node(&sketch.estimate()),
            (Self::Top(_, most), Partial::Frequent(sketch)) => {
                let top = sketch.top(*most).into_iter();
                let row = |(value, count): (String, u64)| {
                    let fields = [("count", node(&count)), ("value", digits(value))];
                    Node::Object(fields.map(|(name, node)| (name.into(), node)).into())
                };
                Node::Array(top.map(row).collect())
            }
            (_, Partial::Frequent(_)) => null(),
            (Self::Quantiles(_, ranks), Partial::Quantiles(mut sketch)) => {
                let of = |rank: &f64| (rank.to_string(), sketch.quantile(*rank));
                node(&ranks.iter().map(of).collect::<BTreeMap<_, _>>())
            }
            (_, Partial::Quantiles(_)) => null(),
            (
                Self::Ranked(
                    _,
                    Ranking {
                        rank: Some(name),
                        ties,
                        ..
                    },
                ),
                Partial::Rows(rows),
            ) => {
                let ranks = ranks(&rows, *ties, is_equal);
                let rows = rows.into_iter().zip(ranks);
                let rows = rows.map(|((_, _, shown), rank)| ranked(shown, name, rank));
                Node::Array(rows.collect())
            }
            (_, Partial::Rows(rows)) => Node::Array(
                rows.into_iter()
                    .map(|(_, _, shown)| Node::New(shown))
                    .collect(),
            ),
        }
    }
}

/// What a message is ranked by that is ranked by its time.
fn none() -> Kept {
    RawValue::NULL.to_owned()
}

/// A time in nanoseconds since 1970, in RFC 3339; null if it has none.
pub fn text_of(time: impl Into<i128>) -> Node<'static> {
    let time = Timestamp::from_nanosecond(time.into());
    node(&time.ok().map(|time| time.to_string()))
}

fn hash(value: &str) -> Hash {
    let mut hash = Hash::default();
    for (to, from) in hash.iter_mut().zip(Sha256::digest(value)) {
        *to = from;
    }
    hash
}

/// None of too few values.
fn variance(
    Spread { sample, root }: Spread,
    Squares(sum, squares, count): &Squares,
) -> Option<Decimal> {
    let divisor = count
        .checked_sub(u64::from(sample))
        .filter(|divisor| *divisor > 0)?;
    // n * squares - sum^2, over n * divisor: exact up to the one division.
    let count = Decimal::whole(*count);
    let above = squares.times(&count).minus(&sum.times(sum));
    let variance = above.divided_by(&count.times(&Decimal::whole(divisor)));
    Some(match root {
        true => variance.root(),
        false => variance,
    })
}
