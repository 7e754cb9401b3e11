//! Puts a lane together: connects, subscribes, and warms the plugins.

use super::failover::Failover;
use super::failpoint::Failpoint;
use super::in_flight::InFlight;
use super::in_progress::InProgressRegistry;
use super::intake::Intake;
use super::lane::{Lane, Pace};
use super::settle::Settle;
use super::sink::Sink;
use super::swap::{Changeover, Sampler};
use crate::host::running::Running;
use crate::nats::{self, streams::Ensured};
use crate::parked::Parking;
use crate::process::chain::Chain;
use crate::process::dead_letter::DeadLetterBuilder;
use crate::process::outputs::OutputBuilder;
use crate::process::plugin_set::own_source;
use crate::process::route::Route;
use crate::shutdown::Stages;
use anyhow::Result;
use bytestring::ByteString;
use std::sync::Arc;

impl Lane {
    /// Connects, subscribes and warms the plugins; pulls nothing yet.
    ///
    /// # Errors
    /// When the server cannot be reached or a plugin refuses.
    pub(crate) async fn open(
        ensured: &Ensured,
        mut chain: Chain,
        changeover: Changeover,
        in_progress: Arc<InProgressRegistry>,
        stages: Stages,
        pipeline: &Running,
    ) -> Result<Self> {
        let (settings, metrics) = (&pipeline.settings, &pipeline.metrics);
        let counter = metrics.reconnects.clone();
        let connection = nats::connect_counted(&settings.nats, &settings.name, counter).await?;
        chain.warm().await?;
        let max_payload = connection.client.max_payload();
        let name = &settings.name;
        let source_id = format!("{}@{}", ensured.source.stream, ensured.incarnation);
        let last = chain.last_operator().unwrap_or("weir").to_owned();
        let template = settings.sink.subject.clone();
        let dead_letters = DeadLetterBuilder {
            pipeline: name.clone(),
            subject: settings
                .dead_letter
                .as_ref()
                .map(|dead| dead.subject.clone()),
            max_payload,
        };
        let intake = Intake::open(
            &connection,
            ensured,
            settings.order,
            Arc::clone(&in_progress),
            metrics,
        )
        .await?;
        let mut in_flight = InFlight::new(settings.order, settings.in_flight);
        let parking = ensured.parking.as_ref().ok();
        if parking.is_some() {
            in_flight.share_with_parked(intake.least_bytes());
        }
        let own_source = own_source(settings, &ensured.subjects);
        let mut outputs = OutputBuilder::new(
            format!("{name}/{last}/"),
            template,
            &own_source,
            max_payload,
        );
        outputs.set_provenance(chain.provenance());
        Ok(Self {
            intake,
            route: Route::compile(&settings.operators),
            chain,
            outputs,
            dead_letters,
            settle: Settle::new(connection.client.clone(), Arc::clone(metrics)),
            sink: Sink::open(connection.clone(), Arc::clone(metrics)).await?,
            parking: parking.map(|parking| Parking::new(name, &parking.stream)),
            source_id: ByteString::from(source_id),
            max_payload,
            in_flight,
            confirmed: Vec::new(),
            failover: Failover::default(),
            jetstream: crate::nats::streams::jetstream(&connection),
            health: Arc::clone(&connection.health),
            ensured: ensured.clone(),
            in_progress,
            dead_letter_log: Arc::clone(&pipeline.dead_letter_log),
            failure_log: Arc::clone(&pipeline.failure_log),
            stages,
            metrics: Arc::clone(metrics),
            pace: Pace::new(settings.source.ack_wait, settings.batch.messages),
            changeover,
            sampler: Sampler::new(Arc::clone(&pipeline.target.versions.samples)),
            failpoint: Failpoint::from_environment(),
            drained: false,
            settings: Arc::clone(settings),
        })
    }
}
