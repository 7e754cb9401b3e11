//! Builds a lane: connects, subscribes, and warms the plugins.

use super::consumers::Consumers;
use super::control::Control;
use super::in_flight::InFlight;
use super::in_progress::InProgressRegistry;
use super::intake::Intake;
use super::lane::Lane;
use super::nakked::Nakked;
use super::outbox::Outbox;
use super::settle::Settle;
use super::settler::Settler;
use super::sink::Sink;
use crate::config::resolved;
use crate::nats::parking::subjects;
use crate::nats::streams::Ensured;
use crate::nats::wire::Wire;
use crate::nats::{Connection, Health};
use crate::parked::Parking;
use crate::process::Processor;
use crate::process::activity::Activity;
use crate::process::chain::Chain;
use crate::process::changeover::Changeover;
use crate::process::outputs::Target;
use crate::process::samples::{Sampler, Samples};
use crate::shutdown::Stages;
use crate::telemetry::log_limit::LogLimit;
use crate::telemetry::metrics::PipelineMetrics;
use anyhow::Result;
use bytestring::ByteString;
use std::sync::Arc;

/// The parts of a lane. The first five belong to its pipeline, the others to the lane.
pub struct Parts {
    pub settings: Arc<resolved::Pipeline>,
    pub metrics: Arc<PipelineMetrics>,
    /// Which dead letters have a line in the log.
    pub dead_letter_log: Arc<LogLimit>,
    /// Which failures to publish have one.
    pub failure_log: Arc<LogLimit>,
    pub samples: Arc<Samples>,
    pub chain: Chain,
    pub changeover: Changeover,
    pub in_progress: Arc<InProgressRegistry>,
    pub stages: Stages,
}

impl Lane {
    /// Connects, subscribes and warms the plugins; pulls nothing yet. `connection` is for questions
    /// about streams and consumers.
    ///
    /// # Errors
    /// When the server cannot be reached or a plugin refuses.
    pub async fn open(connection: &Connection, ensured: &Ensured, parts: Parts) -> Result<Self> {
        let Parts {
            settings,
            metrics,
            dead_letter_log,
            failure_log,
            samples,
            chain,
            changeover,
            in_progress,
            stages,
        } = parts;
        let counter = metrics.reconnects.clone();
        let wire = Wire::connect(&settings.nats, &settings.name, counter).await?;
        let max_payload = wire.max_payload();
        let target = Target::new(&settings, &ensured.subjects, max_payload);
        let operators = settings.operators.iter();
        let operators = operators.map(|operator| operator.name.clone()).collect();
        let activity = Arc::new(Activity::new(operators, chain.place()));
        let mut processor = Processor::new(&settings, chain, &target).with_provenance();
        processor.warm().await?;
        let registry = Arc::clone(&in_progress);
        let consumers = Consumers::open(&wire, connection, ensured, registry, &metrics);
        let parking = ensured.parking.as_ref().ok();
        let mut in_flight = InFlight::new(settings.in_flight);
        if parking.is_some() {
            in_flight.share_with_parked(consumers.least_bytes());
        }
        let subjects = subjects(&settings);
        let parking = parking.map(|parking| Parking::new(subjects, &parking.stream));
        let has_fast_ingest = ensured.fast_ingest.is_ok();
        metrics.fast_ingest.set(i64::from(has_fast_ingest));
        let sink = Sink::open(
            wire.clone(),
            connection.clone(),
            Arc::clone(&metrics),
            &settings,
            has_fast_ingest,
        );
        let health = Arc::clone(&wire.health);
        let settle = Settle::new(wire, Arc::clone(&metrics));
        let source_id = format!("{}@{}", ensured.source.stream, ensured.incarnation);
        Ok(Self {
            intake: Intake::new(consumers, ensured.source.ack_wait, settings.batch.messages),
            processor,
            outbox: Outbox::new(sink, parking, max_payload),
            settler: Settler::new(settle, in_progress, Arc::clone(&metrics)),
            control: Control::new(stages, changeover, Sampler::new(samples), health),
            in_flight,
            nakked: Nakked::default(),
            activity,
            source_id: ByteString::from(source_id),
            metrics,
            dead_letter_log,
            failure_log,
            settings,
        })
    }

    /// What it waits for.
    #[must_use]
    pub fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// That of the lane's connection.
    #[must_use]
    pub fn health(&self) -> &Arc<Health> {
        &self.control.health
    }
}
