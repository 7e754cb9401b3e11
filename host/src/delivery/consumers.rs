//! The two consumers from which a lane pulls: its source, and its parked retries.
//!
//! Each has room of its own, so neither can block the other: otherwise a full source would take the room of
//! messages that come back. Owns both consumers, and does not know what happens to a delivery.

use crate::config::resolved::Bounds;
use crate::delivery::in_progress::InProgressRegistry;
use crate::delivery::source::{Delivery, Ended, NotPermitted, Source};
use crate::nats::streams::{Durable, Ensured};
use crate::nats::wire::Wire;
use crate::nats::{Connection, consumers};
use crate::parked::original;
use crate::telemetry::metrics::PipelineMetrics;
use anyhow::{Result, anyhow};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before asking again whether a consumer is still there.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What a lane could hold besides what it holds, by where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub source: Bounds,
    pub parking: Bounds,
}

/// Room for nothing more than what was asked for already.
const NONE: Room = {
    let none = Bounds {
        messages: 0,
        bytes: 0,
    };
    Room {
        source: none,
        parking: none,
    }
};

/// The consumers of one lane.
pub struct Consumers {
    source: End,
    parking: Option<End>,
    draining: bool,
    in_progress: Arc<InProgressRegistry>,
    /// Deliveries that arrived while no pull waited, and the end of the pulls if it has come.
    early: Vec<Delivery>,
    ended: Option<Result<()>>,
    metrics: Arc<PipelineMetrics>,
}

struct End {
    connection: Connection,
    source: Source,
    durable: Durable,
    drained: bool,
}

impl End {
    /// Pulls if there is room, or if requested messages are still to come. These are taken even if there is
    /// no room left, because nobody extends the ack-wait of an unread delivery.
    async fn pull(
        &mut self,
        room: Bounds,
        most: usize,
        draining: bool,
    ) -> Result<Vec<Delivery>, Ended> {
        let coming = self.source.expected() > 0 || draining;
        if self.drained || !(room.messages > 0 || coming) {
            return std::future::pending().await;
        }
        loop {
            if self.source.is_doubtful() {
                self.make_sure().await?;
            }
            let deliveries = self.source.pull(room, most).await?;
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
        }
    }

    /// The sequences of another stream begin again, so results would have the message ids of those
    /// before, and the server would take them for repeats.
    async fn make_sure(&mut self) -> Result<(), Ended> {
        match consumers::is_the_same(&self.connection, &self.durable).await {
            Ok(true) => self.source.trust(),
            Ok(false) => return Err(Ended::Gone("Consumer Deleted".to_owned())),
            Err(error) => {
                tracing::debug!("cannot check whether the consumer exists: {error:#}");
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
        Ok(())
    }

    fn lost(&self, why: anyhow::Error) -> anyhow::Error {
        let Durable {
            stream, consumer, ..
        } = &self.durable;
        why.context(format!(
            "cannot pull from consumer `{consumer}` of stream `{stream}`"
        ))
    }

    fn refused(&self, why: NotPermitted) -> anyhow::Error {
        let Durable {
            stream, consumer, ..
        } = &self.durable;
        let request = self.connection.api.next(stream, consumer);
        let why = crate::report::hint(why, format!("allow this user to publish to `{request}`"));
        self.lost(why)
    }
}

impl Consumers {
    /// Subscribes; asks for nothing yet.
    #[must_use]
    pub fn open(
        wire: &Wire,
        connection: &Connection,
        ensured: &Ensured,
        in_progress: Arc<InProgressRegistry>,
        metrics: &Arc<PipelineMetrics>,
    ) -> Self {
        let open = |durable: &Durable| End {
            connection: connection.clone(),
            source: Source::open(wire.clone(), durable, Arc::clone(metrics)),
            durable: durable.clone(),
            drained: false,
        };
        let parking = ensured.parking.as_ref().ok();
        Self {
            source: open(&ensured.source),
            parking: parking.map(open),
            draining: false,
            in_progress,
            early: Vec::new(),
            ended: None,
            metrics: Arc::clone(metrics),
        }
    }

    /// Waits for at least one delivery of either consumer, then returns those that have already arrived, at
    /// most `most`. `None` when everything in transit was returned after `drain`. Safe to drop while it
    /// waits. The in-progress registry contains the returned deliveries.
    ///
    /// # Errors
    /// When a consumer is gone, or the permission to pull from the source's consumer is missing.
    pub async fn pull(&mut self, room: Room, most: usize) -> Result<Option<Vec<Delivery>>> {
        if !self.early.is_empty() {
            return Ok(Some(std::mem::take(&mut self.early)));
        }
        match self.ended.take() {
            Some(ended) => ended.map(|()| None),
            None => self.fetch(room, most).await,
        }
    }

    /// Takes what arrives for the next `pull`, and asks for nothing. Safe to drop while it waits.
    pub async fn attend(&mut self, most: usize) -> Infallible {
        while self.ended.is_none() {
            match self.fetch(NONE, most).await {
                Ok(Some(deliveries)) => self.early.extend(deliveries),
                Ok(None) => self.ended = Some(Ok(())),
                Err(error) => self.ended = Some(Err(error)),
            }
        }
        std::future::pending().await
    }

    /// What has arrived and was not pulled.
    pub fn unread(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.early)
    }

    fn hold(&self, deliveries: &[Delivery]) {
        let replies = deliveries.iter().filter_map(|delivery| {
            Some((
                (delivery.origin.is_some(), delivery.ticket.facts.sequence),
                delivery.ticket.reply()?.clone(),
            ))
        });
        self.in_progress.insert(replies);
    }

    async fn fetch(&mut self, room: Room, most: usize) -> Result<Option<Vec<Delivery>>> {
        loop {
            let from_parking = async {
                match &mut self.parking {
                    Some(end) => end.pull(room.parking, most, self.draining).await,
                    None => std::future::pending().await,
                }
            };
            // In turns by chance: neither is always asked first.
            tokio::select! {
                pulled = self.source.pull(room.source, most, self.draining) => match pulled {
                    Ok(deliveries) => {
                        self.hold(&deliveries);
                        return Ok(Some(deliveries));
                    }
                    Err(Ended::Drained) => self.source.drained = true,
                    Err(Ended::Gone(why)) => return Err(self.source.lost(anyhow!(why))),
                    Err(Ended::Refused(why)) => return Err(self.source.refused(why)),
                },
                pulled = from_parking => match pulled {
                    Ok(deliveries) => {
                        let deliveries = self.originals(deliveries);
                        self.hold(&deliveries);
                        return Ok(Some(deliveries));
                    }
                    Err(Ended::Drained) => {
                        if let Some(end) = &mut self.parking {
                            end.drained = true;
                        }
                    }
                    Err(Ended::Refused(why)) => {
                        // The source may well go on; what is parked stays where it is until then.
                        if !why.again {
                            tracing::error!("cannot read parked retries: {why}");
                        }
                    }
                    Err(Ended::Gone(why)) => {
                        let why = anyhow!(why);
                        return Err(match &self.parking {
                            Some(end) => end.lost(why),
                            None => why,
                        });
                    }
                },
            }
            let parking_drained = self.parking.as_ref().is_none_or(|end| end.drained);
            if self.source.drained && parking_drained {
                return Ok(None);
            }
        }
    }

    fn originals(&self, deliveries: Vec<Delivery>) -> Vec<Delivery> {
        let stream = self
            .parking
            .as_ref()
            .map_or("", |end| end.durable.stream.as_str());
        let restore = |delivery: Delivery| {
            if delivery.ticket.facts.attempt == 1 {
                self.metrics.unparked.inc();
            }
            let (message, origin) = original(delivery.message, stream);
            Delivery {
                message,
                origin: Some(Box::new(origin)),
                ..delivery
            }
        };
        deliveries.into_iter().map(restore).collect()
    }

    /// Asks for no more. What the servers have already sent is still handed out by `pull`, which
    /// ends with `None`.
    pub fn drain(&mut self) {
        self.draining = true;
        self.source.source.drain();
        if let Some(end) = &mut self.parking {
            end.source.drain();
        }
    }

    /// How the server ended the last pull of the source, if not as it should.
    #[must_use]
    pub fn said(&self) -> Option<&str> {
        self.source.source.said()
    }

    /// Whether what is parked can come back to this lane.
    #[must_use]
    pub fn unparks(&self) -> bool {
        let parking = self.parking.as_ref();
        parking.is_some_and(|end| end.source.is_permitted())
    }

    /// The least room in bytes with which anything is asked for.
    #[must_use]
    pub fn least_bytes(&self) -> usize {
        let parking = self.parking.as_ref();
        let parking = parking.map_or(0, |end| end.source.least_bytes());
        self.source.source.least_bytes().max(parking)
    }
}
