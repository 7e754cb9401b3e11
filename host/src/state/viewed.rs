//! Values for views: those that the writes of a commit change, and all values in turn.
//!
//! An expiring value writes nothing. So a value in a view has a timer of the host, which is due when the
//! value expires: then the value is written once more, as an expired one, and leaves the view with that
//! commit.

use super::row::{Address, Kind, Place, Row};
use super::timers::{Clock, Timer};
use super::{Operator, Refused, State};

/// What the tag of such a timer begins with, before the name of the value. It is no UTF-8, so no plugin has such a tag.
const EXPIRY: &[u8] = b"\xffexpiry:";

/// A value as a view is to have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    pub key: &'a [u8],
    /// None if it is deleted, or has expired.
    pub value: Option<&'a [u8]>,
    /// Nanoseconds until it expires; none if it does not.
    pub left: Option<u64>,
}

/// Where a look at all values with one name goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Groups that were looked at whole.
    groups: usize,
    /// Key and name of the last row of the next.
    after: Option<(Vec<u8>, Vec<u8>)>,
}

/// Whether a timer with this tag is one of the host, for a value that expires.
pub(super) fn is_expiry(tag: &[u8]) -> bool {
    tag.starts_with(EXPIRY)
}

impl State {
    /// The same, of which views show the values with these names of operators.
    #[must_use]
    pub fn with_viewed<'a>(self, names: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let names = names.into_iter();
        let viewed =
            names.filter_map(|(id, name)| Some((self.operator(id)?, name.as_bytes().into())));
        Self {
            viewed: viewed.collect(),
            ..self
        }
    }

    /// A value is about to be set until then, or forever, or deleted: sets its timer, if views show it, or deletes it.
    pub(super) fn expires(
        &mut self,
        operator: Operator,
        key: &[u8],
        name: &[u8],
        at: Option<u64>,
    ) -> Result<(), Refused> {
        let is_it = |(of, shown): &(Operator, Box<[u8]>)| *of == operator && **shown == *name;
        if !self.viewed.iter().any(is_it) {
            return Ok(());
        }
        let tag = [EXPIRY, name].concat();
        match at {
            Some(at) => self.set_timer(operator, key, &tag, Clock::ProcessingTime, at),
            None => self.delete_timer(operator, key, &tag),
        }
    }

    /// Whether a timer that is due was one for a value that expires, which has then been written as one that has.
    pub fn expire(&mut self, timer: &Timer) -> bool {
        let Some(name) = timer.tag.strip_prefix(EXPIRY) else {
            return false;
        };
        let address = Address::new(timer.operator, Kind::Value, &timer.key, name);
        if self
            .row(&address)
            .is_none_or(|row| row.live(self.now).is_none())
        {
            self.put(Row::new(address, Some(timer.at), b""));
        }
        true
    }

    /// The values with this name that the writes since the last commit have changed.
    pub fn changed<'a>(
        &'a self,
        operator: Operator,
        name: &'a [u8],
    ) -> impl Iterator<Item = Shown<'a>> {
        let rows = self.overlay.rows().filter(move |row| {
            row.operator() == operator && row.kind() == Kind::Value && row.address().name == name
        });
        rows.map(|row| self.shown(row))
    }

    /// Continues to show the values with this name, with all writes so far, until `take` has no room for one.
    /// Looks at so many rows, at most. True if that was the end.
    pub fn show(
        &self,
        (operator, name): (Operator, &[u8]),
        from: &mut Cursor,
        most: usize,
        take: &mut dyn FnMut(&Shown<'_>) -> bool,
    ) -> bool {
        let mut left = most;
        for group in self.store.groups.iter().skip(from.groups) {
            let [first, last] = Place::of_table(group, operator, Kind::Value);
            let after = from.after.take();
            let begin = match &after {
                Some((key, name)) => Address::new(operator, Kind::Value, key, name),
                None => Address {
                    place: first,
                    key: b"",
                    name: b"",
                },
            };
            let rows = self.rows_from(begin, Some(&self.overlay));
            let rows = rows.take_while(|row| row.address().place <= last);
            let mut before: Option<&Row> = None;
            for row in rows {
                let at = row.address();
                let is_shown = |(key, name): &(Vec<u8>, Vec<u8>)| key == at.key && name == at.name;
                if after.as_ref().is_some_and(is_shown) {
                    continue;
                }
                let shown = self.shown(row);
                let fits = left > 0 && (at.name != name || shown.value.is_none() || take(&shown));
                if !fits {
                    let before = before.map(Row::address);
                    let before = before.map(|it| (it.key.to_vec(), it.name.to_vec()));
                    from.after = before.or(after);
                    return false;
                }
                (before, left) = (Some(row), left - 1);
            }
            from.groups += 1;
        }
        true
    }

    fn shown<'a>(&self, row: &'a Row) -> Shown<'a> {
        let expiry = row.written().and_then(|written| written.expiry);
        Shown {
            key: row.address().key,
            value: row.live(self.now),
            left: expiry.map(|expiry| expiry.saturating_sub(self.now)),
        }
    }
}
