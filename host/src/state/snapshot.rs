//! A key group as a record. Only that record is in RAM.

use super::record::Writer;
use super::rows::first_of;
use super::{Group, State};
use bytes::Bytes;

impl State {
    /// A group as it is with the commit in flight: it takes the place of all deltas so far. Nothing of a group
    /// of another partition.
    #[must_use]
    pub fn snapshot(&self, group: Group) -> Bytes {
        let (start, time) = (first_of(group), self.sealed_at);
        let capacity = self.group_usage(group).bytes as usize;
        let mut record = Writer::begin(Some(group), time, capacity, &self.store.operators);
        let mut add = |row: &super::Row| {
            if row.live(time).is_some() {
                record.add(row);
            }
        };
        let written = self.in_flight.iter().flat_map(|layer| layer.from(&start));
        let mut written = written.take_while(|row| row.group() == group).peekable();
        if let Some(position) = self.store.groups.position(group) {
            self.store.rows.each(position, group, &mut |row| {
                while let Some(upper) = written.next_if(|upper| *upper < row) {
                    add(upper);
                }
                add(written.next_if(|upper| *upper == row).unwrap_or(row));
            });
        }
        written.for_each(add);
        record.finish()
    }
}
