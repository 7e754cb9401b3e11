//! The plugin of the conformance suite, in Rust: see `plugins/sdk/conformance/README.md`.

use serde::{Deserialize, Serialize};
use weir_sdk::serde_json::{Value, json};
use weir_sdk::{Error, Message, Operator, OrFail, Output, Outputs, config, http, log, metrics};

struct Conformance {
    answer: Value,
    count: u64,
}

#[derive(Deserialize)]
struct Set {
    subject: Option<String>,
    key: Option<String>,
    headers: Option<Vec<(String, String)>>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Many {
    count: u64,
}

#[derive(Serialize, Deserialize)]
struct Number {
    n: i64,
}

#[derive(Deserialize)]
struct Retry {
    reason: String,
    after_ms: Option<u64>,
}

impl Operator for Conformance {
    type Config = Value;

    fn configure(config: Value) -> Result<Self, String> {
        if let Some(reason) = config.get("refuse").and_then(Value::as_str) {
            return Err(reason.to_owned());
        }
        let answer = config.get("answer").cloned().unwrap_or_default();
        Ok(Self { answer, count: 0 })
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let case = message.token(1).unwrap_or_default();
        match case {
            "pass" => Ok(Outputs::pass()),
            "drop" => Ok(Outputs::none()),
            "echo" => Ok(Output::new(message.payload.clone()).into()),
            "describe" => describe(message),
            "set" => set(message),
            "many" => {
                let many: Many = message.json()?;
                (0..many.count)
                    .map(|index| Output::json(&json!({ "index": index })))
                    .collect::<Result<Vec<_>, _>>()
                    .map(Outputs::from)
            }
            "increment" => {
                let Number { n } = message.json()?;
                let n = n.checked_add(1).or_reject("`n` is the greatest integer")?;
                Ok(Output::json(&Number { n })?.into())
            }
            "shout" => Ok(Output::new(format!("{}!", message.text()?)).into()),
            "retry" => {
                let Retry { reason, after_ms } = message.json()?;
                let after = after_ms.map(std::time::Duration::from_millis);
                Err(Error::Retry { after, reason })
            }
            "reject" => Err(Error::reject(message.text()?)),
            "raise" => panic!("{}", message.text().unwrap_or_default()),
            "count" => {
                self.count += 1;
                Ok(Output::json(&json!({ "count": self.count }))?.into())
            }
            "config" => Ok(Output::json(&json!({
                "pipeline": config::pipeline(),
                "operator": config::operator(),
                "answer": config::get::<Value>("/answer"),
                "configured": self.answer,
            }))?
            .into()),
            "log" => {
                for level in [
                    log::Level::Trace,
                    log::Level::Debug,
                    log::Level::Info,
                    log::Level::Warn,
                    log::Level::Error,
                ] {
                    log::log(level, message.text()?);
                }
                Ok(Outputs::none())
            }
            "metrics" => {
                metrics::add("conform_added", 3);
                metrics::set("conform_set", 2.5);
                metrics::observe("conform_observed", 0.5);
                Ok(Outputs::none())
            }
            "http" => send(message),
            other => Err(Error::reject(format!("no such case: {other}"))),
        }
    }
}

#[derive(Deserialize)]
struct Http {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: Option<String>,
    timeout_ms: Option<u64>,
}

fn send(message: &Message) -> Result<Outputs, Error> {
    let wanted: Http = message.json()?;
    let mut request = http::Request::new(wanted.method.as_deref().unwrap_or("GET"), &wanted.url);
    for (name, value) in &wanted.headers {
        request = request.header(name, value);
    }
    request.body = wanted.body.map(String::into_bytes);
    request.timeout = wanted.timeout_ms.map(std::time::Duration::from_millis);
    let response = request.send().map_err(|error| {
        let kind = match error.kind {
            http::ErrorKind::Denied => "denied",
            http::ErrorKind::Timeout => "timeout",
            http::ErrorKind::TooLarge => "too-large",
            http::ErrorKind::Failed => "failed",
        };
        Error::reject(format!("{kind}: {error}"))
    })?;
    let text = response.text()?;
    Ok(Output::json(&json!({
        "status": response.status,
        "type": response.header("Content-Type"),
        "length": response.body.len(),
        "body": &text[..text.len().min(100)],
    }))?
    .into())
}

fn describe(message: &Message) -> Result<Outputs, Error> {
    let headers = message.headers.iter();
    let headers: Vec<_> = headers.map(|header| (&header.name, &header.value)).collect();
    let described = json!({
        "subject": message.subject,
        "length": message.payload.len(),
        "headers": headers,
        "key": message.key,
        "event_time": message.event_time,
        "sequence": message.sequence,
        "attempt": message.attempt,
    });
    Ok(Output::json(&described)?.into())
}

fn set(message: &Message) -> Result<Outputs, Error> {
    let set: Set = message.json()?;
    let mut output = Output::pass();
    output.subject = set.subject;
    output.key = set.key;
    output.payload = set.text.map(String::into_bytes);
    if let Some(headers) = set.headers {
        output.headers = Some(Vec::new());
        for (name, value) in headers {
            output = output.header(name, value);
        }
    }
    Ok(output.into())
}

weir_sdk::export!(Conformance);
