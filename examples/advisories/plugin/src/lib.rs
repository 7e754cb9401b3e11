//! Alerts from JetStream's own advisories.
//!
//! JetStream publishes an advisory whenever something happens that somebody may want to know, most
//! of which nobody does. This plugin keeps what a person on duty would look at, says it in one line,
//! and gives it a severity; the rest is dropped.
//!
//! - `advisory.rs` is what the server sends, as far as it is needed here.
//! - `alert.rs` says which advisories are alerts, how severe, and in which words.
//! - this file applies the pipeline's configuration.

mod advisory;
mod alert;

use advisory::Advisory;
use alert::{Alert, Severity};
use serde::Deserialize;
use std::collections::HashMap;
use weir_sdk::{Error, Message, Operator, Output, Outputs, metrics};

/// The operator's `config:`. All of it may be left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// What is less severe is dropped.
    minimum: Severity,
    /// The severity of an alert by its kind, in place of the usual one.
    severity: HashMap<String, Severity>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            minimum: Severity::Info,
            severity: HashMap::new(),
        }
    }
}

struct Advisories(Settings);

impl Operator for Advisories {
    type Config = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        for kind in settings.severity.keys() {
            if !alert::KINDS.contains(&kind.as_str()) {
                let known = alert::KINDS.join(", ");
                return Err(format!(
                    "`severity.{kind}`: there is no such kind; known are {known}"
                ));
            }
        }
        Ok(Self(settings))
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let advisory: Advisory = message.json()?;
        let Some(mut alert) = Alert::of(&advisory) else {
            return Ok(Outputs::none());
        };
        if let Some(severity) = self.0.severity.get(alert.kind) {
            alert.severity = *severity;
        }
        if alert.severity < self.0.minimum {
            return Ok(Outputs::none());
        }
        // On the host's `/metrics`, as `weir_plugin_counter_total{name="alerts_critical"}`.
        metrics::add(&format!("alerts_{}", alert.severity.name()), 1);
        let subject = format!("alerts.{}.{}", alert.severity.name(), alert.kind);
        Ok(Output::json(&alert)?.subject(subject).into())
    }
}

weir_sdk::export!(Advisories);

#[cfg(test)]
mod tests;
