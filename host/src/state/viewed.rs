//! Values for views: those that the writes of a commit change, and all of them in turn.

use super::row::{Address, Kind, Place, Row};
use super::{Operator, State};

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

impl State {
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

    /// Goes on to show the values with this name, with all writes so far, until `take` says that there is no room for one.
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
