//! Makes a message from each element of an array, or from each line of a text.
//!
//! Elements stay as they were written. A message becomes all of its parts, or none.

#[cfg(test)]
mod tests;

use fields::{Node, OnError, Pointer};
use std::collections::BTreeMap;
use weir_sdk::{Error, Header, Message, Operator, Output, Outputs, Refusal, metrics};

/// The keys of `config:`.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The array: a JSON pointer, "" for the whole payload.
    at: Option<String>,
    /// Whether to split the payload at line ends instead; `false` by default.
    #[serde(default)]
    lines: bool,
    /// The field of a part for the element; by default the element is the whole part.
    into: Option<String>,
    /// Fields of the payload that each part gets: from a field of the part to a field of the payload.
    #[serde(default)]
    carry: BTreeMap<String, String>,
    /// The header for the number of a part, from 0.
    index_header: Option<String>,
    /// The greatest number of parts of a message; 10000 by default.
    #[serde(default = "max_parts")]
    max_parts: usize,
    /// What happens to a message without parts; `drop` by default.
    #[serde(default)]
    on_empty: OnEmpty,
    /// What happens to a message that cannot be split; `reject` by default.
    #[serde(default)]
    on_error: OnError,
}

fn max_parts() -> usize {
    10_000
}

#[derive(Clone, Copy, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum OnEmpty {
    /// Drop it.
    #[default]
    Drop,
    /// Make it a dead letter.
    Reject,
    /// Pass it on unchanged.
    Pass,
}

struct Split {
    by: By,
    index_header: Option<String>,
    max_parts: usize,
    on_empty: OnEmpty,
    on_error: OnError,
}

enum By {
    Lines,
    Elements {
        at: Pointer,
        into: Option<Pointer>,
        /// From the payload to the part.
        carry: Vec<(Pointer, Pointer)>,
    },
}

impl Operator for Split {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let mut refusal = Refusal::default();
        let by = match (&config.at, config.lines) {
            (None, true) => {
                if config.into.is_some() {
                    refusal.add(&["into"], "it is for elements, not for `lines`");
                }
                if !config.carry.is_empty() {
                    refusal.add(&["carry"], "it is for elements, not for `lines`");
                }
                Some(By::Lines)
            }
            (Some(at), false) => {
                let at = refusal.check(&["at"], Pointer::parse(at));
                let into = config.into.as_deref();
                let into = into.and_then(|into| refusal.check(&["into"], Pointer::field(into)));
                let carry = config.carry.iter().filter_map(|(to, from)| {
                    let mut pointer = |text| refusal.check(&["carry", to], Pointer::field(text));
                    let (from, to) = (pointer(from), pointer(to));
                    from.zip(to)
                });
                let carry = carry.collect();
                at.map(|at| By::Elements { at, into, carry })
            }
            (Some(_), true) => {
                refusal.add(&["lines"], "give either `at` or `lines: true`");
                None
            }
            (None, false) => {
                refusal.add(&[], "give either `at` or `lines: true`");
                None
            }
        };
        if let Some(name) = &config.index_header {
            refusal.check(&["index-header"], fields::header_to_write(name));
        }
        if config.max_parts == 0 {
            refusal.add(&["max-parts"], "it must be at least 1");
        }
        refusal.or(by.map(|by| Self {
            by,
            index_header: config.index_header,
            max_parts: config.max_parts,
            on_empty: config.on_empty,
            on_error: config.on_error,
        }))
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        match self.parts(message) {
            Ok(parts) if parts.is_empty() => {
                metrics::add("empty", 1);
                match self.on_empty {
                    OnEmpty::Drop => Ok(Outputs::none()),
                    OnEmpty::Reject => Err(Error::reject("the message has no part")),
                    OnEmpty::Pass => Ok(Outputs::pass()),
                }
            }
            Ok(parts) => Ok(self.outputs(message, parts)),
            Err(reason) => self.on_error.result(reason),
        }
    }
}

impl Split {
    fn parts(&self, message: &Message) -> Result<Vec<Vec<u8>>, String> {
        let parts = match &self.by {
            By::Lines => lines(&message.payload, self.max_parts),
            By::Elements { at, into, carry } => {
                let mut payload = Node::read(&message.payload)?;
                let carried = carry.iter().map(|(from, to)| {
                    let value = payload.get(from)?.cloned();
                    let value =
                        value.ok_or_else(|| format!("there is no field {from} to carry"))?;
                    Ok((to, value))
                });
                let carried = carried.collect::<Result<Vec<_>, String>>()?;
                let array = match payload.get(at)? {
                    Some(node) => node.open()?,
                    None => return Err(format!("there is no field {at}")),
                };
                let Node::Array(elements) = array else {
                    return Err(match at.steps() {
                        [] => "the payload is no array".to_owned(),
                        _ => format!("the field {at} is no array"),
                    });
                };
                self.check(elements.len())?;
                let parts = elements.drain(..);
                parts
                    .map(|element| part(element, into.as_ref(), &carried))
                    .collect::<Result<_, _>>()?
            }
        };
        self.check(parts.len())?;
        Ok(parts)
    }

    fn check(&self, parts: usize) -> Result<(), String> {
        match parts > self.max_parts {
            true => Err(format!(
                "the message has more than {} parts, which `max-parts` allows",
                self.max_parts
            )),
            false => Ok(()),
        }
    }

    fn outputs(&self, message: &Message, parts: Vec<Vec<u8>>) -> Outputs {
        let headers = fields::headers_of(message);
        let output = |(index, payload): (usize, Vec<u8>)| {
            let mut output = Output::new(payload);
            if let Some(name) = &self.index_header {
                let of_others = |header: &&Header| !header.name.eq_ignore_ascii_case(name);
                output.headers = Some(headers.iter().filter(of_others).cloned().collect());
                output = output.header(name, index.to_string());
            }
            output
        };
        parts.into_iter().enumerate().map(output).collect()
    }
}

/// The lines that are not empty, without their ends; one more than allowed if there are more.
fn lines(payload: &[u8], most: usize) -> Vec<Vec<u8>> {
    let lines = payload.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines = lines.filter(|line| !line.is_empty());
    lines
        .take(most.saturating_add(1))
        .map(<[u8]>::to_vec)
        .collect()
}

fn part<'a>(
    element: Node<'a>,
    into: Option<&Pointer>,
    carried: &[(&Pointer, Node<'a>)],
) -> Result<Vec<u8>, String> {
    let mut part = match into {
        None => element,
        Some(into) => {
            let mut part = Node::Object(Vec::new());
            part.set(into, element)?;
            part
        }
    };
    for (to, value) in carried {
        part.set(to, value.clone())?;
    }
    Ok(part.to_json())
}

weir_sdk::export!(Split);
