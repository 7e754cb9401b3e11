//! What a native query keeps: in memory, with a log of what has changed since the last commit.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;

use anyhow::Result;
use serde::Serialize;

pub(super) struct Table<K, V> {
    values: BTreeMap<K, V>,
    changed: BTreeSet<K>,
}

impl<K: Copy + Ord + Serialize, V: Serialize> Table<K, V> {
    pub(super) fn new() -> Self {
        Self {
            values: BTreeMap::new(),
            changed: BTreeSet::new(),
        }
    }

    pub(super) fn get(&self, key: K) -> Option<&V> {
        self.values.get(&key)
    }

    /// The value to be changed; a default one if there is none.
    pub(super) fn edit(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.changed.insert(key);
        self.values.entry(key).or_default()
    }

    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        self.changed.insert(key);
        self.values.remove(&key)
    }

    pub(super) fn first(&self) -> Option<K> {
        self.values.keys().next().copied()
    }

    pub(super) fn range(&self, keys: impl RangeBounds<K>) -> impl Iterator<Item = (&K, &V)> {
        self.values.range(keys)
    }

    /// Appends each key that has changed with its value, a line of JSON each; a key without a value has `null`.
    pub(super) fn log(&mut self, to: &mut Vec<u8>) -> Result<()> {
        for key in std::mem::take(&mut self.changed) {
            serde_json::to_writer(&mut *to, &(key, self.values.get(&key)))?;
            to.push(b'\n');
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_what_has_changed_since_the_last_time() -> Result<()> {
        let mut table: Table<u64, u64> = Table::new();
        let mut log = Vec::new();
        *table.edit(1) += 5;
        *table.edit(2) += 6;
        table.log(&mut log)?;
        assert_eq!(log, b"[1,5]\n[2,6]\n");
        log.clear();
        table.remove(1);
        table.log(&mut log)?;
        assert_eq!(log, b"[1,null]\n");
        Ok(())
    }
}
