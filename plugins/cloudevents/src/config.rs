//! The keys of `config:`.

use crate::event::{Data, Event, is_attribute};
use fields::{Fields, Template};
use jiff::Timestamp;
use std::collections::BTreeMap;
use weir_sdk::{Message, Refusal};

/// The attributes that CloudEvents defines, and `data`, whose name it reserves.
const DEFINED: [&str; 9] = [
    "data",
    "datacontenttype",
    "dataschema",
    "id",
    "source",
    "specversion",
    "subject",
    "time",
    "type",
];

#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The kind of the inputs; `message` by default.
    #[serde(default)]
    read: Reads,
    /// The kind of the results.
    write: Writes,
    /// A template of the attribute `type`, such as `com.example.{subject[0]}`.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    r#type: Option<String>,
    /// A template of the attribute `source`, such as `/shops/{subject[1]}`.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    source: Option<String>,
    /// A template of the attribute `id`; the sequence in the stream by default.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    id: Option<String>,
    /// A template of the attribute `subject`.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    subject: Option<String>,
    /// Whether the event time of the message becomes the attribute `time`; `true` by default.
    time: Option<bool>,
    /// The content type of the payload; `application/json` by default.
    data_content_type: Option<String>,
    /// The URI of the payload's schema.
    data_schema: Option<String>,
    /// Extension attributes, as templates.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    #[serde(default)]
    extensions: BTreeMap<String, String>,
    /// What happens to a message that cannot become an event, or is not an event; `reject` by default.
    #[serde(default)]
    on_error: OnError,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Reads {
    /// A message of any kind: its payload becomes the data of an event.
    #[default]
    Message,
    /// An event, in either mode.
    Event,
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Writes {
    /// An event in the payload, as JSON.
    Structured,
    /// The data in the payload, the attributes in headers.
    Binary,
    /// The data alone.
    Data,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum OnError {
    /// Make it a dead letter.
    #[default]
    Reject,
    /// Drop it.
    Drop,
}

pub struct Settings {
    /// Of messages that are no events yet.
    pub template: Option<EventTemplate>,
    pub writes: Writes,
    pub drops: bool,
}

/// How a message becomes an event.
pub struct EventTemplate {
    attributes: Vec<(String, Template)>,
    time: bool,
}

impl Config {
    pub fn settings(self) -> Result<Settings, String> {
        let (reads, writes) = (self.read, self.write);
        let drops = self.on_error == OnError::Drop;
        let mut refusal = Refusal::default();
        let template = match reads {
            Reads::Message if writes == Writes::Data => {
                refusal.add(&["write"], "`data` needs `read: event`");
                None
            }
            Reads::Message => Some(self.template(&mut refusal)),
            Reads::Event => {
                for (name, _) in self.attributes().iter().filter(|(_, is_given)| *is_given) {
                    refusal.add(
                        &[name],
                        "an event has its attributes: they are given for `read: message`",
                    );
                }
                None
            }
        };
        refusal.or(Some(Settings {
            template,
            writes,
            drops,
        }))
    }

    /// What makes an event, and whether it is given.
    fn attributes(&self) -> [(&'static str, bool); 8] {
        [
            ("type", self.r#type.is_some()),
            ("source", self.source.is_some()),
            ("id", self.id.is_some()),
            ("subject", self.subject.is_some()),
            ("data-content-type", self.data_content_type.is_some()),
            ("data-schema", self.data_schema.is_some()),
            ("time", self.time.is_some()),
            ("extensions", !self.extensions.is_empty()),
        ]
    }

    /// Of the attributes that are sound.
    fn template(self, refusal: &mut Refusal) -> EventTemplate {
        for (name, text) in [("source", &self.source), ("type", &self.r#type)] {
            if text.is_none() {
                refusal.add(&[], format!("give `{name}`"));
            }
        }
        let id = self.id.unwrap_or_else(|| "{sequence}".into());
        let content = self.data_content_type;
        let content = content.unwrap_or_else(|| "application/json".into());
        let own = [
            ("id", "id", Some(id)),
            ("source", "source", self.source),
            ("type", "type", self.r#type),
            ("subject", "subject", self.subject),
            ("data-content-type", "datacontenttype", Some(content)),
            ("data-schema", "dataschema", self.data_schema),
        ];
        let mut attributes = Vec::new();
        for (key, name, text) in own {
            if text.as_ref().is_some_and(String::is_empty) {
                refusal.add(&[key], "it cannot be empty");
            }
            let template = text.map(|text| refusal.check(&[key], Template::parse(&text)));
            attributes.extend(
                template
                    .flatten()
                    .map(|template| (name.to_owned(), template)),
            );
        }
        for (name, text) in self.extensions {
            let keys = ["extensions", &name];
            if !is_attribute(&name) || DEFINED.contains(&name.as_str()) {
                refusal.add(
                    &keys,
                    format!(
                        "`{name}` cannot be the name of an extension; it has lower-case letters and digits, and is no \
                         attribute that CloudEvents defines"
                    ),
                );
            }
            let template = refusal.check(&keys, Template::parse(&text));
            attributes.extend(template.map(|template| (name, template)));
        }
        EventTemplate {
            attributes,
            time: self.time.unwrap_or(true),
        }
    }
}

impl EventTemplate {
    pub fn event(&self, message: &Message) -> Result<Event, String> {
        let mut fields = Fields::of(message);
        let mut attributes = vec![("specversion".to_owned(), "1.0".to_owned())];
        for (name, template) in &self.attributes {
            let value = template.render(&mut fields);
            let value = value.map_err(|error| format!("attribute `{name}`: {error}"))?;
            attributes.push((name.clone(), value));
        }
        if self.time {
            let time = Timestamp::from_nanosecond(message.event_time.into());
            let time = time.map_err(|error| format!("the event time is no time: {error}"))?;
            attributes.push(("time".to_owned(), time.to_string()));
        }
        Ok(Event {
            attributes,
            data: Data::of_bytes(&message.payload),
        })
    }
}
