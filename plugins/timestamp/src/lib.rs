//! Reads a time of a message in one format and writes it in another. The formats are in `format.rs`, what a time
//! is in `time.rs`.

mod format;
#[cfg(test)]
mod tests;
mod time;

use fields::{Fields, Node, OnError, Pointer, Source};
use format::Format;
use jiff::tz::TimeZone;
use time::Time;
use weir_sdk::{Error, Message, Operator, Output, Outputs, Refusal};

/// The keys of `config:`.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Where to read the time: a JSON pointer, `header:Name`, or `event-time`, which is the default.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    #[serde(default = "event_time")]
    from: String,
    /// The format to read: `rfc3339`, which is the default, `s`, `ms`, `us` or `ns` since 1970, or a pattern.
    #[serde(default = "rfc3339")]
    format: String,
    /// The time zone of times without one: a name such as `Europe/Berlin`; `UTC` by default.
    #[serde(default = "utc")]
    zone: String,
    /// Where to write the time: a JSON pointer or `header:Name`.
    to: String,
    /// The format to write; `rfc3339` by default.
    #[serde(default = "rfc3339", rename = "as")]
    written: String,
    /// The time zone to write; `UTC` by default.
    #[serde(default = "utc")]
    as_zone: String,
    /// What happens to a message whose time is missing or cannot be read; `reject` by default.
    #[serde(default)]
    on_error: OnError,
}

fn event_time() -> String {
    "event-time".into()
}

fn rfc3339() -> String {
    "rfc3339".into()
}

fn utc() -> String {
    "UTC".into()
}

struct Convert {
    from: From,
    to: To,
    on_error: OnError,
}

enum From {
    EventTime,
    Value(Source, Format, TimeZone),
}

struct To {
    place: Place,
    format: Format,
    zone: TimeZone,
}

enum Place {
    Field(Pointer),
    Header(String),
}

impl Place {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("header:") {
            return fields::header_to_write(name).map(Self::Header);
        }
        match Source::parse(text) {
            Ok(Source::Field(pointer)) => Ok(Self::Field(pointer)),
            _ => Err("it must be a field such as `/time`, or `header:Name`".to_owned()),
        }
    }
}

impl Operator for Convert {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let mut refusal = Refusal::default();
        let from = match config.from.as_str() {
            "event-time" => Some(From::EventTime),
            text => {
                let source = Source::parse(text);
                let source =
                    source.map_err(|error| format!("{error}; `event-time` is that of the message"));
                let source = refusal.check(&["from"], source);
                let format = refusal.check(&["format"], Format::parse(&config.format));
                let zone = refusal.check(&["zone"], zone(&config.zone));
                let format = format.zip(zone);
                source
                    .zip(format)
                    .map(|(source, (format, zone))| From::Value(source, format, zone))
            }
        };
        let place = refusal.check(&["to"], Place::parse(&config.to));
        let zone = refusal.check(&["as-zone"], zone(&config.as_zone));
        // Finds what a pattern cannot write before any message does.
        let sound = |format: Format| {
            let zone = zone.clone().unwrap_or(TimeZone::UTC);
            format.write(Time::EPOCH, &zone).map(|_| format)
        };
        let format = Format::parse(&config.written).and_then(sound);
        let format = refusal.check(&["as"], format).zip(zone);
        let to = place.zip(format).map(|(place, (format, zone))| To {
            place,
            format,
            zone,
        });
        refusal.or(from.zip(to).map(|(from, to)| Self {
            from,
            to,
            on_error: config.on_error,
        }))
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        match self.converted(message) {
            Ok(output) => Ok(output.into()),
            Err(reason) => self.on_error.result(reason),
        }
    }
}

fn zone(zone: &str) -> Result<TimeZone, String> {
    TimeZone::get(zone).map_err(|_| {
        format!("there is no time zone `{zone}`; write a name such as `Europe/Berlin`")
    })
}

impl Convert {
    fn converted(&self, message: &Message) -> Result<Output, String> {
        let time = match &self.from {
            From::EventTime => {
                let time = Time::from_nanosecond(message.event_time.into());
                time.ok_or("the event time is no time")?
            }
            From::Value(source, format, zone) => {
                let mut fields = Fields::of(message);
                let text = source.value(&mut fields)?;
                format
                    .read(&text, zone)
                    .map_err(|error| format!("{source} = `{text}` is no time: {error}"))?
            }
        };
        let text = self.to.format.write(time, &self.to.zone)?;
        match &self.to.place {
            Place::Field(pointer) => {
                let mut payload = Node::read(&message.payload)?;
                let value = match self.to.format.is_number() {
                    true => Node::digits(text)?,
                    false => Node::new(&text)?,
                };
                payload.set(pointer, value)?;
                Ok(Output::new(payload.to_json()))
            }
            Place::Header(name) => {
                let mut headers = fields::headers_of(message);
                headers.retain(|header| !header.name.eq_ignore_ascii_case(name));
                let output = Output {
                    headers: Some(headers),
                    ..Output::pass()
                };
                Ok(output.header(name, text))
            }
        }
    }
}

weir_sdk::export!(Convert);
