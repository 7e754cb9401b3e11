//! How deep a value in Avro is nested, before it is read: the reader of `apache_avro` recurses without a bound.

use apache_avro::schema::{InnerDecimalSchema, Name, Schema, UuidSchema};
use apache_avro::types::Value;
use fields::{DEPTH, too_deep};
use std::collections::HashMap;

/// Bits of a byte of a variable-length number that count.
const BITS: u32 = 7;

/// Refuses a value that is nested deeper than [`DEPTH`] levels. Whether it fits the schema otherwise, the reader says.
pub fn check(
    payload: &[u8],
    schema: &Schema,
    names: &HashMap<Name, Schema>,
    largest: usize,
) -> Result<(), String> {
    let mut walk = Walk {
        rest: payload,
        names,
        most: i64::try_from(largest / size_of::<Value>()).unwrap_or(i64::MAX),
        is_too_deep: false,
    };
    let _ = walk.skip(schema, 0);
    match walk.is_too_deep {
        true => Err(too_deep()),
        false => Ok(()),
    }
}

struct Walk<'p> {
    rest: &'p [u8],
    names: &'p HashMap<Name, Schema>,
    /// Elements that the reader takes at once.
    most: i64,
    is_too_deep: bool,
}

impl Walk<'_> {
    /// Skips a value that is inside of so many others; `None` where the payload ends or does not fit.
    fn skip(&mut self, schema: &Schema, depth: usize) -> Option<()> {
        if depth > DEPTH {
            self.is_too_deep = true;
            return None;
        }
        match schema {
            Schema::Null => Some(()),
            Schema::Boolean => self.take(1),
            Schema::Float => self.take(size_of::<f32>()),
            Schema::Double => self.take(size_of::<f64>()),
            Schema::Bytes
            | Schema::String
            | Schema::BigDecimal
            | Schema::Uuid(UuidSchema::String | UuidSchema::Bytes) => self.skip_bytes(),
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => self.skip_bytes(),
                InnerDecimalSchema::Fixed(fixed) => self.take(fixed.size),
            },
            Schema::Fixed(fixed)
            | Schema::Duration(fixed)
            | Schema::Uuid(UuidSchema::Fixed(fixed)) => self.take(fixed.size),
            Schema::Array(array) => self.skip_blocks(|walk| walk.skip(&array.items, depth + 1)),
            Schema::Map(map) => self.skip_blocks(|walk| {
                walk.skip_bytes()?;
                walk.skip(&map.types, depth + 1)
            }),
            Schema::Record(record) => {
                let mut fields = record.fields.iter();
                fields.try_for_each(|field| self.skip(&field.schema, depth + 1))
            }
            Schema::Union(union) => {
                let branch = usize::try_from(self.number()?).ok()?;
                self.skip(union.variants().get(branch)?, depth)
            }
            Schema::Ref { name } => {
                let names = self.names;
                self.skip(names.get(name)?, depth)
            }
            // The rest are whole numbers.
            _ => self.number().map(|_| ()),
        }
    }

    /// The blocks of an array or a map.
    fn skip_blocks(&mut self, mut skip: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        loop {
            let count = match self.number()? {
                0 => return Some(()),
                // The size of the block in bytes stands behind it.
                count if count < 0 => {
                    self.number()?;
                    count.checked_neg()?
                }
                count => count,
            };
            if count > self.most {
                return None;
            }
            (0..count).try_for_each(|_| skip(self))?;
        }
    }

    fn skip_bytes(&mut self) -> Option<()> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn take(&mut self, length: usize) -> Option<()> {
        self.rest = self.rest.get(length..)?;
        Some(())
    }

    /// A whole number: seven bits a byte, the least first, with the sign in the lowest bit.
    fn number(&mut self) -> Option<i64> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(BITS as usize) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        None
    }
}
