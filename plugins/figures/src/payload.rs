//! The payload of a message, of which only the fields are found that figures look at. Values are the JSON that they were
//! written as.

use fields::{NotJson, Pointer, Wanted};
use std::borrow::Cow;

/// A payload that is JSON.
pub struct Payload<'m> {
    json: &'m [u8],
    /// The wanted fields of an object, in their order.
    fields: Vec<(&'m str, &'m str)>,
    /// All of what is no object.
    whole: Option<&'m str>,
}

impl<'m> Payload<'m> {
    /// Finds these fields of an object, and all of what is none. The error is that of the whole payload.
    pub fn read(json: &'m [u8], wanted: &'m Wanted) -> Result<Self, NotJson> {
        let (fields, whole) = match wanted.read(json)? {
            fields::Payload::Fields(fields) => (fields, None),
            fields::Payload::Whole(whole) => (Vec::new(), Some(whole)),
        };
        Ok(Self {
            json,
            fields,
            whole,
        })
    }

    /// What a JSON pointer names, which begins with a field that was wanted, or is the empty one.
    pub fn pointer(&self, pointer: &str) -> Option<&'m str> {
        if let Some(whole) = self.whole {
            return Pointer::parse(pointer)
                .ok()
                .and_then(|it| fields::find(whole, it.steps()));
        }
        let Some(steps) = pointer.strip_prefix('/') else {
            // It was read as text.
            return str::from_utf8(self.json).ok().map(str::trim);
        };
        let (name, rest) = steps.split_at(steps.find('/').unwrap_or(steps.len()));
        let name = match name.contains('~') {
            true => Cow::Owned(name.replace("~1", "/").replace("~0", "~")),
            false => Cow::Borrowed(name),
        };
        // Of several with this name the last one counts.
        let mut fields = self.fields.iter().rev();
        let (_, value) = fields.find(|(field, _)| *field == name)?;
        match rest {
            "" => Some(value),
            rest => fields::find(value, Pointer::parse(rest).ok()?.steps()),
        }
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
