//! The configuration: which figures, and by what messages are told apart.

use crate::function::{Function, Spread, Time};
use crate::groups::{Partials, header};
use crate::only::Only;
use crate::payload::wanted;
use crate::rank::Ranking;
use crate::shown::Shown;
use fields::{Pointer, Wanted};
use serde_json::{Map, Value};
use std::sync::Arc;
use weir_sdk::Refusal;

/// Results of one window and key. All of them are stored in one commit, which holds 900 by default.
const GROUPS: usize = 500;

/// A figure of the results.
#[derive(Debug)]
pub struct Figure {
    /// In the result.
    pub name: String,
    /// Name and definition: what is kept for another one is not taken for that of this one.
    pub(crate) id: String,
    pub function: Function,
}

impl Figure {
    /// The figure that is called so, by its definition under `results:`.
    pub fn read(refusal: &mut Refusal, name: &str, definition: &Value) -> Option<Self> {
        Some(Self {
            name: name.to_owned(),
            id: format!("{name} {definition}"),
            function: figure(refusal, definition)?,
        })
    }
}

/// A time of the window, as a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    Start,
    End,
}

/// The keys of `config:`.
#[derive(Debug)]
pub struct Settings {
    /// Fields by which the messages of a window and key are told apart: the name in the result, and the pointer.
    pub by: Vec<(String, String)>,
    /// Their names as those of fields in JSON.
    pub(crate) names: Vec<String>,
    /// The figures.
    pub results: Vec<Figure>,
    /// What the times of the window are called in the results.
    pub edges: Vec<(String, Edge)>,
    /// Which groups of a window have a result: all of them, if none.
    pub only: Option<Only>,
    /// How many groups there may be in one window of a key.
    pub groups: usize,
    /// The fields of a payload that all this is about.
    pub(crate) wanted: Wanted,
    /// What stands before what is kept of groups.
    pub(crate) header: Arc<[u8]>,
}

impl Settings {
    /// Of these figures, in groups of messages that are alike in the fields `by`.
    pub fn new(mut by: Vec<(String, String)>, results: Vec<Figure>) -> Self {
        by.sort(); // as the fields of the object that stands for a group
        let pointers = by.iter().map(|(_, field)| field.as_str());
        let of_figures = results.iter().flat_map(|figure| figure.function.pointers());
        Self {
            wanted: wanted(pointers.chain(of_figures)),
            header: header(&results),
            names: by
                .iter()
                .map(|(name, _)| format!("{}:", Value::from(name.as_str())))
                .collect(),
            by,
            results,
            edges: Vec::new(),
            only: None,
            groups: GROUPS,
        }
    }

    /// What the figures have of no messages.
    pub(crate) fn empty(&self) -> Result<Partials, String> {
        let figures = self.results.iter();
        figures.map(|figure| figure.function.empty()).collect()
    }

    /// Reads it from JSON.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(config: &Value) -> Result<Self, String> {
        let mut refusal = Refusal::default();
        let settings = Self::checked(&mut refusal, config);
        refusal.or(settings)
    }

    /// What is refused may be missing in it.
    fn checked(refusal: &mut Refusal, config: &Value) -> Option<Self> {
        let Value::Object(config) = config else {
            refusal.add(
                &[],
                "`results:` is needed, such as `results: { orders: count }`",
            );
            return None;
        };
        let known = ["by", "results", "only", "max-groups"];
        for key in config.keys().filter(|key| !known.contains(&key.as_str())) {
            refusal.add(
                &[key],
                "unknown key: there are `by`, `results`, `only` and `max-groups`",
            );
        }
        let by = match config.get("by") {
            None => Some(Vec::new()),
            Some(by) => refusal.under("by", |refusal| fields(refusal, by)),
        };
        let groups = match config.get("max-groups") {
            None => Some(GROUPS),
            Some(groups) => count(refusal, &["max-groups"], groups),
        };
        let named = match config.get("results") {
            Some(Value::Object(results)) if !results.is_empty() => results,
            _ => {
                refusal.add(
                    &["results"],
                    "it names the figures, such as `{ orders: count, total: { sum: /amount } }`",
                );
                return None;
            }
        };
        let of_by = config.get("by").and_then(Value::as_object);
        let is_by = |name: &str| of_by.is_some_and(|by| by.contains_key(name));
        for name in named.keys().filter(|name| is_by(name)) {
            refusal.add(&["results", name], "the name stands under `by`, too");
        }
        let is_there = |name: &str| named.contains_key(name) || is_by(name);
        let only = config
            .get("only")
            .and_then(|only| refusal.under("only", |refusal| Only::read(refusal, only, is_there)));
        let results = refusal.under("results", |refusal| figures(refusal, named));
        Some(Self {
            edges: edges(named),
            only,
            groups: groups?,
            ..Self::new(by?, results)
        })
    }
}

/// Names and pointers.
pub fn fields(refusal: &mut Refusal, value: &Value) -> Option<Vec<(String, String)>> {
    let Value::Object(fields) = value else {
        refusal.add(
            &[],
            "it is a map of names to fields, such as `{ country: /address/country }`",
        );
        return None;
    };
    let fields = fields
        .iter()
        .filter_map(|(name, field)| Some((name.clone(), pointer(refusal, &[name], field)?)));
    Some(fields.collect())
}

fn edge(value: &Value) -> Option<Edge> {
    match value.as_str()? {
        "window-start" => Some(Edge::Start),
        "window-end" => Some(Edge::End),
        _ => None,
    }
}

fn edges(results: &Map<String, Value>) -> Vec<(String, Edge)> {
    let results = results.iter();
    results
        .filter_map(|(name, value)| Some((name.clone(), edge(value)?)))
        .collect()
}

/// Those that are sound.
fn figures(refusal: &mut Refusal, results: &Map<String, Value>) -> Vec<Figure> {
    let results = results.iter().filter(|(_, value)| edge(value).is_none());
    let figures = results.filter_map(|(name, value)| {
        refusal.under(name, |refusal| Figure::read(refusal, name, value))
    });
    figures.collect()
}

const FIGURES: &str = "`count`, `sum`, `average`, `min`, `max`, `variance`, `stddev`, \
    `population-variance`, `population-stddev`, `first`, `last`, `distinct`, `distinct-estimated`, `top`, \
    `quantiles`, `list`, `highest` and `lowest`";

/// What stands beside a figure and its field.
const OPTIONS: [&str; 5] = ["most", "rank", "ranks", "show", "ties"];

fn figure(refusal: &mut Refusal, value: &Value) -> Option<Function> {
    let of_all = match value.as_str() {
        Some("count") => Some(Function::Count(None)),
        Some("first-time") => Some(Function::Time(Time::First)),
        Some("last-time") => Some(Function::Time(Time::Last)),
        Some("duration") => Some(Function::Time(Time::Between)),
        _ => None,
    };
    if of_all.is_some() {
        return of_all;
    }
    let is_kind = |key: &&String| !OPTIONS.contains(&key.as_str());
    let parts = value.as_object();
    let kinds: Vec<_> = parts
        .iter()
        .flat_map(|parts| parts.keys())
        .filter(is_kind)
        .collect();
    let (Some(parts), [kind]) = (parts, kinds.as_slice()) else {
        refusal.add(
            &[],
            format!(
                "it is no figure: write `count`, `first-time`, `last-time`, `duration`, `window-start` or \
                 `window-end`, or one of {FIGURES} with a field: `{{ sum: /amount }}`"
            ),
        );
        return None;
    };
    let kind = kind.as_str();
    let options: &[&str] = match kind {
        "top" => &["most"],
        "list" => &["most", "show"],
        "highest" | "lowest" => &["most", "rank", "show", "ties"],
        "quantiles" => &["ranks"],
        _ => &[],
    };
    for option in OPTIONS {
        if parts.contains_key(option) && !options.contains(&option) {
            refusal.add(&[option], format!("it is not for `{kind}`"));
        }
    }
    let of = pointer(refusal, &[kind], parts.get(kind)?);
    let needs = |refusal: &mut Refusal, option: &str, such: &str| {
        if !parts.contains_key(option) {
            refusal.add(&[], format!("`{kind}` needs `{option}:`, such as `{such}`"));
        }
        parts.get(option)
    };
    let most = |refusal: &mut Refusal| {
        needs(refusal, "most", "10").and_then(|most| count(refusal, &["most"], most))
    };
    let shown = |refusal: &mut Refusal| {
        let show = parts.get("show");
        show.and_then(|show| refusal.under("show", |refusal| Shown::read(refusal, show)))
    };
    let spread = |of, sample, root| Function::Variance(of, Spread { sample, root });
    Some(match kind {
        "count" => Function::Count(Some(of?)),
        "sum" => Function::Sum(of?),
        "average" => Function::Average(of?),
        "min" => Function::Min(of?),
        "max" => Function::Max(of?),
        "variance" => spread(of?, true, false),
        "stddev" => spread(of?, true, true),
        "population-variance" => spread(of?, false, false),
        "population-stddev" => spread(of?, false, true),
        "first" => Function::First(of?),
        "last" => Function::Last(of?),
        "distinct" => Function::Distinct(of?),
        "distinct-estimated" => Function::DistinctEstimated(of?),
        "top" => {
            let most = most(refusal);
            Function::Top(of?, most?)
        }
        "quantiles" => {
            let ranks = needs(refusal, "ranks", "[0.5, 0.99]");
            let ranks = ranks.and_then(|ranks| shares(refusal, ranks));
            Function::Quantiles(of?, ranks?)
        }
        "list" => {
            let (most, show) = (most(refusal), shown(refusal));
            Function::List(of?, show, most?)
        }
        "highest" | "lowest" => {
            let (most, show) = (most(refusal), shown(refusal));
            let rank = parts.get("rank").and_then(|rank| text(refusal, rank));
            let ties = parts.get("ties").and_then(|it| ties(refusal, it));
            let ranking = Ranking {
                highest: kind == "highest",
                show: show.unwrap_or(Shown::Field(String::new())),
                rank,
                most: most?,
                ties: ties.unwrap_or(false),
            };
            Function::Ranked(of?, ranking)
        }
        _ => {
            refusal.add(
                &[kind],
                format!("unknown figure `{kind}`: there are {FIGURES}"),
            );
            return None;
        }
    })
}

/// A JSON pointer (RFC 6901); the empty one is the whole payload.
pub fn pointer(refusal: &mut Refusal, keys: &[&str], field: &Value) -> Option<String> {
    let no_text = || format!("{field} is no JSON pointer, such as `/order/total`");
    let text = field.as_str().ok_or_else(no_text);
    let pointer = text.and_then(|text| Pointer::parse(text).map(|_| text.to_owned()));
    refusal.check(keys, pointer)
}

/// The name that the rank has in a result.
pub fn text(refusal: &mut Refusal, value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| !text.is_empty());
    if text.is_none() {
        refusal.add(
            &["rank"],
            format!("it is a name in the result, not {value}"),
        );
    }
    text.map(str::to_owned)
}

/// Whether those that are equal to the last one are kept, too.
pub fn ties(refusal: &mut Refusal, value: &Value) -> Option<bool> {
    match value.as_str() {
        Some("keep") => Some(true),
        Some("cut") => Some(false),
        _ => {
            refusal.add(&["ties"], format!("it is `keep` or `cut`, not {value}"));
            None
        }
    }
}

/// How many there may be of something.
pub fn count(refusal: &mut Refusal, keys: &[&str], value: &Value) -> Option<usize> {
    let count = value
        .as_u64()
        .filter(|count| (1..=1_000_000).contains(count));
    let count = count.and_then(|count| usize::try_from(count).ok());
    if count.is_none() {
        refusal.add(
            keys,
            format!("{value} is no whole number from 1 to 1,000,000"),
        );
    }
    count
}

fn shares(refusal: &mut Refusal, value: &Value) -> Option<Vec<f64>> {
    let share = |share: &Value| share.as_f64().filter(|share| (0.0..=1.0).contains(share));
    let shares = value.as_array().filter(|shares| !shares.is_empty());
    let shares = shares.and_then(|shares| shares.iter().map(share).collect());
    if shares.is_none() {
        refusal.add(
            &["ranks"],
            "they are numbers from 0 to 1, such as `[0.5, 0.99]`",
        );
    }
    shares
}
