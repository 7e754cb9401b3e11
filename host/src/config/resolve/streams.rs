//! The settings of streams to create.

use super::values::{Context, optional};
use crate::config::cursor::Cursor;
use crate::config::model;
use crate::config::resolved::StreamSettings;
use crate::config::subject::SubjectFilter;
use std::time::Duration;

/// The shortest duplicate window that the server accepts.
const SHORTEST_WINDOW: Duration = Duration::from_millis(100);

/// What the section with `create:` requires of the stream.
pub(super) struct Wanted<'w> {
    /// What it must capture; empty if that is unknown.
    pub(super) subjects: &'w [SubjectFilter],
    /// Whether it is enough to capture a part of a subject filter.
    pub(super) partly: bool,
}

/// `Some(None)` if nothing is to be created.
pub(super) fn create(
    model: &model::Create,
    wanted: Wanted<'_>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Option<StreamSettings>> {
    let defaults = model::StreamSettings::default();
    let settings = match model {
        model::Create::Flag(false) => return Some(None),
        model::Create::Flag(true) => &defaults,
        model::Create::Settings(settings) => settings,
    };
    let subjects = subjects(&settings.subjects, &wanted, at, context);
    let max_age_at = at.field("max-age");
    let max_age = optional(settings.max_age.as_ref(), |text| {
        context.positive_duration(text, &max_age_at)
    });
    let max_bytes_at = at.field("max-bytes");
    let max_bytes = optional(settings.max_bytes.as_ref(), |text| {
        let size = context.size(text, &max_bytes_at)?;
        let size = i64::try_from(size).map_err(|_| "that is too large".to_owned());
        let size = size.and_then(|size| {
            if size == 0 {
                Err("must be more than 0".to_owned())
            } else {
                Ok(size)
            }
        });
        context.parsed(size, &max_bytes_at)
    });
    let duplicate_window =
        duplicate_window(&settings.duplicate_window, max_age.flatten(), at, context);
    Some(Some(StreamSettings {
        subjects: subjects?.iter().map(ToString::to_string).collect(),
        storage: settings.storage,
        replicas: settings.replicas,
        max_age: max_age?,
        max_bytes: max_bytes?,
        duplicate_window: duplicate_window?,
    }))
}

fn subjects(
    texts: &[String],
    wanted: &Wanted<'_>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<SubjectFilter>> {
    if texts.is_empty() {
        if wanted.subjects.is_empty() {
            context.findings.add_hint(
                at.key_location(),
                format!("`{}`: the subjects of the stream are unknown", at.path()),
                "name them: `create: {subjects: [...]}`",
            );
            return None;
        }
        return Some(wanted.subjects.to_vec());
    }
    let at = at.field("subjects");
    let filters = context.filters(texts, &at)?;
    for subject in wanted.subjects {
        let captured = filters.iter().any(|filter| {
            if wanted.partly {
                filter.overlaps(subject)
            } else {
                filter.covers(subject)
            }
        });
        if !captured {
            let message = format!("`{}` do not capture `{subject}`", at.path());
            context.findings.add(at.location(), message);
            return None;
        }
    }
    Some(filters)
}

fn duplicate_window(
    text: &crate::config::units::DurationText,
    max_age: Option<Duration>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Duration> {
    let window_at = at.field("duplicate-window");
    let window = context.duration(text, &window_at)?;
    match max_age {
        // The server refuses such a window if it is set, and shortens the default.
        Some(max_age) if window > max_age && window_at.is_given() => {
            let message = format!(
                "`{}` must not be longer than `{}`",
                window_at.path(),
                at.field("max-age").path()
            );
            context.findings.add(window_at.location(), message);
            None
        }
        Some(max_age) if window > max_age => Some(max_age),
        _ if window < SHORTEST_WINDOW => {
            let message = format!("`{}` must be at least 100ms", window_at.path());
            context.findings.add(window_at.location(), message);
            None
        }
        _ => Some(window),
    }
}
