//! Windows of event time: which windows contain a time, and how long they accept messages. Start here.
//!
//! | file | what it does |
//! |---|---|
//! | `windows/assign.rs` | the windows, and the slice, of a time |
//! | `windows/sessions.rs` | which sessions a time joins, or why it is late |
//! | `windows/kept.rs` | what is kept of a window, as bytes |
//!
//! A window `[start, end)` *closes* when the watermark reaches its end: its on-time pane is emitted. With an
//! allowed lateness it accepts late messages until the watermark has passed its end by that much: then it is
//! *final*. A final session leaves a marker for one more gap, so that no later session overlaps it.
//!
//! Times are nanoseconds since the Unix epoch. They saturate at the limits of 64 bits.

mod assign;
mod kept;
mod sessions;
#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]
mod tests;

pub use kept::Kept;
pub use sessions::Place;

use jiff::tz::TimeZone;

/// The rules of a windowed operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    pub kind: Kind,
    /// How far the watermark passes the end of a window before it is final. Nanoseconds, at least 0.
    pub allowed_lateness: i64,
    pub early: Early,
    pub panes: Panes,
}

/// How time is divided. Sizes are in nanoseconds, and at least 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// One after the other, aligned to the Unix epoch.
    Tumbling { size: i64 },
    /// One begins `every` so long, aligned to the Unix epoch. They overlap, or leave gaps.
    Hopping { size: i64, every: i64 },
    /// From the first message to the last one and the gap behind it, where no two are a gap apart.
    Session { gap: i64 },
    /// Days, weeks or months of a time zone.
    Calendar { unit: CalendarUnit, zone: TimeZone },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarUnit {
    Day,
    /// From Monday.
    Week,
    Month,
}

/// When a window emits before it closes; by default it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Early {
    /// So many messages after its last pane. At least 1.
    pub count: Option<u32>,
    /// So long after the first message since its last pane: nanoseconds of processing time.
    pub interval: Option<u64>,
}

/// What a pane has, if a window emits several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panes {
    /// All messages of the window so far.
    Accumulating,
    /// Those since the last pane.
    Discarding,
}

/// `[start, end)`. A window may begin before 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    pub start: i64,
    pub end: i64,
}

/// When a pane is emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timing {
    /// Before the window closes.
    Early,
    /// As it closes.
    OnTime,
    /// For a message that comes after that.
    Late,
}

impl Timing {
    /// As it stands in headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::OnTime => "on-time",
            Self::Late => "late",
        }
    }
}

/// One of the results of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pane {
    pub window: Window,
    pub timing: Timing,
    /// Counts the panes of the window from 0.
    pub index: u32,
}

impl Windows {
    /// From which watermark on a window takes no messages any more.
    #[must_use]
    pub fn final_at(&self, window: Window) -> i64 {
        window.end.saturating_add(self.allowed_lateness)
    }

    /// Whether overlapping windows share accumulators: there is one for each slice, and slices are merged when a
    /// window closes. Not where a window emits more than once: it would have to know which slices it has emitted.
    #[must_use]
    pub fn has_slices(&self) -> bool {
        let overlap = matches!(self.kind, Kind::Hopping { size, every } if every < size);
        overlap && self.allowed_lateness == 0 && self.early == Early::default()
    }

    /// The watermark at which the next thing happens to a window: it closes, it is final, or its marker goes.
    #[must_use]
    pub fn due(&self, kept: &Kept) -> i64 {
        let end = kept.window.end;
        match kept.stage {
            Stage::Open => end,
            Stage::Closed => self.final_at(kept.window),
            Stage::Final => self.final_at(kept.window).saturating_add(self.gap()),
        }
    }

    /// What becomes of a window that has been closed when the watermark reaches what is due; `None`: nothing is left
    /// of it.
    #[must_use]
    pub fn next(&self, stage: Stage) -> Option<Stage> {
        let leaves_marker = matches!(self.kind, Kind::Session { .. });
        (leaves_marker && stage != Stage::Final).then_some(Stage::Final)
    }

    /// That of sessions; 0 for other windows.
    fn gap(&self) -> i64 {
        match self.kind {
            Kind::Session { gap } => gap,
            _ => 0,
        }
    }
}

/// How far a window has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its on-time pane is still to come.
    Open,
    /// It is emitted; late messages are taken.
    Closed,
    /// The marker of a session.
    Final,
}
