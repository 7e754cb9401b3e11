//! The comparison of what a pipeline published with what the oracle expects, to the cent.
//!
//! Delivery is at least once, so a repeat is no difference: it is counted and told apart from the
//! repeats that the input itself contains. Everything else that differs is one, and each is named.

use crate::generate::generate;
use crate::jsonl::Line;
use crate::ledger::{Expected, Ledger};
use crate::money::{decimal, thousands};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// A comparison under way: made from the seed, fed with what came out, then finished.
#[derive(Debug)]
pub struct Check {
    seed: u64,
    expected: Expected,
    /// Outputs seen, by id.
    seen: HashMap<String, u64>,
    /// Cents seen by user, every id counted once.
    users: BTreeMap<String, i64>,
    /// Position in `expected.dead`, by sequence.
    dead_by_sequence: HashMap<u64, usize>,
    /// Positions in `expected.dead`, by subject and payload; the same bytes may be dead twice.
    dead_by_content: HashMap<(String, Vec<u8>), Vec<usize>>,
    /// How often each of `expected.dead` was seen.
    dead_seen: Vec<u64>,
    found: Found,
    differences: Vec<String>,
}

/// The message that the plugin publishes, read strictly.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rebate {
    id: String,
    user: String,
    #[serde(rename = "order")]
    _order: String,
    currency: String,
    cents: i64,
}

/// What was counted in the outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Messages on `rebates.>`.
    pub outputs: u64,
    pub dead: u64,
    /// Outputs beyond those that the input asks for.
    pub repeated_outputs: u64,
    pub repeated_dead: u64,
    pub users: u64,
    /// Sum over all users, in cents.
    pub cents: i64,
    /// What the host says that it dropped, if it was asked.
    pub drops: Option<u64>,
}

/// What the oracle says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    pub events: u64,
    /// Messages on `rebates.>`, those of repeated events included.
    pub outputs: u64,
    pub drops: u64,
    pub dead: u64,
    /// Dead letters by what is wrong with them.
    pub dead_by_kind: BTreeMap<String, u64>,
    pub users: u64,
    pub cents: i64,
}

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether there is no difference.
    pub agree: bool,
    pub seed: u64,
    pub expected: Wanted,
    pub found: Found,
    /// One sentence for each difference.
    pub differences: Vec<String>,
}

impl Check {
    /// Computes what the first `count` events of `seed` must lead to.
    #[must_use]
    pub fn new(seed: u64, count: u64) -> Self {
        let expected = Ledger::of(generate(seed, count));
        let mut dead_by_content: HashMap<_, Vec<usize>> = HashMap::new();
        let mut dead_by_sequence = HashMap::new();
        for (position, dead) in expected.dead.iter().enumerate() {
            dead_by_sequence.insert(dead.sequence, position);
            let content = (dead.subject.clone(), dead.payload.clone());
            dead_by_content.entry(content).or_default().push(position);
        }
        Self {
            seed,
            seen: HashMap::new(),
            users: BTreeMap::new(),
            dead_by_sequence,
            dead_by_content,
            dead_seen: vec![0; expected.dead.len()],
            expected,
            found: Found::default(),
            differences: Vec::new(),
        }
    }

    /// What the oracle expects.
    #[must_use]
    pub fn expected(&self) -> &Expected {
        &self.expected
    }

    /// A line of the file of outputs. One that says `reject` counts as a dead letter, so that the
    /// output of `weir pipe` can be given as it is.
    pub fn output_line(&mut self, line: Line) {
        match line {
            Line::Message(message) => self.output(&message.subject, &message.payload),
            rejected @ Line::Rejected { .. } => self.dead_line(rejected),
        }
    }

    /// A line of the file of dead letters.
    pub fn dead_line(&mut self, line: Line) {
        match line {
            Line::Message(message) => self.dead(message.subject, message.payload),
            Line::Rejected { sequence } => self.dead_sequence(sequence),
        }
    }

    /// A message that was published on `rebates.>`.
    pub fn output(&mut self, subject: &str, payload: &[u8]) {
        self.found.outputs += 1;
        let rebate: Rebate = match serde_json::from_slice(payload) {
            Ok(rebate) => rebate,
            Err(error) => return self.differ(format!("unreadable output on `{subject}`: {error}")),
        };
        let Rebate {
            id,
            user,
            cents,
            currency,
            ..
        } = rebate;
        if subject != format!("rebates.{user}") {
            self.differ(format!(
                "rebate `{id}` of `{user}` was published on `{subject}`"
            ));
        }
        if currency != crate::shop::CURRENCY {
            self.differ(format!("rebate `{id}` is in `{currency}`"));
        }
        match self.expected.entries.get(&id) {
            None => {
                let cents = decimal(cents);
                self.differences
                    .push(format!("unexpected rebate `{id}` of {cents} for `{user}`"));
            }
            Some(entry) => {
                if entry.cents != cents {
                    let (wanted, got) = (decimal(entry.cents), decimal(cents));
                    self.differences
                        .push(format!("rebate `{id}` is {got}, expected {wanted}"));
                }
                if entry.user != user {
                    let wanted = entry.user.clone();
                    self.differences.push(format!(
                        "rebate `{id}` went to `{user}`, expected `{wanted}`"
                    ));
                }
            }
        }
        let seen = self.seen.entry(id).or_default();
        *seen += 1;
        if *seen == 1 {
            *self.users.entry(user).or_default() += cents;
        }
    }

    /// A dead letter, by the subject and the bytes that it had in the source stream.
    pub fn dead(&mut self, subject: String, payload: Vec<u8>) {
        let content = (subject, payload);
        let least = self.dead_by_content.get(&content).and_then(|positions| {
            // Of several with the same bytes, the one seen least.
            positions
                .iter()
                .copied()
                .min_by_key(|&position| self.dead_seen.get(position).copied())
        });
        match least {
            Some(position) => self.saw_dead(position),
            None => {
                self.found.dead += 1;
                let (subject, payload) = &content;
                let payload = String::from_utf8_lossy(payload);
                self.differ(format!("unexpected dead letter of `{subject}`: {payload}"));
            }
        }
    }

    /// A dead letter, by its sequence in the source stream.
    pub fn dead_sequence(&mut self, sequence: u64) {
        match self.dead_by_sequence.get(&sequence).copied() {
            Some(position) => self.saw_dead(position),
            None => {
                self.found.dead += 1;
                self.differ(format!("unexpected dead letter of message {sequence}"));
            }
        }
    }

    /// How many messages the host has counted as dropped.
    pub fn dropped(&mut self, count: u64) {
        self.found.drops = Some(count);
    }

    fn saw_dead(&mut self, position: usize) {
        self.found.dead += 1;
        if let Some(seen) = self.dead_seen.get_mut(position) {
            *seen += 1;
            self.found.repeated_dead += u64::from(*seen > 1);
        }
    }

    fn differ(&mut self, difference: String) {
        self.differences.push(difference);
    }

    /// Compares what was seen with what was expected.
    #[must_use]
    pub fn finish(mut self) -> Report {
        let mut missing = Vec::new();
        for (id, entry) in &self.expected.entries {
            let seen = self.seen.get(id).copied().unwrap_or(0);
            let (user, cents) = (&entry.user, decimal(entry.cents));
            if seen == 0 {
                missing.push(format!("missing rebate `{id}` of {cents} for `{user}`"));
            } else if seen < entry.copies {
                let copies = entry.copies;
                missing.push(format!(
                    "rebate `{id}` came {seen} times for {copies} events"
                ));
            }
            self.found.repeated_outputs += seen.saturating_sub(entry.copies);
        }
        for (dead, &seen) in self.expected.dead.iter().zip(&self.dead_seen) {
            if seen == 0 {
                let (sequence, subject, kind) = (dead.sequence, &dead.subject, dead.malformed);
                let what = format!("missing dead letter of message {sequence} on `{subject}`");
                missing.push(format!("{what} ({})", name(kind)));
            }
        }
        let users = self.expected.users();
        for (user, &wanted) in &users {
            let got = self.users.get(*user).copied().unwrap_or(0);
            if got != wanted {
                let (got, wanted) = (decimal(got), decimal(wanted));
                missing.push(format!("user `{user}` has {got} in all, expected {wanted}"));
            }
        }
        let wanted = self.expected.drops;
        if let Some(got) = self.found.drops.filter(|got| *got != wanted) {
            missing.push(format!("{got} messages were dropped, expected {wanted}"));
        }
        let mut dead_by_kind: BTreeMap<String, u64> = BTreeMap::new();
        for dead in &self.expected.dead {
            *dead_by_kind.entry(name(dead.malformed)).or_default() += 1;
        }
        self.found.users = self.users.len() as u64;
        self.found.cents = self.users.values().sum();
        self.differences.extend(missing);
        Report {
            agree: self.differences.is_empty(),
            seed: self.seed,
            expected: Wanted {
                events: self.expected.events,
                outputs: self.expected.outputs,
                drops: self.expected.drops,
                dead: self.expected.dead.len() as u64,
                dead_by_kind,
                users: users.len() as u64,
                cents: users.values().sum(),
            },
            found: self.found,
            differences: self.differences,
        }
    }
}

/// The name of a kind as it is written in JSON.
fn name(kind: crate::malformed::Malformed) -> String {
    serde_json::to_value(kind).map_or_else(
        |_| format!("{kind:?}"),
        |value| {
            value
                .as_str()
                .map_or_else(|| format!("{kind:?}"), str::to_owned)
        },
    )
}

/// How many differences are printed for people; `--json` has them all.
const SHOWN: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            expected, found, ..
        } = self;
        writeln!(
            f,
            "seed {}, {} events",
            self.seed,
            thousands(expected.events)
        )?;
        writeln!(f)?;
        writeln!(f, "{:<14} {:>16} {:>16}", "", "expected", "found")?;
        let mut row = |name: &str, wanted: &str, found: &str| {
            writeln!(f, "{name:<14} {wanted:>16} {found:>16}")
        };
        row(
            "rebates",
            &thousands(expected.outputs),
            &thousands(found.outputs),
        )?;
        row("  repeated", "", &thousands(found.repeated_outputs))?;
        row(
            "  users",
            &thousands(expected.users),
            &thousands(found.users),
        )?;
        row(
            "  sum in EUR",
            &decimal(expected.cents),
            &decimal(found.cents),
        )?;
        row(
            "dead letters",
            &thousands(expected.dead),
            &thousands(found.dead),
        )?;
        row("  repeated", "", &thousands(found.repeated_dead))?;
        row(
            "dropped",
            &thousands(expected.drops),
            &found.drops.map_or_else(|| "not told".to_owned(), thousands),
        )?;
        writeln!(f)?;
        if self.agree {
            return write!(f, "the two agree to the cent");
        }
        for difference in self.differences.iter().take(SHOWN) {
            writeln!(f, "- {difference}")?;
        }
        let more = self.differences.len().saturating_sub(SHOWN);
        if more > 0 {
            writeln!(f, "- and {} more", thousands(more as u64))?;
        }
        write!(
            f,
            "\nthe two differ in {} places",
            thousands(self.differences.len() as u64)
        )
    }
}

#[cfg(test)]
mod tests;
