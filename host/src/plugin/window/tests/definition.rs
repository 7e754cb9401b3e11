//! What windows emit, by their definition: each window separately, with all messages known. Uses nothing of
//! the code under test.

use super::job::Seen;
use crate::time::windows::{Kind, Panes, Timing, Window, Windows};
use std::collections::BTreeSet;

/// A message of a key, and the watermark when it came.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub number: u64,
    pub key: &'static str,
    pub time: i64,
    pub watermark: i64,
}

/// Panes, sorted, and the numbers of late messages, in their order.
pub(super) fn panes(rules: &Windows, events: &[Event]) -> (Vec<Seen>, Vec<u64>) {
    let keys: BTreeSet<&str> = events.iter().map(|event| event.key).collect();
    let (mut panes, mut late) = (Vec::new(), Vec::new());
    for key in keys {
        let events: Vec<&Event> = events.iter().filter(|event| event.key == key).collect();
        match rules.kind {
            Kind::Session { gap } => sessions(rules, gap, &events, &mut panes, &mut late),
            _ => aligned(rules, &events, &mut panes, &mut late),
        }
    }
    panes.sort();
    late.sort();
    (panes, late)
}

/// All windows of a kind that is aligned, from before the first event to behind the last.
fn grid(kind: &Kind, latest: i64) -> Vec<Window> {
    let (size, every) = match kind {
        Kind::Tumbling { size } => (*size, *size),
        Kind::Hopping { size, every } => (*size, *every),
        _ => panic!("{kind:?} has no grid"),
    };
    let numbers = -(size / every + 2)..=latest / every + 1;
    let start = |number: i64| number * every;
    let window = |start| Window {
        start,
        end: start + size,
    };
    numbers.map(start).map(window).collect()
}

fn aligned(rules: &Windows, events: &[&Event], panes: &mut Vec<Seen>, late: &mut Vec<u64>) {
    let latest = events
        .iter()
        .map(|event| event.time)
        .max()
        .unwrap_or_default();
    let grid = grid(&rules.kind, latest);
    let has =
        |window: &Window, event: &Event| window.start <= event.time && event.time < window.end;
    let takes = |window: &Window, event: &Event| {
        has(window, event) && event.watermark < window.end + rules.allowed_lateness
    };
    for event in events {
        let is_in_any = grid.iter().any(|window| has(window, event));
        if is_in_any && !grid.iter().any(|window| takes(window, event)) {
            late.push(event.number);
        }
    }
    for window in grid {
        let mut session = Session::new(window);
        for event in events.iter().filter(|event| takes(&window, event)) {
            session.close(rules, event.watermark, event.key, panes);
            session.add(rules, event, panes);
        }
        if let Some(event) = events.first() {
            session.close(rules, i64::MAX, event.key, panes);
        }
    }
}

/// A window with what it has.
#[derive(Clone)]
struct Session {
    window: Window,
    times: Vec<i64>,
    all: Vec<u64>,
    new: Vec<u64>,
    index: u32,
    is_closed: bool,
}

impl Session {
    fn new(window: Window) -> Self {
        Self {
            window,
            times: Vec::new(),
            all: Vec::new(),
            new: Vec::new(),
            index: 0,
            is_closed: false,
        }
    }

    fn emit(&mut self, rules: &Windows, timing: Timing, key: &str, panes: &mut Vec<Seen>) {
        let mut values = match rules.panes {
            Panes::Accumulating => self.all.clone(),
            Panes::Discarding => self.new.clone(),
        };
        values.sort();
        panes.push(Seen {
            key: key.to_owned(),
            window: self.window,
            index: self.index,
            timing,
            values,
        });
        self.index += 1;
        self.new.clear();
    }

    /// It closes if the watermark has passed its end; one without anything just has been there.
    fn close(&mut self, rules: &Windows, watermark: i64, key: &str, panes: &mut Vec<Seen>) {
        if self.is_closed || watermark < self.window.end {
            return;
        }
        if !self.all.is_empty() {
            self.emit(rules, Timing::OnTime, key, panes);
        }
        self.is_closed = true;
    }

    fn add(&mut self, rules: &Windows, event: &Event, panes: &mut Vec<Seen>) {
        self.all.push(event.number);
        self.new.push(event.number);
        if self.is_closed {
            self.emit(rules, Timing::Late, event.key, panes);
        } else if rules
            .early
            .count
            .is_some_and(|count| self.new.len() >= count as usize)
        {
            self.emit(rules, Timing::Early, event.key, panes);
        }
    }
}

/// Sessions, each made anew from all of its times with every message.
fn sessions(
    rules: &Windows,
    gap: i64,
    events: &[&Event],
    panes: &mut Vec<Seen>,
    late: &mut Vec<u64>,
) {
    let mut sessions: Vec<Session> = Vec::new();
    for event in events {
        for session in &mut sessions {
            session.close(rules, event.watermark, event.key, panes);
        }
        let mut times = vec![event.time];
        // Whatever is less than a gap away, and whatever is less than a gap away from that.
        let (mut near, mut far): (Vec<Session>, Vec<Session>) = (Vec::new(), sessions.clone());
        loop {
            let is_near = |session: &Session| {
                let mut pairs = session
                    .times
                    .iter()
                    .flat_map(|a| times.iter().map(move |b| a - b));
                pairs.any(|distance| distance.abs() < gap)
            };
            let Some(at) = far.iter().position(is_near) else {
                break;
            };
            times.extend(&far[at].times);
            near.push(far.remove(at));
        }
        let first = *times.iter().min().unwrap();
        let last = *times.iter().max().unwrap();
        let window = Window {
            start: first,
            end: last + gap,
        };
        let is_final =
            |session: &Session| session.window.end + rules.allowed_lateness <= event.watermark;
        let mut joined = Session::new(window);
        // One that is around it takes it, however late it is. Otherwise it is as late as if it were alone.
        let is_around = |session: &Session| session.window.start <= event.time;
        let is_alone_final = event.time + gap + rules.allowed_lateness <= event.watermark;
        if near.iter().any(is_final) || is_alone_final && !near.iter().any(is_around) {
            late.push(event.number);
            continue;
        }
        near.sort_by_key(|session| session.window.start);
        joined.is_closed = match near.first() {
            Some(earliest) => earliest.is_closed,
            None => window.end <= event.watermark,
        };
        joined.times = times;
        for session in near {
            joined.all.extend(session.all);
            joined.new.extend(session.new);
            joined.index = joined.index.max(session.index);
        }
        joined.add(rules, event, panes);
        sessions = far;
        sessions.push(joined);
    }
    for session in &mut sessions {
        let key = events.first().unwrap().key;
        session.close(rules, i64::MAX, key, panes);
    }
}
