//! The configuration: which figures, and by what messages are told apart.

use crate::function::{Function, Spread, Time};
use crate::groups::Name;
use crate::only::Only;
use crate::payload::wanted;
use crate::rank::Ranking;
use crate::shown::Shown;
use fields::Wanted;
use serde_json::{Map, Value};

/// Results of one window and key. All of them are stored in one commit, which holds 900 by default.
const GROUPS: usize = 500;

/// A figure of the results.
#[derive(Debug)]
pub struct Figure {
    /// In the result.
    pub name: String,
    /// Name and definition: what is kept for another one is not taken for that of this one.
    pub(crate) id: Name,
    pub function: Function,
}

impl Figure {
    /// The figure that is called so, by what stands under `results:`.
    pub fn read(name: &str, definition: &Value) -> Result<Self, String> {
        Ok(Self {
            name: name.to_owned(),
            id: Name(format!("{name} {definition}")),
            function: figure(name, definition)?,
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
}

impl Settings {
    /// Of these figures, in groups of messages that are alike in the fields `by`.
    pub fn new(mut by: Vec<(String, String)>, results: Vec<Figure>) -> Self {
        by.sort(); // as the fields of the object that stands for a group
        let pointers = by.iter().map(|(_, field)| field.as_str());
        let of_figures = results.iter().flat_map(|figure| figure.function.pointers());
        Self {
            wanted: wanted(pointers.chain(of_figures)),
            by,
            results,
            edges: Vec::new(),
            only: None,
            groups: GROUPS,
        }
    }

    /// Reads it from JSON.
    pub fn read(config: &Value) -> Result<Self, String> {
        let Value::Object(config) = config else {
            return Err("`config:` needs `results:`, such as `results: { orders: count }`".into());
        };
        let known = ["by", "results", "only", "max-groups"];
        if let Some(key) = config.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(format!(
                "unknown key `{key}`: there are `by`, `results`, `only` and `max-groups`"
            ));
        }
        let by = match config.get("by") {
            None => Vec::new(),
            Some(by) => fields("by", by)?,
        };
        let named = match config.get("results") {
            Some(Value::Object(results)) if !results.is_empty() => results,
            _ => {
                return Err(
                    "`results` names the figures, such as `{ orders: count, total: { sum: /amount } }`"
                        .into(),
                );
            }
        };
        if let Some((name, _)) = by.iter().find(|(name, _)| named.contains_key(name)) {
            return Err(format!("`{name}` stands under both `by` and `results`"));
        }
        let is_there = |name: &str| named.contains_key(name) || by.iter().any(|it| it.0 == name);
        let only = config.get("only").map(|only| Only::read(only, is_there));
        let (only, edges, results) = (only.transpose()?, edges(named), figures(named)?);
        let groups = match config.get("max-groups") {
            None => GROUPS,
            Some(groups) => count("max-groups", groups)?,
        };
        Ok(Self {
            edges,
            only,
            groups,
            ..Self::new(by, results)
        })
    }
}

/// Names and pointers.
pub fn fields(key: &str, value: &Value) -> Result<Vec<(String, String)>, String> {
    let Value::Object(fields) = value else {
        return Err(format!(
            "`{key}` is a map of names to fields, such as `{{ country: /address/country }}`"
        ));
    };
    let fields = fields.iter();
    fields
        .map(|(name, field)| Ok((name.clone(), pointer(name, field)?)))
        .collect()
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

fn figures(results: &Map<String, Value>) -> Result<Vec<Figure>, String> {
    let results = results.iter().filter(|(_, value)| edge(value).is_none());
    results
        .map(|(name, value)| Figure::read(name, value))
        .collect()
}

const FIGURES: &str = "`count`, `sum`, `average`, `min`, `max`, `variance`, `stddev`, \
    `population-variance`, `population-stddev`, `first`, `last`, `distinct`, `distinct-estimated`, `top`, \
    `quantiles`, `list`, `highest` and `lowest`";

/// What stands beside a figure and its field.
const OPTIONS: [&str; 5] = ["most", "rank", "ranks", "show", "ties"];

fn figure(name: &str, value: &Value) -> Result<Function, String> {
    let of_all = match value.as_str() {
        Some("count") => Some(Function::Count(None)),
        Some("first-time") => Some(Function::Time(Time::First)),
        Some("last-time") => Some(Function::Time(Time::Last)),
        Some("duration") => Some(Function::Time(Time::Between)),
        _ => None,
    };
    if let Some(function) = of_all {
        return Ok(function);
    }
    let unknown = || {
        format!(
            "`{name}` is no figure: write `count`, `first-time`, `last-time`, `duration`, `window-start` or \
             `window-end`, or one of {FIGURES} with a field: `{{ sum: /amount }}`"
        )
    };
    let Value::Object(parts) = value else {
        return Err(unknown());
    };
    let is_kind = |(key, _): &(&String, &Value)| !OPTIONS.contains(&key.as_str());
    let mut kinds = parts.iter().filter(is_kind);
    let (Some((kind, field)), None) = (kinds.next(), kinds.next()) else {
        return Err(unknown());
    };
    let options: &[&str] = match kind.as_str() {
        "top" => &["most"],
        "list" => &["most", "show"],
        "highest" | "lowest" => &["most", "rank", "show", "ties"],
        "quantiles" => &["ranks"],
        _ => &[],
    };
    let strange = OPTIONS
        .iter()
        .find(|it| parts.contains_key(**it) && !options.contains(it));
    if let Some(option) = strange {
        return Err(format!("`{name}`: `{option}` is not for `{kind}`"));
    }
    let option = |option: &str, such: &str| {
        let refusal = || format!("`{name}`: `{kind}` needs `{option}:`, such as `{such}`");
        parts.get(option).ok_or_else(refusal)
    };
    let most = || count(name, option("most", "10")?);
    let of = pointer(name, field)?;
    let spread = |sample, root| Function::Variance(of.clone(), Spread { sample, root });
    let show = parts.get("show").map(|show| Shown::read(name, show));
    let show = show.transpose()?;
    let ranked = |highest| {
        let rank = parts.get("rank").map(|rank| text(name, "rank", rank));
        let ranking = Ranking {
            highest,
            show: show.clone().unwrap_or(Shown::Field(String::new())),
            rank: rank.transpose()?,
            most: most()?,
            ties: parts.get("ties").map_or(Ok(false), |it| ties(name, it))?,
        };
        Ok::<_, String>(Function::Ranked(of.clone(), ranking))
    };
    Ok(match kind.as_str() {
        "count" => Function::Count(Some(of)),
        "sum" => Function::Sum(of),
        "average" => Function::Average(of),
        "min" => Function::Min(of),
        "max" => Function::Max(of),
        "variance" => spread(true, false),
        "stddev" => spread(true, true),
        "population-variance" => spread(false, false),
        "population-stddev" => spread(false, true),
        "first" => Function::First(of),
        "last" => Function::Last(of),
        "distinct" => Function::Distinct(of),
        "distinct-estimated" => Function::DistinctEstimated(of),
        "top" => Function::Top(of, most()?),
        "quantiles" => Function::Quantiles(of, shares(name, option("ranks", "[0.5, 0.99]")?)?),
        "list" => Function::List(of, show, most()?),
        "highest" => ranked(true)?,
        "lowest" => ranked(false)?,
        kind => {
            return Err(format!(
                "`{name}`: unknown figure `{kind}`: there are {FIGURES}"
            ));
        }
    })
}

/// A JSON pointer (RFC 6901); the empty one is the whole payload.
pub fn pointer(name: &str, field: &Value) -> Result<String, String> {
    let text = field.as_str().unwrap_or(" ");
    let escaped = |part: &str| part.starts_with(['0', '1']);
    match (text.is_empty() || text.starts_with('/')) && text.split('~').skip(1).all(escaped) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "`{name}`: {field} is no JSON pointer, such as `/order/total`"
        )),
    }
}

/// A name that an option gives.
pub fn text(name: &str, option: &str, value: &Value) -> Result<String, String> {
    let text = value.as_str().filter(|text| !text.is_empty());
    let refusal = || format!("`{name}`: `{option}` is a name in the result, not {value}");
    text.map(str::to_owned).ok_or_else(refusal)
}

/// Whether those that are equal to the last one are kept, too.
pub fn ties(name: &str, value: &Value) -> Result<bool, String> {
    match value.as_str() {
        Some("keep") => Ok(true),
        Some("cut") => Ok(false),
        _ => Err(format!("`{name}`: `ties` is `keep` or `cut`, not {value}")),
    }
}

pub fn count(name: &str, value: &Value) -> Result<usize, String> {
    let count = value
        .as_u64()
        .filter(|count| (1..=1_000_000).contains(count));
    let count = count.and_then(|count| usize::try_from(count).ok());
    count.ok_or_else(|| format!("`{name}`: {value} is no whole number from 1 to 1,000,000"))
}

fn shares(name: &str, value: &Value) -> Result<Vec<f64>, String> {
    let refusal = || format!("`{name}`: `ranks` are numbers from 0 to 1, such as `[0.5, 0.99]`");
    let shares = value
        .as_array()
        .filter(|shares| !shares.is_empty())
        .ok_or_else(refusal)?;
    let share = |share: &Value| share.as_f64().filter(|share| (0.0..=1.0).contains(share));
    shares
        .iter()
        .map(|it| share(it).ok_or_else(refusal))
        .collect()
}
