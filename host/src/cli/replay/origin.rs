//! The start of a replay of a job: an empty state, or a verified savepoint.

use super::inputs::is_table;
use super::range::{Range, nanoseconds};
use crate::config::resolved::Pipeline;
use crate::job::positions::Span;
use crate::job::savepoint::verify;
use crate::nats::history::History;
use crate::nats::job::{Definition, refuse_other};
use crate::nats::savepoints::Savepoints;
use crate::nats::{Connection, job_admin};
use crate::report::{self, ResultExt};
use anyhow::{Context, Result, anyhow};

/// Where a replay of a job begins.
pub(super) struct Origin {
    /// Up to where the inputs are in the state, and what has that state; empty for an empty state.
    pub(super) spans: Vec<Span>,
    /// The savepoint that has it.
    pub(super) savepoint: Option<String>,
    /// When the savepoint was begun, in nanoseconds since 1970.
    at: Option<u64>,
    /// What the job was defined with; none if there is no job.
    defined: Option<Definition>,
}

/// What a job had published when a savepoint was made.
#[derive(Clone, Copy)]
pub(super) struct Published {
    /// Its outputs up to this place in the job's stream may be of the state in the savepoint.
    pub(super) place: u64,
    /// Later ones were published from then on, in nanoseconds since 1970.
    pub(super) at: u64,
}

impl Origin {
    /// Finds a savepoint of the pipeline and reads it once; without a name, the state begins empty.
    ///
    /// # Errors
    /// When there is no such savepoint, it is damaged, or is of a job of another kind.
    pub(super) async fn find(
        connection: &Connection,
        pipeline: &Pipeline,
        sources: &[History],
        savepoint: Option<&str>,
    ) -> Result<Self> {
        let name = &pipeline.name;
        let job = pipeline.job.as_ref();
        let job = job
            .ok_or_else(|| anyhow!("pipeline `{name}` is not a job, so it has no savepoints"))
            .hint(|| "give `--from` a sequence or a time as in 2026-03-02T10:00:00Z")
            .usage();
        let Some(savepoint) = savepoint else {
            let defined = job_admin::definition(connection, name).await?;
            return Ok(Self {
                spans: Vec::new(),
                savepoint: None,
                at: None,
                defined: defined.map(|defined| defined.definition),
            });
        };
        let job = job?;
        let what = || format!("cannot replay from savepoint `{savepoint}` of job `{name}`");
        let bucket = Savepoints::find(connection).await.with_context(what)?;
        let verified = verify(bucket.get(name, savepoint).await?).await;
        let verified = verified.with_context(what)?;
        let at = verified.header.at.parse().ok().map(nanoseconds);
        let saved = Definition {
            // The state is by key group, so this does not matter.
            partitions: job.partitions,
            ..verified.header.definition
        };
        refuse_other(&saved, pipeline, job).with_context(what)?;
        for source in sources {
            let mut inputs = saved.sources().filter(|it| it.stream() == source.name);
            if inputs.any(|input| input.source != source.source_id) {
                let stream = &source.name;
                return Err(anyhow!(
                    "stream `{stream}` was deleted and created again since"
                ))
                .with_context(what)
                .hint(|| "its messages are gone: choose a later savepoint");
            }
        }
        let origin = Self {
            spans: verified.spans,
            savepoint: Some(savepoint.to_owned()),
            at,
            defined: Some(saved),
        };
        // What a table has for a key is in the last change, so it lacks nothing.
        for source in sources.iter().filter(|it| !is_table(pipeline, &it.name)) {
            // A partition may have nothing between its position and that of the furthest, so only what is behind all
            // of them is known to be missing.
            let behind = origin.furthest(source) + 1;
            if behind < source.first {
                let (gone, stream) = (source.first - 1, &source.name);
                return Err(anyhow!(
                    "stream `{stream}` no longer holds messages {behind} to {gone}, which come after it"
                ))
                .with_context(what)
                .hint(|| "choose a later savepoint");
            }
        }
        Ok(origin)
    }

    /// The first message that is not in the state of all key groups; none where the state is empty.
    pub(super) fn first(&self, source: &History) -> Option<u64> {
        Some(self.positions(source).min()? + 1)
    }

    /// Up to where messages are in the state of some key groups; 0 where the state is empty.
    pub(super) fn furthest(&self, source: &History) -> u64 {
        self.positions(source).max().unwrap_or_default()
    }

    /// What the job had published with the state of the savepoint; none where the state is empty, or an older weir made the
    /// savepoint.
    pub(super) fn published(&self) -> Option<Published> {
        let places = self.spans.iter().map(|span| span.committed);
        let place = places.max().filter(|place| *place > 0)?;
        Some(Published {
            place,
            at: self.at?,
        })
    }

    fn positions(&self, source: &History) -> impl Iterator<Item = u64> {
        self.spans.iter().map(|span| {
            let mut inputs = span.inputs.iter();
            let input = inputs.find(|input| *input.source == *source.source_id);
            input.map_or(0, |input| input.position)
        })
    }

    /// Refuses to compare from a message on where the job had state and the replay has none; says it, if it does not
    /// compare.
    ///
    /// # Errors
    /// See above.
    pub(super) fn check_state(
        &self,
        sources: &[History],
        ranges: &[Range],
        compares: bool,
    ) -> Result<()> {
        let Some(defined) = self.defined.as_ref().filter(|_| self.savepoint.is_none()) else {
            return Ok(());
        };
        // A table is read from the first message that its stream holds.
        let lacking = sources.iter().zip(ranges).find(|(source, range)| {
            range.first > defined.begin_of(&source.source_id) + 1 && !defined.is_table(&source.name)
        });
        let Some((_, Range { first, .. })) = lacking else {
            return Ok(());
        };
        if compares {
            return Err(anyhow!(
                "at message {first} the job had state, but the replay has none"
            ))
            .context("cannot compare")
            .hint(|| "begin with a savepoint: `--from SAVEPOINT`")
            .usage();
        }
        report::note(&format!(
            "the state is empty at message {first}, where the job had state; use `--from SAVEPOINT` to start with state"
        ));
        Ok(())
    }
}
