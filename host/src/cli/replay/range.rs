//! Which messages of a stream are replayed.

use crate::nats::history::History;
use crate::report::ResultExt;
use anyhow::{Result, anyhow};
use jiff::Timestamp;

/// An end of the range, from the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Edge {
    Sequence(u64),
    Time(Timestamp),
}

impl Edge {
    /// Parses a number from 1, or RFC 3339.
    pub(in crate::cli) fn parse(text: &str) -> Result<Self, String> {
        let sequence = text.parse().ok().filter(|sequence| *sequence > 0);
        let time = || text.parse().ok().map(Self::Time);
        let edge = sequence.map(Self::Sequence).or_else(time);
        edge.ok_or_else(|| "neither a sequence nor a time as in 2026-03-02T10:00:00Z".to_owned())
    }
}

impl Edge {
    /// The first message from here on.
    ///
    /// # Errors
    /// When the server does not say.
    pub(in crate::cli) async fn sequence(self, source: &History) -> Result<u64> {
        match self {
            Self::Sequence(sequence) => Ok(sequence),
            Self::Time(time) => source.sequence_at(nanoseconds(time)).await,
        }
    }
}

/// Where a replay begins, from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    Edge(Edge),
    /// The name of a savepoint of the job.
    Savepoint(String),
}

impl From {
    /// Parses what an edge is parsed from; anything else is a name.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let edge = Edge::parse(text).map(Self::Edge);
        edge.or_else(|wrong| match crate::cli::job::savepoint_name(text) {
            Ok(name) => Ok(Self::Savepoint(name)),
            Err(_) => Err(format!("{wrong}, nor the name of a savepoint")),
        })
    }
}

/// A range of messages. It is empty only where other streams are read as well.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) stream: String,
    pub(super) first: u64,
    pub(super) last: u64,
    /// Number of requested messages before `first` that the stream no longer holds.
    pub(super) gone: u64,
}

impl Range {
    /// Finds the ends in the stream.
    ///
    /// # Errors
    /// If the range is empty.
    pub(super) async fn find(
        source: &History,
        from: Option<Edge>,
        to: Option<Edge>,
    ) -> Result<Self> {
        let name = &source.name;
        if source.last == 0 {
            return Err(anyhow!("stream `{name}` holds no message"));
        }
        let (from, to) = ends(source, from, to).await?;
        if from > source.last {
            return Err(anyhow!("there is nothing to replay"))
                .hint(|| format!("the last message of stream `{name}` is {}", source.last))
                .usage();
        }
        if from > to {
            return Err(anyhow!("the range from {from} to {to} is empty"))
                .hint(|| "`--from` must not be after `--to`")
                .usage();
        }
        if to < source.first {
            return Err(anyhow!(
                "the stream no longer holds messages {from} to {to}"
            ))
            .hint(|| format!("the first message that `{name}` holds is {}", source.first));
        }
        Ok(Self::of(source, from, to))
    }

    /// The same of one of several streams, which may have nothing there.
    ///
    /// # Errors
    /// If the server does not say.
    pub(super) async fn find_any(
        source: &History,
        from: Option<Edge>,
        to: Option<Edge>,
    ) -> Result<Self> {
        let (from, to) = ends(source, from, to).await?;
        Ok(Self::of(source, from, to))
    }

    fn of(source: &History, from: u64, to: u64) -> Self {
        Self {
            stream: source.name.clone(),
            first: from.max(source.first),
            last: to.min(source.last),
            gone: source.first.saturating_sub(from),
        }
    }

    /// How many messages it has at most.
    pub(super) fn len(&self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }
}

/// The sequences at the ends.
async fn ends(source: &History, from: Option<Edge>, to: Option<Edge>) -> Result<(u64, u64)> {
    let from = match from {
        None => source.first.max(1),
        Some(edge) => edge.sequence(source).await?,
    };
    let to = match to {
        None => source.last,
        Some(Edge::Sequence(sequence)) => sequence,
        Some(Edge::Time(time)) => source.sequence_at(nanoseconds(time) + 1).await? - 1,
    };
    Ok((from, to))
}

/// Since 1970.
pub(super) fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Edge;

    #[test]
    fn an_edge_is_a_sequence_from_one_on_or_a_time() {
        assert_eq!(Edge::parse("17"), Ok(Edge::Sequence(17)));
        assert!(matches!(
            Edge::parse("2026-03-02T10:00:00+01:00"),
            Ok(Edge::Time(_))
        ));
        for wrong in ["", "0", "-1", "yesterday", "2026-03-02", "1.5"] {
            assert!(Edge::parse(wrong).is_err(), "{wrong}");
        }
    }
}
