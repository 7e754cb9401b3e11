//! The fields of a payload that somebody asks for. The others are read over without a value, and judged all the same:
//! a payload is JSON, or refused with the same reason, whatever is asked of it.

#[cfg(test)]
mod tests;

use crate::depth::DEPTH;
use crate::scan::{NotJson, Scanner};
use std::collections::BTreeSet;

/// Which fields of an object are wanted: none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    all: bool,
    names: BTreeSet<String>,
}

/// A payload that was read. Values are the JSON that they were written as.
#[derive(Debug)]
pub enum Payload<'w, 'j> {
    /// The wanted fields of an object, in their order. A name may be there more than once: the last one counts.
    Fields(Vec<(&'w str, &'j str)>),
    /// What is no object, or all of one.
    Whole(&'j str),
}

impl Wanted {
    /// Wants a field with this name.
    pub fn field(&mut self, name: &str) {
        self.names.insert(name.to_owned());
    }

    /// Wants all fields.
    pub fn all(&mut self) {
        self.all = true;
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// If it is not JSON.
    pub fn read<'j>(&self, json: &'j [u8]) -> Result<Payload<'_, 'j>, NotJson> {
        let payload = Scanner::new(json)?.whole(|scanner| {
            if self.all || scanner.space() != Some(b'{') {
                return scanner.value(DEPTH).map(Payload::Whole);
            }
            let mut fields = Vec::with_capacity(self.names.len());
            scanner.object(DEPTH, |name, value| {
                if let Some(name) = self.names.get(&*name) {
                    fields.push((name.as_str(), value));
                }
            })?;
            Ok(Payload::Fields(fields))
        });
        payload.map_err(|error| error.deeper_than(DEPTH))
    }
}
