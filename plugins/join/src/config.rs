//! The configuration of a join.

use serde::Deserialize;
use weir_sdk::{Message, Refusal, config};

/// The keys of `config:`.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The left side.
    left: SideConfig,
    /// The right side.
    right: SideConfig,
    /// The kind of the join.
    #[serde(default)]
    kind: Kind,
    /// How much later than the left message the right message may be: `30s`, `5m`, `1h`.
    #[cfg_attr(test, schemars(extend("x-kind" = "duration")))]
    after: Option<String>,
    /// How much earlier than the left message the right message may be.
    #[cfg_attr(test, schemars(extend("x-kind" = "duration")))]
    before: Option<String>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct SideConfig {
    /// The name of this side's payload in a result.
    name: String,
    /// The subjects of the messages of this side, with `*` and `>` as in NATS. Either this or `source`.
    subject: Option<String>,
    /// The source of the messages of this side: a name under `sources:` of the pipeline. Either this or
    /// `subject`.
    #[cfg_attr(test, schemars(extend("x-weir-source" = true)))]
    source: Option<String>,
}

/// Which messages are of a side.
#[derive(PartialEq, Eq)]
enum Selector {
    /// The tokens of a subject filter.
    Subject(Vec<String>),
    /// The name of a source of the pipeline.
    Source(String),
}

impl Selector {
    fn new(refusal: &mut Refusal, config: &SideConfig) -> Option<Self> {
        match (&config.subject, &config.source) {
            (Some(subject), None) => {
                let tokens = refusal.check(&["subject"], tokens(subject));
                tokens.map(Self::Subject)
            }
            (None, Some(source)) => Some(Self::Source(source.clone())),
            _ => {
                refusal.add(
                    &[],
                    "it needs either `subject`, such as `orders.>`, or `source`, a name under `sources:` of the pipeline",
                );
                None
            }
        }
    }

    /// For people.
    fn words(&self) -> String {
        match self {
            Self::Subject(filter) => format!("`{}`", filter.join(".")),
            Self::Source(name) => format!("source `{name}`"),
        }
    }

    fn selects(&self, message: &Message) -> bool {
        match self {
            Self::Subject(filter) => matches(filter, &message.subject),
            Self::Source(name) => message.source().as_deref() == Some(name),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The pairs. A message without a match has no result.
    #[default]
    Inner,
    /// The pairs, and the messages of the left side without a match.
    Left,
    /// The pairs, and the messages of the right side without a match.
    Right,
    /// The pairs, and the messages of both sides without a match.
    Full,
    /// One result for each message of the left side, with the latest message of the right side that is not
    /// later.
    AsOf,
    /// One result for each message of the left side, with the current value of its key in the right side, a
    /// table. Without a value, no result.
    Table,
    /// As `table`, but with `null` if the table has no value.
    TableLeft,
}

impl Kind {
    pub fn is_table(self) -> bool {
        matches!(self, Self::Table | Self::TableLeft)
    }
}

/// One of the two inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

impl Side {
    pub fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// The checked configuration.
pub struct Settings {
    names: [String; 2],
    selectors: [Selector; 2],
    pub kind: Kind,
    /// Nanoseconds.
    pub after: u64,
    pub before: u64,
}

impl Settings {
    pub fn new(config: Config) -> Result<Self, String> {
        let Config {
            left,
            right,
            kind,
            after,
            before,
        } = config;
        let mut refusal = Refusal::default();
        if left.name == right.name {
            let twice = format!("both sides have the name `{}`", left.name);
            refusal.add(&["right", "name"], twice);
        }
        for (side, config) in [("left", &left), ("right", &right)] {
            if config.name.is_empty() {
                refusal.add(&[side, "name"], "it cannot be empty");
            }
        }
        let selectors = refusal
            .under("left", |refusal| Selector::new(refusal, &left))
            .zip(refusal.under("right", |refusal| Selector::new(refusal, &right)));
        if let Some((one, other)) = &selectors
            && one == other
        {
            refusal.add(&["right"], format!("both sides are {}", one.words()));
        }
        let is_untimed = kind == Kind::AsOf || kind.is_table();
        if !is_untimed && after.is_none() && before.is_none() {
            refusal.add(
                &[],
                "`after` or `before` says how far apart two messages may be, such as `after: 30m`",
            );
        }
        let mut time = |name: &str, text: Option<String>| {
            let text = text?;
            if is_untimed {
                refusal.add(
                    &[name],
                    "it is not for `kind: as-of`, `table` and `table-left`",
                );
            }
            refusal.check(&[name], nanoseconds(&text))
        };
        let (after, before) = (time("after", after), time("before", before));
        refusal.or(selectors.map(|(one, other)| Self {
            after: after.unwrap_or(0),
            before: before.unwrap_or(0),
            selectors: [one, other],
            names: [left.name, right.name],
            kind,
        }))
    }

    /// What a side is called in a result.
    pub fn name(&self, side: Side) -> &str {
        let [left, right] = &self.names;
        match side {
            Side::Left => left,
            Side::Right => right,
        }
    }

    /// Which side a message is of; the left one, if it could be of both.
    pub fn side(&self, message: &Message) -> Option<Side> {
        let [left, right] = &self.selectors;
        match (left.selects(message), right.selects(message)) {
            (true, _) => Some(Side::Left),
            (false, true) => Some(Side::Right),
            (false, false) => None,
        }
    }

    /// What the sides are, for people.
    pub fn sides(&self) -> [String; 2] {
        self.selectors.each_ref().map(Selector::words)
    }

    /// How much later than a message of this side one of the other may be, and how much earlier.
    pub fn reach(&self, side: Side) -> (u64, u64) {
        match side {
            Side::Left => (self.after, self.before),
            Side::Right => (self.before, self.after),
        }
    }

    /// Whether a message of this side without a match is a result.
    pub fn is_outer(&self, side: Side) -> bool {
        match self.kind {
            Kind::Inner | Kind::AsOf | Kind::Table | Kind::TableLeft => false,
            Kind::Left => side == Side::Left,
            Kind::Right => side == Side::Right,
            Kind::Full => true,
        }
    }
}

/// The tokens of a subject filter of NATS.
fn tokens(subject: &str) -> Result<Vec<String>, String> {
    let tokens: Vec<String> = subject.split('.').map(str::to_owned).collect();
    let last = tokens.len() - 1;
    let is_wrong = |(place, token): (usize, &String)| {
        token.is_empty() || (token == ">" && place < last) || token.contains(char::is_whitespace)
    };
    match tokens.iter().enumerate().any(is_wrong) {
        true => Err(format!("`{subject}` is no subject, such as `orders.>`")),
        false => Ok(tokens),
    }
}

fn matches(filter: &[String], subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in filter {
        match (wanted.as_str(), tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

fn nanoseconds(text: &str) -> Result<u64, String> {
    let time = config::duration(text)?;
    u64::try_from(time.as_nanos()).map_err(|_| format!("`{text}` is too long"))
}
