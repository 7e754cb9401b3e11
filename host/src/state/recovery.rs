//! From snapshots and the log to a state. A standby updates its state in the same way.
//!
//! The engine of a job knows which records exist, that none is missing, and in which groups a delta is newer
//! than the snapshot. This file reads them. After an error the state has no use: the bytes are not records of
//! this partition, or somebody has changed them.

use super::State;
use super::codec::Corrupt;
use super::record::Record;

impl State {
    /// Takes a group from its snapshot, in the place of an older one; before any delta.
    ///
    /// # Errors
    /// Bytes that are no snapshot of this group, and a group of another partition.
    pub fn restore(&mut self, group: u16, snapshot: &[u8]) -> Result<(), Corrupt> {
        let mut record = Record::read(snapshot, &mut self.store.operators)?;
        let found = record.group.filter(|found| found.number() == group);
        let found = found.ok_or(Corrupt("it is not a snapshot of the group"))?;
        let position = self.store.groups.position(found);
        let position = position.ok_or(Corrupt("it is of a group of another partition"))?;
        let mut rows = Vec::new();
        while let Some(row) = record.next()? {
            if self.store.position(&row)? != position || row.is_deleted() {
                return Err(Corrupt("it has a row that no snapshot of the group has"));
            }
            rows.push(row);
        }
        self.store.fill(position, found, rows);
        self.committed_at(record.time);
        Ok(())
    }

    /// Makes the changes of a delta again, in the groups for which `applies`: those whose snapshot does not have
    /// it. Deltas come in order, and none twice.
    ///
    /// # Errors
    /// Bytes that are no delta, or one of another partition.
    pub fn replay(&mut self, delta: &[u8], applies: &dyn Fn(u16) -> bool) -> Result<(), Corrupt> {
        let mut record = Record::read(delta, &mut self.store.operators)?;
        if record.group.is_some() {
            return Err(Corrupt("it is a snapshot, not a delta"));
        }
        let mut written = 0;
        while let Some(row) = record.next()? {
            self.store.position(&row)?;
            if applies(row.group().number()) {
                self.store.replay(row)?;
                written += 1;
            }
        }
        self.committed_at(record.time);
        // A standby goes on like this forever.
        self.store.sweep(written, &self.overlay);
        Ok(())
    }

    fn committed_at(&mut self, time: u64) {
        self.store.time = self.store.time.max(time);
        self.now = self.now.max(time);
        self.sealed_at = self.store.time;
    }
}
