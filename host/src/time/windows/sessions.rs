//! Which sessions of a key a time joins. A time exactly one gap after the last time of a session does not
//! join it.

use super::{Kept, Stage, Window, Windows};
use smallvec::SmallVec;

/// Where a time belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: its session would be final, or overlap one that is.
    Late,
    /// It makes this session, and joins those with these ids, the earliest first; perhaps none.
    In(Window, SmallVec<[i64; 2]>),
}

impl Windows {
    /// Where a time belongs among the sessions of its key at this watermark. `alone` is its session if it joins none.
    /// The sessions come with their ids.
    ///
    /// It is late if it touches a final session, or if `alone` would be one and no session is around it. So what has
    /// been final for a gap is touched by nothing that is not late anyway.
    pub fn place<'a>(
        &self,
        alone: Window,
        watermark: i64,
        sessions: impl Iterator<Item = (i64, &'a Kept)>,
    ) -> Place {
        let (mut joined, mut session, mut is_inside) = (SmallVec::new(), alone, false);
        for (id, kept) in sessions {
            let window = kept.window;
            if window.start >= alone.end || alone.start >= window.end {
                continue;
            }
            if kept.stage == Stage::Final || self.final_at(window) <= watermark {
                return Place::Late;
            }
            joined.push(id);
            is_inside |= window.start <= alone.start;
            session = Window {
                start: session.start.min(window.start),
                end: session.end.max(window.end),
            };
        }
        match !is_inside && self.final_at(alone) <= watermark {
            true => Place::Late,
            false => Place::In(session, joined),
        }
    }
}
