//! Runs the conformance suite against a component, in the real runtime.

use super::suite::{Case, Emitted, Expected};
use bytes::Bytes;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weir::config::limits::Limits;
use weir::config::resolved::{Bounds, HeaderSelection};
use weir::message::{Message, Outcome, Output};
use weir::plugin::{OperatorSettings, Plugin, Runtime, Worker};
use weir::process::chain::{Chain, Rejection, Verdict};
use weir::process::route::Route;
use weir::telemetry::metrics::Metrics;
use weir::time::windows::Windows;

/// A component, ready to be instantiated.
pub struct Subject {
    pub runtime: Runtime,
    pub plugin: Arc<Plugin>,
    pub limits: Limits,
}

/// What one instance counts.
pub struct Counted {
    pub worker: Worker,
    pub metrics: Arc<Metrics>,
    pub operator: Arc<weir::telemetry::metrics::OperatorMetrics>,
}

impl Subject {
    pub fn worker(&self, config: &str) -> Counted {
        self.worker_with(config, None)
    }

    /// The same with windows.
    pub fn worker_with(&self, config: &str, windows: Option<Arc<Windows>>) -> Counted {
        let metrics = Metrics::new();
        let operator = metrics.operator("conformance", "suite");
        let settings = OperatorSettings {
            pipeline: "conformance".into(),
            operator: "suite".into(),
            config: config.into(),
            headers: HeaderSelection::All,
            limits: self.limits,
            windows,
            metrics: Arc::clone(&operator),
        };
        Counted {
            worker: Worker::new(&self.runtime, Arc::clone(&self.plugin), Arc::new(settings)),
            metrics,
            operator,
        }
    }

    /// Runs one case; what is wrong, in words.
    pub async fn passes(&self, case: &Case) -> Result<(), String> {
        let mut counted = self.worker(&case.config.to_string());
        let started = counted.worker.warm().await;
        if let Some(reason) = &case.refused {
            return match started {
                Err(error) if format!("{error:#}").contains(reason) => Ok(()),
                Err(error) => Err(format!("refused, but not with {reason:?}: {error:#}")),
                Ok(()) => Err("the configuration was not refused".into()),
            };
        }
        started.map_err(|error| format!("{error:#}"))?;
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        let guard = (!case.logs.is_empty()).then(|| tracing::subscriber::set_default(subscriber));
        let mut first = String::new();
        for call in case.calls() {
            let (messages, expected) = (call.messages(), call.expected());
            if let Some(message) = messages.first().filter(|_| first.is_empty()) {
                first = String::from_utf8_lossy(&message.payload).into_owned();
            }
            if expected.iter().any(|expected| expected.dead.is_some()) {
                isolated(
                    self.worker(&case.config.to_string()).worker,
                    messages,
                    &expected,
                )
                .await?;
                continue;
            }
            let outcomes = counted.worker.process(&messages).await;
            let outcomes = outcomes.map_err(|fault| format!("{fault}: {}", fault.stderr))?;
            if outcomes.len() != expected.len() {
                return Err(format!(
                    "{} outcomes, not {}",
                    outcomes.len(),
                    expected.len()
                ));
            }
            for (index, (outcome, expected)) in outcomes.iter().zip(&expected).enumerate() {
                agrees(outcome, expected).map_err(|error| format!("message {index}: {error}"))?;
            }
        }
        drop(guard);
        for level in &case.logs {
            let is_entry = |line: &&str| line.contains(level) && line.contains(&first);
            let text = log.text();
            if text.lines().filter(is_entry).count() != 1 {
                return Err(format!(
                    "not one entry of level {level} in the log:\n{text}"
                ));
            }
        }
        let page = counted.metrics.encode();
        for (series, (name, value)) in &case.metrics {
            let is_it = |line: &str| {
                line.starts_with(&format!("{series}{{"))
                    && line.contains(&format!("name=\"{name}\""))
                    && line.ends_with(&format!(" {value}"))
            };
            if !page.lines().any(is_it) {
                return Err(format!("no {series} of {name} with {value}:\n{page}"));
            }
        }
        Ok(())
    }
}

/// What a subscriber wrote.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The limits of the suite: what a pipeline with a heavy language in it would be given.
pub fn limits(memory: usize) -> Limits {
    Limits {
        memory_bytes: memory,
        recycle_bytes: memory / 4 * 3,
        deadline: Duration::from_secs(10),
        ..Limits::default()
    }
}

/// All that is known of why a message became a dead letter.
pub fn said(rejection: &Rejection) -> String {
    let fault = rejection.fault.as_ref();
    let stderr = fault.map(|fault| fault.stderr.as_str()).unwrap_or_default();
    format!("{} {:?} {stderr}", rejection.reason, rejection.traceback)
}

/// A batch in which messages end badly, through the code that isolates them.
async fn isolated(
    worker: Worker,
    messages: Vec<Message>,
    expected: &[Expected],
) -> Result<(), String> {
    let bounds = Bounds {
        messages: 1000,
        bytes: 1 << 20,
    };
    let mut chain = Chain::new(vec![worker], bounds);
    let operators = weir::config::resolved::Operator {
        name: "suite".into(),
        plugin: weir::config::component::Reference::File("suite.wasm".into()),
        config: serde_json::Value::Null,
        subjects: Vec::new(),
        headers: HeaderSelection::All,
        windows: None,
        grants: weir::config::resolved::Grants::default(),
        limits: Limits::default(),
        trusted: false,
        rollout: weir::config::resolved::Rollout::default(),
        require_signature: Vec::new(),
    };
    let route = Route::compile(&[operators]);
    let batch = messages.into_iter().map(|message| {
        let operators = route.operators(&message.subject);
        (message, operators)
    });
    let verdicts = chain.run(batch.collect()).await;
    if verdicts.len() != expected.len() {
        return Err(format!(
            "{} verdicts, not {}",
            verdicts.len(),
            expected.len()
        ));
    }
    for (index, (verdict, expected)) in verdicts.iter().zip(expected).enumerate() {
        let says = match (verdict, &expected.dead, &expected.emit) {
            (Verdict::Dead(rejection), Some(words), _) => {
                let said = said(rejection);
                if rejection.fault.is_none() && rejection.traceback.is_empty() {
                    return Err(format!(
                        "message {index}: caught, but without a traceback: {said}"
                    ));
                }
                said.contains(words)
                    .then_some(())
                    .ok_or(format!("its end does not say {words:?} but: {said}"))
            }
            (Verdict::Publish(outputs), None, Some(emitted)) => {
                let payloads: Vec<_> = outputs.iter().map(|output| &output.payload).collect();
                let wanted: Vec<_> = emitted
                    .iter()
                    .filter_map(|one| one.payload.bytes())
                    .collect();
                let same = payloads.into_iter().eq(wanted.iter());
                same.then_some(()).ok_or(format!("published {outputs:?}"))
            }
            (verdict, ..) => Err(format!("became {verdict:?}")),
        };
        says.map_err(|error| format!("message {index}: {error}"))?;
    }
    Ok(())
}

fn agrees(outcome: &Outcome, expected: &Expected) -> Result<(), String> {
    let shown = || {
        let mut text = format!("{outcome:?}");
        let end = text.floor_char_boundary(2000);
        text.truncate(end);
        text
    };
    match (outcome, expected) {
        (
            Outcome::Emit(outputs),
            Expected {
                emit: Some(emitted),
                ..
            },
        ) => {
            if outputs.len() != emitted.len() {
                return Err(format!("{} outputs, not {}", outputs.len(), emitted.len()));
            }
            for (index, (output, emitted)) in outputs.iter().zip(emitted).enumerate() {
                same(output, emitted).map_err(|error| format!("output {index}: {error}"))?;
            }
            Ok(())
        }
        (
            Outcome::Retry { after, reason },
            Expected {
                retry: Some(retry), ..
            },
        ) => {
            let wanted = retry.after_ms.map(Duration::from_millis);
            if *after == wanted && *reason == retry.reason {
                return Ok(());
            }
            Err(format!("retried otherwise: {}", shown()))
        }
        (
            Outcome::Reject(reason),
            Expected {
                reject: Some(words),
                ..
            },
        ) => {
            if reason.contains(words) {
                return Ok(());
            }
            Err(format!("rejected without {words:?}: {reason}"))
        }
        _ => Err(format!("became {}", shown())),
    }
}

fn same(output: &Output, emitted: &Emitted) -> Result<(), String> {
    let differs = |field: &str, got: String| Err(format!("its {field} is {got}"));
    if output.subject.as_deref() != emitted.subject.as_deref() {
        return differs("subject", format!("{:?}", output.subject));
    }
    if output.key.as_deref() != emitted.key.as_deref() {
        return differs("key", format!("{:?}", output.key));
    }
    let headers = output.headers.as_ref().map(|headers| {
        let lines = headers.iter();
        lines
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect::<Vec<_>>()
    });
    if headers != emitted.headers {
        return differs("headers", format!("{headers:?}"));
    }
    if let Some(json) = emitted.payload.json() {
        let payload = output.payload.as_ref().ok_or("it has no payload")?;
        let got = serde_json::from_slice::<serde_json::Value>(payload);
        let text = || String::from_utf8_lossy(payload).into_owned();
        return match got {
            Ok(got) if got == *json => Ok(()),
            _ => differs("payload", text()),
        };
    }
    if output.payload != emitted.payload.bytes() {
        let payload = output
            .payload
            .clone()
            .unwrap_or(Bytes::from_static(b"none"));
        let shown = payload
            .slice(..payload.len().min(200))
            .escape_ascii()
            .to_string();
        return differs("payload", shown);
    }
    Ok(())
}
