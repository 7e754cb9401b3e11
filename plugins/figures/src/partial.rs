//! What a figure keeps of the messages so far, and the bytes that it is kept as.

use crate::bytes::{Reader, damaged, number, part, signed};
use crate::function::Function;
use crate::number::Decimal;
use crate::rank::{At, Row};
use crate::sketch::{Distinct, Frequent, Quantiles};
use crate::value::Kept;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// The hash of a value of which only the number is asked: so many bytes that nobody finds two values with the same.
pub type Hash = [u8; 16];

/// The sum, that of the squares, and how many.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Squares(pub Decimal, pub Decimal, pub u64);

/// What a figure keeps of the messages so far. As JSON it was kept before.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partial {
    Count(u64),
    /// The first and the last event time.
    Times(Option<(u64, u64)>),
    Sum(Decimal, u64),
    Squares(Box<Squares>),
    /// The least or the greatest so far.
    Bound(Option<Kept>),
    /// The first or the last so far.
    Placed(Option<(At, Kept)>),
    Hashes(#[serde(deserialize_with = "hashes")] BTreeSet<Hash>),
    Distinct(Box<Distinct>),
    Frequent(Box<Frequent>),
    Quantiles(Box<Quantiles>),
    /// What is first, in order.
    Rows(Vec<Row>),
}

impl Partial {
    /// What this figure has kept as these bytes.
    ///
    /// # Errors
    /// If it has not.
    pub fn read(function: &Function, bytes: &[u8]) -> Result<Self, String> {
        let mut reader = Reader(bytes);
        let partial = match function {
            Function::Count(_) => Self::Count(reader.number()?),
            Function::Time(_) if bytes.is_empty() => Self::Times(None),
            Function::Time(_) => {
                let first = reader.time()?;
                Self::Times(Some((first, reader.time()?)))
            }
            Function::Sum(_) | Function::Average(_) => {
                let count = reader.number()?;
                Self::Sum(reader.decimal()?, count)
            }
            Function::Variance(..) => {
                let count = reader.number()?;
                let (sum, squares) = (reader.decimal()?, reader.decimal()?);
                Self::Squares(Box::new(Squares(sum, squares, count)))
            }
            Function::Min(_) | Function::Max(_) if bytes.is_empty() => Self::Bound(None),
            Function::Min(_) | Function::Max(_) => Self::Bound(Some(reader.kept()?)),
            Function::First(_) | Function::Last(_) if bytes.is_empty() => Self::Placed(None),
            Function::First(_) | Function::Last(_) => {
                let at = reader.at()?;
                Self::Placed(Some((at, reader.kept()?)))
            }
            Function::Distinct(_) => {
                let (hashes, rest) = bytes.as_chunks();
                reader = Reader(rest);
                Self::Hashes(hashes.iter().copied().collect())
            }
            Function::DistinctEstimated(_) => Self::Distinct(Distinct::of(reader.rest())?.into()),
            Function::Top(..) => Self::Frequent(Frequent::of(reader.rest())?.into()),
            Function::Quantiles(..) => Self::Quantiles(Quantiles::of(reader.rest())?.into()),
            Function::List(..) | Function::Ranked(..) => {
                let mut rows = Vec::new();
                while !reader.0.is_empty() {
                    let at = reader.at()?;
                    rows.push((reader.kept()?, at, reader.kept()?));
                }
                Self::Rows(rows)
            }
        };
        match reader.0 {
            [] => Ok(partial),
            _ => Err(damaged()),
        }
    }

    /// The bytes that it is kept as.
    pub fn write(&mut self, to: &mut Vec<u8>) {
        match self {
            Self::Count(count) => number(to, *count),
            Self::Times(times) => {
                for time in times.iter().flat_map(|(first, last)| [first, last]) {
                    to.extend(time.to_le_bytes());
                }
            }
            Self::Sum(sum, count) => {
                number(to, *count);
                decimal(to, sum);
            }
            Self::Squares(squares) => {
                let Squares(sum, squares, count) = squares.as_ref();
                number(to, *count);
                decimal(to, sum);
                decimal(to, squares);
            }
            Self::Bound(bound) => bound.iter().for_each(|value| kept(to, value)),
            Self::Placed(placed) => {
                if let Some((at, value)) = placed {
                    self::at(to, *at);
                    kept(to, value);
                }
            }
            Self::Hashes(hashes) => to.extend(hashes.iter().flatten()),
            Self::Distinct(sketch) => to.extend(sketch.bytes()),
            Self::Frequent(sketch) => to.extend(sketch.bytes()),
            Self::Quantiles(sketch) => to.extend(sketch.bytes()),
            Self::Rows(rows) => {
                for (by, at, shown) in rows {
                    self::at(to, *at);
                    kept(to, by);
                    kept(to, shown);
                }
            }
        }
    }
}

impl<'b> Reader<'b> {
    fn time(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    fn at(&mut self) -> Result<At, String> {
        Ok((self.time()?, self.number()?))
    }

    fn decimal(&mut self) -> Result<Decimal, String> {
        let scale = self.signed()?;
        Decimal::of(self.part()?, scale)
    }

    fn kept(&mut self) -> Result<Kept, String> {
        let json = str::from_utf8(self.part()?).map_err(|_| damaged())?;
        RawValue::from_string(json.to_owned()).map_err(|_| damaged())
    }

    fn rest(&mut self) -> &'b [u8] {
        std::mem::take(&mut self.0)
    }
}

fn at(to: &mut Vec<u8>, (time, sequence): At) {
    to.extend(time.to_le_bytes());
    number(to, sequence);
}

fn decimal(to: &mut Vec<u8>, decimal: &Decimal) {
    let (digits, scale) = decimal.parts();
    signed(to, scale);
    part(to, |to| to.extend(digits));
}

fn kept(to: &mut Vec<u8>, value: &Kept) {
    part(to, |to| to.extend(value.get().as_bytes()));
}

/// As they were kept before: in hexadecimal digits.
fn hashes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<Hash>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let hash = |text: String| {
        let number = u128::from_str_radix(&text, 16);
        number.map(u128::to_be_bytes).map_err(D::Error::custom)
    };
    texts.into_iter().map(hash).collect()
}
