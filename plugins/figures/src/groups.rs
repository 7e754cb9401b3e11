//! What is kept of each group of a window, and between two calls as bytes.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | the format, which is 1 |
//! | number, 8 for each | how many figures there are, and their ids |
//! | number | how many groups there are. They follow in the order of their names |
//! | part | the name of a group |
//! | part | what its figures have: for each a part, which `partial.rs` writes |
//!
//! Numbers and parts are those of `bytes.rs`. A group that no message touches stays the bytes that it was. Before there was this
//! form, accumulators were JSON, which is still read: an object of the groups, each an object of what its figures have
//! by their names and definitions.

use crate::bytes::{Reader, damaged, number, part};
use crate::config::{Figure, Settings};
use crate::partial::Partial;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::Arc;
use weir_sdk::{Accumulator, Error};

/// The first byte of an accumulator. JSON begins with another one.
const FORMAT: u8 = 1;

/// The groups: each is named by the fields that its messages are alike in, as a JSON object.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// As they were kept, until it is known of which figures they are.
    stored: Vec<u8>,
    /// The bytes that groups are in.
    sources: Vec<Vec<u8>>,
    /// In the order of their names.
    groups: Vec<Group>,
    /// Those that came after them.
    new: BTreeMap<Name, Partials>,
    /// What stands before the groups; empty until it is known of which figures they are.
    header: Arc<[u8]>,
}

/// What the figures of a group have, in the order of the figures.
pub type Partials = Vec<Partial>;

/// The name of a group, in the order of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Name(pub String);

#[derive(Clone, Debug)]
struct Group {
    /// The place of its source.
    source: usize,
    name: Range<usize>,
    held: Held,
}

/// What its figures have.
#[derive(Clone, Debug)]
enum Held {
    /// In the source, behind the name.
    Bytes(Range<usize>),
    Read(Partials),
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        order(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Eight bytes at a time: what compares bytes in WebAssembly takes them one by one.
fn order(one: &[u8], other: &[u8]) -> Ordering {
    let (chunks, rest) = one.as_chunks::<8>();
    let (others, other_rest) = other.as_chunks::<8>();
    let number = |chunk: &[u8; 8]| u64::from_be_bytes(*chunk);
    let mut pairs = chunks.iter().zip(others);
    let order = pairs.find_map(|(one, other)| {
        let order = number(one).cmp(&number(other));
        order.is_ne().then_some(order)
    });
    order.unwrap_or_else(|| match chunks.len() == others.len() {
        true => rest.cmp(other_rest),
        false => one.cmp(other),
    })
}

/// What stands before the groups of these figures. An id is a part of the hash of the name and the definition, so what is
/// kept for another figure is not taken for that of this one.
pub fn header(figures: &[Figure]) -> Arc<[u8]> {
    let mut header = vec![FORMAT];
    number(&mut header, figures.len() as u64);
    let ids = figures.iter().map(|figure| Sha256::digest(&figure.id));
    header.extend(ids.flat_map(|id| id.into_iter().take(8)));
    header.into()
}

impl Accumulator for Groups {
    fn read(bytes: Vec<u8>) -> Result<Self, Error> {
        Ok(Self {
            stored: bytes,
            ..Self::default()
        })
    }

    fn write(mut self) -> Result<Vec<u8>, Error> {
        if self.header.is_empty() {
            return Ok(self.stored);
        }
        self.settle().map_err(Error::Reject)?;
        let sources = self.sources.iter().map(Vec::len).sum::<usize>();
        let mut to = Vec::with_capacity(self.header.len() + sources + 64);
        to.extend(&*self.header);
        number(&mut to, self.groups.len() as u64);
        // Those that stand one behind the other in a source.
        let mut copied = (0, 0..0);
        for Group { source, name, held } in self.groups {
            let bytes = self.sources.get(source).map_or(&[][..], Vec::as_slice);
            match held {
                Held::Bytes(figures) => {
                    let start = name.start - length(name.len());
                    if copied.0 != source || copied.1.end != start {
                        copy(&mut to, &self.sources, copied);
                        copied = (source, start..start);
                    }
                    copied.1.end = figures.end;
                }
                Held::Read(partials) => {
                    copy(&mut to, &self.sources, copied);
                    copied = (0, 0..0);
                    let name = bytes.get(name).unwrap_or_default();
                    part(&mut to, |to| to.extend(name));
                    part(&mut to, |to| {
                        for mut partial in partials {
                            part(to, |to| partial.write(to));
                        }
                    });
                }
            }
        }
        copy(&mut to, &self.sources, copied);
        Ok(to)
    }
}

fn copy(to: &mut Vec<u8>, sources: &[Vec<u8>], (source, range): (usize, Range<usize>)) {
    let bytes = sources.get(source).and_then(|source| source.get(range));
    to.extend(bytes.unwrap_or_default());
}

/// The bytes of a number.
fn length(number: usize) -> usize {
    (usize::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

impl Groups {
    /// Finds the groups in what was kept, for these figures. What is kept of others ends here.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(&mut self, settings: &Settings) -> Result<(), String> {
        if !self.header.is_empty() {
            return Ok(());
        }
        self.header = Arc::clone(&settings.header);
        let stored = std::mem::take(&mut self.stored);
        match stored.first() {
            None => Ok(()),
            Some(&FORMAT) => self.find(settings, stored),
            Some(b'{') => self.of_json(settings, &stored),
            Some(format) => Err(format!(
                "the accumulator has the format {format} of a later version of the plugin, and this version \
                 reads {FORMAT}. hint: run that version, or start again with `weir job reset`"
            )),
        }
    }

    fn find(&mut self, settings: &Settings, stored: Vec<u8>) -> Result<(), String> {
        let (mut reader, mut ids) = (Reader(&stored), Vec::new());
        let is_same = stored.starts_with(&self.header);
        if is_same {
            reader = Reader(stored.get(self.header.len()..).unwrap_or_default());
        } else {
            let [_format] = reader.array()?;
            for _ in 0..reader.number()? {
                ids.push(reader.array()?);
            }
        }
        let count = reader.number()?;
        let most = reader.0.len();
        let count = usize::try_from(count).ok().filter(|count| *count <= most);
        self.groups.reserve(count.ok_or_else(damaged)?);
        while !reader.0.is_empty() {
            let mut next = || -> Result<Range<usize>, String> {
                let part = reader.part()?;
                let end = stored.len() - reader.0.len();
                Ok(end - part.len()..end)
            };
            let (name, figures) = (next()?, next()?);
            let held = match is_same {
                true => Held::Bytes(figures),
                false => {
                    let bytes = stored.get(figures).unwrap_or_default();
                    Held::Read(chosen(settings, &ids, bytes)?)
                }
            };
            let source = self.sources.len();
            self.groups.push(Group { source, name, held });
        }
        match count == Some(self.groups.len()) {
            true => self.sources.push(stored),
            false => return Err(damaged()),
        }
        Ok(())
    }

    fn of_json(&mut self, settings: &Settings, stored: &[u8]) -> Result<(), String> {
        type Before = BTreeMap<Name, BTreeMap<String, Partial>>;
        let groups: Before = serde_json::from_slice(stored)
            .map_err(|error| format!("cannot read the accumulator as JSON: {error}"))?;
        for (name, mut partials) in groups {
            let partial = |figure: &Figure| match partials.remove(&figure.id) {
                Some(partial) => Ok(partial),
                None => figure.function.empty(),
            };
            let partials = settings.results.iter().map(partial);
            self.new.insert(name, partials.collect::<Result<_, _>>()?);
        }
        Ok(())
    }

    /// What the figures of a group have, which begin as those of no messages.
    ///
    /// # Errors
    /// If there is no room for another group, or what is kept cannot be read.
    pub fn entry(&mut self, settings: &Settings, name: Name) -> Result<&mut Partials, String> {
        let (sources, count) = (&self.sources, self.groups.len() + self.new.len());
        let searched = name.0.as_bytes();
        let place = self
            .groups
            .binary_search_by(|group| order(group.name(sources), searched));
        if let Some(group) = place.ok().and_then(|place| self.groups.get_mut(place)) {
            return group.read(sources, settings);
        }
        match self.new.entry(name) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(_) if count >= settings.groups => Err(no_room(settings)),
            Entry::Vacant(entry) => Ok(entry.insert(settings.empty()?)),
        }
    }

    /// Takes in other groups.
    ///
    /// # Errors
    /// If there is no room for them, or what is kept cannot be read.
    pub fn merge(&mut self, settings: &Settings, mut other: Self) -> Result<(), String> {
        for groups in [&mut *self, &mut other] {
            groups.open(settings)?;
            groups.settle()?;
        }
        let (before, shift) = (self.groups.len(), self.sources.len());
        self.sources.append(&mut other.sources);
        for group in &mut other.groups {
            group.source += shift;
        }
        let sources = &self.sources;
        let ours = std::mem::take(&mut self.groups);
        self.groups = merged(sources, ours, other.groups, |group, mut other| {
            let partials = group.read(sources, settings)?.iter_mut();
            let others = std::mem::take(other.read(sources, settings)?);
            let figures = settings.results.iter().zip(partials.zip(others));
            for (figure, (partial, other)) in figures {
                figure.function.merge(partial, other)?;
            }
            Ok(())
        })?;
        match self.groups.len() > settings.groups.max(before) {
            true => Err(no_room(settings)),
            false => Ok(()),
        }
    }

    /// All of them in the order of their names.
    ///
    /// # Errors
    /// If what is kept cannot be read.
    pub fn all(mut self, settings: &Settings) -> Result<Vec<(Vec<u8>, Partials)>, String> {
        self.open(settings)?;
        self.settle()?;
        let all = self.groups.into_iter().map(|mut group| {
            let partials = std::mem::take(group.read(&self.sources, settings)?);
            Ok((group.name(&self.sources).to_owned(), partials))
        });
        all.collect()
    }

    /// Takes the new groups in between the others.
    fn settle(&mut self) -> Result<(), String> {
        if self.new.is_empty() {
            return Ok(());
        }
        let mut names = Vec::new();
        let new = std::mem::take(&mut self.new).into_iter();
        let new = new.map(|(Name(name), partials)| {
            let start = names.len();
            names.extend(name.as_bytes());
            Group {
                source: self.sources.len(),
                name: start..names.len(),
                held: Held::Read(partials),
            }
        });
        let new = new.collect();
        self.sources.push(names);
        let ours = std::mem::take(&mut self.groups);
        self.groups = merged(&self.sources, ours, new, |_, _| Err(damaged()))?;
        Ok(())
    }
}

/// Groups in the order of their names. Of two with the same name the first takes in the second.
fn merged(
    sources: &[Vec<u8>],
    left: Vec<Group>,
    right: Vec<Group>,
    both: impl Fn(&mut Group, Group) -> Result<(), String>,
) -> Result<Vec<Group>, String> {
    let mut all = Vec::with_capacity(left.len() + right.len());
    let mut right = right.into_iter().peekable();
    for mut group in left {
        let name = group.name(sources);
        let is_before = |other: &Group| order(other.name(sources), name).is_lt();
        while let Some(other) = right.next_if(is_before) {
            all.push(other);
        }
        let is_same = |other: &Group| other.name(sources) == name;
        if let Some(other) = right.next_if(is_same) {
            both(&mut group, other)?;
        }
        all.push(group);
    }
    all.extend(right);
    Ok(all)
}

impl Group {
    fn name<'s>(&self, sources: &'s [Vec<u8>]) -> &'s [u8] {
        let source = sources.get(self.source);
        let name = source.and_then(|source| source.get(self.name.clone()));
        name.unwrap_or_default()
    }

    fn read(&mut self, sources: &[Vec<u8>], settings: &Settings) -> Result<&mut Partials, String> {
        if let Held::Bytes(range) = &self.held {
            let source = sources.get(self.source);
            let bytes = source.and_then(|source| source.get(range.clone()));
            let mut reader = Reader(bytes.unwrap_or_default());
            let figures = settings.results.iter();
            let partials = figures.map(|figure| Partial::read(&figure.function, reader.part()?));
            self.held = Held::Read(partials.collect::<Result<_, _>>()?);
        }
        match &mut self.held {
            Held::Read(partials) => Ok(partials),
            Held::Bytes(_) => Err(damaged()),
        }
    }
}

/// What was kept for figures with these ids, for those that there are now.
fn chosen(settings: &Settings, ids: &[[u8; 8]], bytes: &[u8]) -> Result<Partials, String> {
    let mut reader = Reader(bytes);
    let mut parts = BTreeMap::new();
    for id in ids {
        parts.insert(id.as_slice(), reader.part()?);
    }
    let wanted = settings.header.rchunks_exact(8).rev();
    let wanted = wanted.take(settings.results.len());
    let partial = |(figure, id): (&Figure, &[u8])| match parts.get(id) {
        Some(bytes) => Partial::read(&figure.function, bytes),
        None => figure.function.empty(),
    };
    settings.results.iter().zip(wanted).map(partial).collect()
}

fn no_room(settings: &Settings) -> String {
    let most = settings.groups;
    format!("the window has {most} groups, which is all that `max-groups` allows")
}
