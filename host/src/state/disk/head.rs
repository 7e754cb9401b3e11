//! The description of a store on disk: its owner, its size, and its position in the log. With it the store
//! can be opened without reading rows, except timers.

use super::keys::{HEAD, LONG, group_key};
use super::{Disk, Location};
use crate::state::codec::{self, Corrupt, Reader, put_bytes, put_varint};
use crate::state::group::Groups;
use crate::state::row::{Address, Kind, Operator, Place};
use crate::state::rows::Rows;
use crate::state::store::{Shard, Store, Usage};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Of the keys, the rows and this record. A store of another one is thrown away.
pub(super) const FORMAT: u64 = 2;

/// The position of a state in its log, by the checkpoint of its last commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The number of the last delta that is in the state, and the digest of all of them.
    pub log: u64,
    pub chain: Arc<str>,
    /// Where the log continues, by its fence.
    pub next: u64,
    /// The number of the last delta that all snapshots reach.
    pub compacted: u64,
    /// Deltas behind that, and their bytes.
    pub length: (usize, usize),
}

impl Store {
    /// The stored state of these groups. A state that is damaged or not wanted is replaced by an empty one,
    /// and the reason is returned with it.
    pub(super) fn open(
        groups: &Groups,
        at: &Location,
        keep: bool,
    ) -> Result<(Self, Option<String>), String> {
        let identity = format!("{:?} {}", groups.numbers(), at.identity).into_bytes();
        let mut discarded = None;
        if keep {
            let kept = Disk::open(at, identity.clone(), true);
            match kept.and_then(|disk| Self::load(groups, disk)) {
                Ok(store) => return Ok((store, None)),
                Err(why) => discarded = Some(why),
            }
        }
        let mut store = Self::new(groups.clone(), []).map_err(|Corrupt(why)| why.to_owned())?;
        store.rows = Rows::Disk(Box::new(Disk::open(at, identity, false)?));
        Ok((store, discarded))
    }

    /// What there is, if it is whole. Otherwise why it is not.
    fn load(groups: &Groups, mut disk: Disk) -> Result<Self, String> {
        let corrupt = |Corrupt(why): Corrupt| why.to_owned();
        let mut store = Self::new(groups.clone(), []).map_err(corrupt)?;
        let Some(head) = disk.files.get(HEAD) else {
            let broken = disk.files.broken().map(str::to_owned);
            // Nothing was stored yet.
            store.rows = Rows::Disk(Box::new(disk));
            return broken.map_or(Ok(store), Err);
        };
        let mark = store.read_head(&head, &disk.identity).map_err(corrupt)?;
        disk.mark = Some(mark.ok_or_else(|| "it was not written to its end".to_owned())?);
        for (position, group) in groups.iter().enumerate() {
            let found = disk.files.get(&group_key(group));
            if let (Some(found), Some(shard)) = (found, store.shards.get_mut(position)) {
                *shard = read_group(&found).map_err(corrupt)?;
                store.usage.rows += shard.usage.rows;
                store.usage.keys += shard.usage.keys;
                store.usage.bytes += shard.usage.bytes;
            }
        }
        store.with(disk)?;
        Ok(store)
    }

    /// Takes the rows of a store, whose timers and long keys are read.
    fn with(&mut self, mut disk: Disk) -> Result<(), String> {
        let long = disk.files.scan(vec![LONG], vec![LONG + 1]);
        let long: BTreeSet<_> = long
            .map_while(|(key, bytes)| disk.parsed(&key, &bytes))
            .collect();
        disk.long = long;
        let operators = 0..self.operators.iter().count() as u16;
        for group in self.groups.iter() {
            for operator in operators.clone().map(Operator) {
                let [first, last] = Place::of_table(group, operator, Kind::Timer);
                let place = first;
                let (key, name) = (&b""[..], &b""[..]);
                let timers = disk.from(&Address { place, key, name });
                timers
                    .take_while(|row| row.address().place <= last)
                    .for_each(|row| self.timers.add(row));
                disk.settle();
            }
        }
        if let Some(why) = disk.files.broken() {
            return Err(why.to_owned());
        }
        self.rows = Rows::Disk(Box::new(disk));
        Ok(())
    }

    /// Stores what was put since the last time, if the rows are on disk. With no mark it is of no place in the log,
    /// and is not kept.
    pub(in crate::state) fn note(&mut self, mark: Option<&Mark>) {
        let Rows::Disk(disk) = &self.rows else {
            return;
        };
        let head = self.head(&disk.identity, mark);
        let Rows::Disk(disk) = &mut self.rows else {
            return;
        };
        disk.mark = mark.cloned();
        let shards = disk.changed().into_iter().filter_map(|group| {
            let shard = self.shards.get(self.groups.position(group)?)?;
            Some((group, group_record(shard)))
        });
        let shards: Vec<_> = shards.collect();
        disk.note(head, shards.into_iter());
    }

    fn head(&self, identity: &[u8], mark: Option<&Mark>) -> Bytes {
        let mut body = Vec::new();
        put_varint(&mut body, FORMAT);
        put_bytes(&mut body, identity);
        put_varint(&mut body, self.time);
        put_varint(&mut body, self.operators.iter().count() as u64);
        for (place, id) in self.operators.iter().enumerate() {
            let (rows, format) = self.per_operator.get(place).copied().unwrap_or_default();
            put_bytes(&mut body, id.as_bytes());
            put_varint(&mut body, rows);
            put_varint(&mut body, format.into());
        }
        if let Some(mark) = mark {
            put_bytes(&mut body, mark.chain.as_bytes());
            let length = [mark.length.0, mark.length.1].map(|number| number as u64);
            for number in [mark.log, mark.next, mark.compacted]
                .into_iter()
                .chain(length)
            {
                put_varint(&mut body, number);
            }
        }
        codec::seal(&body)
    }

    fn read_head(&mut self, head: &[u8], identity: &[u8]) -> Result<Option<Mark>, Corrupt> {
        let mut head = codec::open(head)?;
        if head.varint()? != FORMAT {
            return Err(Corrupt("it is of another version of weir"));
        }
        if head.bytes()? != identity {
            return Err(Corrupt("it is of another job or partition"));
        }
        self.time = head.varint()?;
        for place in 0..head.varint()? {
            let text = |bytes| std::str::from_utf8(bytes);
            let id =
                text(head.bytes()?).map_err(|_| Corrupt("the id of an operator is not UTF-8"))?;
            let Operator(number) = self.operators.intern(id)?;
            if u64::from(number) != place {
                return Err(Corrupt("it names an operator twice"));
            }
            let (rows, format) = (head.varint()?, head.varint()?);
            let format = u32::try_from(format).map_err(|_| Corrupt("a format is not a number"))?;
            self.per_operator.push((rows, format));
        }
        if head.is_empty() {
            return Ok(None);
        }
        let chain = std::str::from_utf8(head.bytes()?);
        let chain = chain.map_err(|_| Corrupt("its digest is not text"))?.into();
        let [log, next, compacted] = [head.varint()?, head.varint()?, head.varint()?];
        let mut length = || Ok(usize::try_from(head.varint()?).unwrap_or(usize::MAX));
        Ok(Some(Mark {
            log,
            chain,
            next,
            compacted,
            length: (length()?, length()?),
        }))
    }
}

fn group_record(shard: &Shard) -> Bytes {
    let mut body = Vec::new();
    put_varint(&mut body, shard.usage.rows);
    put_varint(&mut body, shard.usage.keys);
    put_varint(&mut body, shard.usage.bytes);
    put_varint(&mut body, shard.expiring as u64);
    codec::seal(&body)
}

fn read_group(record: &[u8]) -> Result<Shard, Corrupt> {
    let mut body: Reader<'_> = codec::open(record)?;
    let [rows, keys, bytes, expiring] = [
        body.varint()?,
        body.varint()?,
        body.varint()?,
        body.varint()?,
    ];
    Ok(Shard {
        usage: Usage { rows, keys, bytes },
        expiring: usize::try_from(expiring).unwrap_or(usize::MAX),
    })
}
