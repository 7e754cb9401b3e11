//! The payload of a message, of which only the fields are read that figures look at.

use fields::{Pointer, Wanted};
use serde_json::Value;
use std::borrow::Cow;
use std::cell::OnceCell;

/// A payload that is JSON.
pub struct Payload<'m> {
    json: &'m [u8],
    /// The wanted fields of an object, in their order.
    fields: Vec<(&'m str, Value)>,
    /// All of it: of what is no object, and once somebody has asked for it.
    whole: OnceCell<Value>,
}

impl<'m> Payload<'m> {
    /// Reads these fields of an object, and all of what is none. The error is that of the whole payload.
    pub fn read(json: &'m [u8], wanted: &'m Wanted) -> serde_json::Result<Self> {
        let (fields, whole) = match wanted.read(json)? {
            fields::Payload::Fields(fields) => (fields, OnceCell::new()),
            fields::Payload::Whole(whole) => (Vec::new(), OnceCell::from(whole)),
        };
        Ok(Self {
            json,
            fields,
            whole,
        })
    }

    /// What a JSON pointer names, which begins with a field that was wanted, or is the empty one.
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        if let Some(whole) = self.whole.get() {
            return whole.pointer(pointer);
        }
        let Some(steps) = pointer.strip_prefix('/') else {
            let read = || serde_json::from_slice(self.json).unwrap_or_default();
            return Some(self.whole.get_or_init(read));
        };
        let (name, rest) = steps.split_at(steps.find('/').unwrap_or(steps.len()));
        let name = match name.contains('~') {
            true => Cow::Owned(name.replace("~1", "/").replace("~0", "~")),
            false => Cow::Borrowed(name),
        };
        // Of several with this name the last one counts.
        let mut fields = self.fields.iter().rev();
        let (_, value) = fields.find(|(field, _)| *field == name)?;
        value.pointer(rest)
    }
}

/// The fields with which these JSON pointers begin. The empty one, which is the whole payload, needs none of them.
pub fn wanted<'p>(pointers: impl Iterator<Item = &'p str>) -> Wanted {
    let mut wanted = Wanted::default();
    for pointer in pointers {
        let pointer = Pointer::parse(pointer);
        let steps = pointer.iter().flat_map(Pointer::steps);
        steps.take(1).for_each(|step| wanted.field(step));
    }
    wanted
}
