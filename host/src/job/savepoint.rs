//! The bytes of a savepoint: the state of all key groups of a job, each as of a checkpoint of its partition,
//! and the positions of the inputs.
//!
//! ```text
//! magic | frames                   frame: kind (1 byte) | length (4 bytes, the least first) | content
//! H     what it is of, as JSON
//! S     the spans of a partition, as JSON; before its groups
//! G     number of a key group (2 bytes) and its snapshot, in the order of the numbers; none if it is empty
//! E     how much there was, as JSON; blake3 of all bytes before follows
//! ```
//!
//! Whoever reads it trusts nothing before [`verify`] has read all of it once.

use super::positions::Span;
use crate::nats::job::Definition;
use crate::state::group::GROUPS;
use crate::state::{Group, State};
use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const MAGIC: &[u8] = b"weir savepoint 1\n";
const DIGEST: usize = 32;
/// Bytes of a frame, at most: a key group is not larger.
const LONGEST: u32 = 1 << 30;
/// Bytes that are written at once.
const BLOCK: usize = 128 << 10;

/// What a savepoint is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub job: String,
    pub definition: Definition,
    /// RFC 3339.
    pub at: String,
    /// Which weir has written it.
    pub weir: String,
    /// Digests of the configuration and of the plugins of the hosts, as one of the checkpoints has them.
    pub digests: BTreeMap<String, String>,
}

/// How much state there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Different keys. A timer or a message that waits has one, too.
    pub keys: u64,
    /// Values, timers, and messages that wait.
    pub rows: u64,
    /// As the metrics count them.
    pub bytes: u64,
}

impl Amount {
    /// That of a group.
    #[must_use]
    pub fn of(state: &State, group: Group) -> Self {
        let keys: BTreeSet<&[u8]> = state.entries(group).map(|entry| entry.key).collect();
        let usage = state.group_usage(group);
        Self {
            keys: keys.len() as u64,
            rows: usage.rows,
            bytes: usage.bytes,
        }
    }

    pub fn add(&mut self, other: Self) {
        self.keys += other.keys;
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

/// Writes a savepoint. What it holds at once is a block, or a group that is larger.
pub struct Writer<W> {
    to: W,
    block: Vec<u8>,
    digest: blake3::Hasher,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// # Errors
    /// As all of its methods: when it cannot be written.
    pub async fn begin(to: W, header: &Header) -> Result<Self> {
        let mut writer = Self {
            to,
            block: MAGIC.to_vec(),
            digest: blake3::Hasher::new(),
        };
        writer.frame(b'H', &[&serde_json::to_vec(header)?]).await?;
        Ok(writer)
    }

    pub async fn spans(&mut self, spans: &[Span]) -> Result<()> {
        self.frame(b'S', &[&serde_json::to_vec(spans)?]).await
    }

    pub async fn group(&mut self, group: u16, content: &[u8]) -> Result<()> {
        self.frame(b'G', &[&group.to_le_bytes(), content]).await
    }

    pub async fn end(mut self, amount: Amount) -> Result<()> {
        self.frame(b'E', &[&serde_json::to_vec(&amount)?]).await?;
        self.flush().await?;
        self.to.write_all(self.digest.finalize().as_bytes()).await?;
        self.to.shutdown().await.context("cannot end it")
    }

    async fn frame(&mut self, kind: u8, parts: &[&[u8]]) -> Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length)
            .ok()
            .filter(|length| *length <= LONGEST);
        let length = length.context("a key group has more bytes than a savepoint takes")?;
        self.block.push(kind);
        self.block.extend_from_slice(&length.to_le_bytes());
        parts
            .iter()
            .for_each(|part| self.block.extend_from_slice(part));
        match self.block.len() < BLOCK {
            true => Ok(()),
            false => self.flush().await,
        }
    }

    async fn flush(&mut self) -> Result<()> {
        self.digest.update(&self.block);
        self.to
            .write_all(&self.block)
            .await
            .context("cannot write it")?;
        self.block.clear();
        Ok(())
    }
}

/// A part of a savepoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Header(Box<Header>),
    Spans(Vec<Span>),
    Group(u16, Bytes),
}

/// Reads a savepoint, of which anybody may have written any byte.
pub struct Reader<R> {
    from: R,
    digest: blake3::Hasher,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// # Errors
    /// When it is no savepoint, or cannot be read.
    pub async fn begin(mut from: R) -> Result<Self> {
        let mut magic = [0; MAGIC.len()];
        let read = from.read_exact(&mut magic).await;
        if read.is_err() || magic != MAGIC {
            bail!("it is not a savepoint, or it is from another version of weir");
        }
        let mut digest = blake3::Hasher::new();
        digest.update(&magic);
        Ok(Self { from, digest })
    }

    /// The next part; none at the end, which is as it was written.
    ///
    /// # Errors
    /// When it is damaged, or cannot be read.
    pub async fn next(&mut self) -> Result<Option<Part>> {
        let mut head = [0; 5];
        self.from
            .read_exact(&mut head)
            .await
            .context("it ends too early")?;
        self.digest.update(&head);
        let [kind, length @ ..] = head;
        let length = u32::from_le_bytes(length);
        if length > LONGEST {
            bail!("a part of it is too long");
        }
        // Memory is only taken for what has come.
        let mut content = Vec::new();
        let mut rest = (&mut self.from).take(length.into());
        rest.read_to_end(&mut content)
            .await
            .context("cannot read it")?;
        if content.len() as u64 != u64::from(length) {
            bail!("it ends too early");
        }
        self.digest.update(&content);
        Ok(Some(match kind {
            b'H' => Part::Header(serde_json::from_slice(&content)?),
            b'S' => Part::Spans(serde_json::from_slice(&content)?),
            b'G' => {
                let mut content = Bytes::from(content);
                if content.len() < 2 {
                    bail!("a group of it has no number");
                }
                let number = content.split_to(2);
                let number = number
                    .iter()
                    .rev()
                    .fold(0, |number, byte| number << 8 | u16::from(*byte));
                Part::Group(number, content)
            }
            b'E' => {
                let mut digest = Vec::new();
                let mut rest = (&mut self.from).take(DIGEST as u64 + 1);
                rest.read_to_end(&mut digest)
                    .await
                    .context("cannot read it")?;
                if digest != self.digest.finalize().as_bytes() {
                    bail!("its digest does not match");
                }
                return Ok(None);
            }
            _ => bail!("it has a part of an unknown kind"),
        }))
    }
}

/// What was found out about a savepoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub header: Header,
    /// Of all key groups, in order.
    pub spans: Vec<Span>,
    /// Counted again.
    pub amount: Amount,
}

/// Reads a savepoint to its end.
///
/// # Errors
/// When anything is not as it was written, or makes no sense.
pub async fn verify(from: impl AsyncRead + Unpin) -> Result<Verified> {
    let mut reader = Reader::begin(from).await?;
    let Some(Part::Header(header)) = reader.next().await? else {
        bail!("it does not say what it is of");
    };
    let definition = Definition::read(&serde_json::to_vec(&header.definition)?)?;
    let (mut spans, mut amount, mut next): (Vec<Span>, _, _) = (Vec::new(), Amount::default(), 0);
    while let Some(part) = reader.next().await? {
        match part {
            Part::Header(_) => bail!("it says twice what it is of"),
            Part::Spans(more) => {
                for span in more {
                    let end = spans.last().map_or(0, |last| last.groups.end);
                    let is_plain = span.inputs.iter().all(|input| input.ahead.is_empty());
                    if span.groups.start != end || span.groups.is_empty() || !is_plain {
                        bail!("its key groups are not in order");
                    }
                    spans.push(span);
                }
            }
            Part::Group(number, content) => {
                let end = spans.last().map_or(0, |last| last.groups.end);
                let group = Group::new(number.into()).filter(|_| next <= number && number < end);
                let group = group.context("its key groups are not in order")?;
                next = number + 1;
                amount.add(Amount::of(&restored(group, &content)?, group));
            }
        }
    }
    if spans.last().is_none_or(|last| last.groups.end != GROUPS) {
        bail!("key groups are missing");
    }
    Ok(Verified {
        header: Header {
            definition,
            ..*header
        },
        spans,
        amount,
    })
}

/// The state of one group alone.
fn restored(group: Group, content: &[u8]) -> Result<State> {
    let mut state = State::new(crate::state::Groups::all(), [], u64::MAX)?;
    state.restore(group.number(), content)?;
    Ok(state)
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::*;
    use crate::job::log::Progress;
    use crate::nats::job::DefinedSource;
    use crate::state::Groups;
    use crate::threads::block_on;

    fn header() -> Header {
        Header {
            job: "p".to_owned(),
            definition: Definition {
                first: DefinedSource {
                    rows: Vec::new(),
                    name: None,
                    source: "IN@1".to_owned(),
                    begin: 0,
                    key: None,
                    table: false,
                },
                partitions: 2,
                order: Default::default(),
                more: Vec::new(),
            },
            at: "2026-11-27T00:00:00Z".to_owned(),
            weir: "0.1.0".to_owned(),
            digests: BTreeMap::new(),
        }
    }

    fn span(groups: std::ops::Range<u16>) -> Span {
        let inputs = vec![Progress::at("IN@1", 7)];
        Span {
            groups,
            inputs,
            committed: 0,
        }
    }

    /// A savepoint of two partitions with a value for each of some keys.
    fn written() -> (Vec<u8>, Amount) {
        let mut state = State::new(Groups::all(), ["op"], u64::MAX).unwrap();
        let op = state.operator("op").unwrap();
        for key in [&b"a"[..], b"b", b"\xff", b""] {
            state.set(op, key, b"n", b"1", None).unwrap();
        }
        state.seal().unwrap();
        state.confirmed();
        let mut bytes = Vec::new();
        let mut amount = Amount::default();
        block_on(async {
            let mut writer = Writer::begin(&mut bytes, &header()).await.unwrap();
            for partition in 0..2 {
                let groups = Groups::of_partition(partition, 2).unwrap();
                writer.spans(&[span(groups.numbers())]).await.unwrap();
                for group in groups
                    .iter()
                    .filter(|group| state.group_usage(*group).rows > 0)
                {
                    amount.add(Amount::of(&state, group));
                    let content = state.snapshot(group);
                    writer.group(group.number(), &content).await.unwrap();
                }
            }
            writer.end(amount).await
        })
        .unwrap();
        (bytes, amount)
    }

    fn verified(bytes: &[u8]) -> Result<Verified> {
        block_on(async { verify(bytes).await })
    }

    #[test]
    fn a_savepoint_is_read_as_it_was_written_and_says_how_much_it_holds() {
        let (bytes, amount) = written();
        let verified = verified(&bytes).unwrap();
        assert_eq!((verified.amount, amount.keys, amount.rows), (amount, 4, 4));
        assert_eq!(verified.spans, [span(0..512), span(512..1024)]);
        assert_eq!(verified.header, header());
    }

    #[test]
    fn a_savepoint_with_a_changed_or_missing_byte_is_refused_whatever_byte_it_is() {
        let (bytes, _) = written();
        for place in 0..bytes.len() {
            let mut edited = bytes.clone();
            edited[place] ^= 0x10;
            assert!(verified(&edited).is_err(), "{place}");
            assert!(verified(&bytes[..place]).is_err(), "{place}");
        }
        assert!(verified(&[&bytes[..], b"x"].concat()).is_err());
    }
}
