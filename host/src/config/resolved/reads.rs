//! What a pipeline reads: its sources by stream.

use super::{NamedSource, Pipeline, Source};

impl Pipeline {
    /// The streams that it reads, each once.
    #[must_use]
    pub fn streams(&self) -> Vec<&str> {
        let mut streams: Vec<&str> = Vec::new();
        for NamedSource { source, .. } in &self.sources {
            if !streams.contains(&&*source.stream) {
                streams.push(&source.stream);
            }
        }
        streams
    }

    /// Its sources of this stream.
    pub fn sources_of(&self, stream: &str) -> impl Iterator<Item = &NamedSource> + Clone {
        let sources = self.sources.iter();
        sources.filter(move |named| named.source.stream == stream)
    }

    /// What it reads of a stream: its sources of it in one.
    #[must_use]
    pub fn read_of(&self, stream: &str) -> Option<Source> {
        let mut sources = self.sources_of(stream).map(|named| &named.source);
        let mut all = sources.next()?.clone();
        for other in sources {
            all.subjects.extend(other.subjects.iter().cloned());
            match (&mut all.create, &other.create) {
                (Some(all), Some(other)) => all.subjects.extend(other.subjects.iter().cloned()),
                (all, other) => *all = all.take().or_else(|| other.clone()),
            }
        }
        if let Some(create) = &mut all.create {
            create.subjects.sort();
            create.subjects.dedup();
        }
        Some(all)
    }

    /// Whether its sources have names.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.sources.iter().any(|named| named.name.is_some())
    }
}
