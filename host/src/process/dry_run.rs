//! What a chain would publish for messages of the source, without publishing it.
//!
//! The stations 2 to 4 of the corridor and the wrapping of what they return, with the code that the
//! lanes run. What is missing is JetStream: a message whose plugin asks for a retry is called again
//! at once, as the delivery after the next, until the pipeline would give it up.
//!
//! `weir replay` rehearses stored history, a shadow what has just come.

use crate::compare::{Outputs, outputs};
use crate::config::resolved;
use crate::message::Message;
use crate::outgoing::Publication;
use crate::process::chain::{Chain, Kind, Rejection, Retry, Verdict};
use crate::process::dead_letter::DeadLetterBuilder;
use crate::process::outputs::OutputBuilder;
use crate::process::plugin_set::own_source;
use crate::process::route::Route;
use anyhow::{Result, anyhow};
use smallvec::SmallVec;
use std::sync::Arc;

/// What is known of the source and of the server that results would go to.
#[derive(Clone, Debug)]
pub struct Target {
    /// `<stream>@<incarnation>` of the source.
    pub source_id: String,
    /// What the source's stream captures.
    pub captured: Vec<String>,
    /// The largest message that the server takes.
    pub max_payload: usize,
}

/// A pipeline whose answers go nowhere.
pub struct DryRun {
    settings: Arc<resolved::Pipeline>,
    route: Route,
    chain: Chain,
    outputs: OutputBuilder,
    dead_letters: DeadLetterBuilder,
    source_id: String,
}

impl DryRun {
    /// `chain` is that of the pipeline, perhaps with other versions in it.
    #[must_use]
    pub fn new(settings: &Arc<resolved::Pipeline>, chain: Chain, target: &Target) -> Self {
        let name = &settings.name;
        let last = chain.last_operator().unwrap_or("weir");
        let own_source = own_source(settings, &target.captured);
        let dead_letter = settings.dead_letter.as_ref();
        Self {
            outputs: OutputBuilder::new(
                format!("{name}/{last}/"),
                settings.sink.subject.clone(),
                &own_source,
                target.max_payload,
            ),
            dead_letters: DeadLetterBuilder {
                pipeline: name.clone(),
                // Where there are none, it is of interest all the same what would be one.
                subject: Some(dead_letter.map_or("-", |dead| &dead.subject).to_owned()),
                max_payload: target.max_payload,
            },
            route: Route::compile(&settings.operators),
            source_id: target.source_id.clone(),
            settings: Arc::clone(settings),
            chain,
        }
    }

    /// Makes and configures all instances.
    ///
    /// # Errors
    /// What a plugin that refuses said.
    pub async fn warm(&mut self) -> Result<()> {
        self.chain.warm().await
    }

    /// Calls the plugins with a batch of messages as they are stored. The outputs of each, in order.
    ///
    /// # Errors
    /// When a plugin cannot be started any more.
    pub async fn run(&mut self, messages: Vec<Message>) -> Result<Vec<Outputs>> {
        let mut answers: Vec<Outputs> = messages.iter().map(|_| Vec::new()).collect();
        let mut batch: Vec<(usize, Message)> = messages.into_iter().enumerate().collect();
        for (_, message) in &mut batch {
            self.decode(message);
        }
        while !batch.is_empty() {
            let routed = batch.iter();
            let routed =
                routed.map(|(_, each)| (each.clone(), self.route.operators(&each.subject)));
            let verdicts = self.chain.run(routed.collect()).await;
            let mut again = Vec::new();
            for ((index, mut message), verdict) in batch.into_iter().zip(verdicts) {
                match self.decide(&message, verdict)? {
                    Some(mut publication) => {
                        let dead = matches!(publication, Publication::DeadLetter(..));
                        let messages = publication.take_messages().into_vec();
                        if let Some(answer) = answers.get_mut(index) {
                            *answer = outputs(message.sequence, messages, dead);
                        }
                    }
                    None => {
                        message.attempt = message.attempt.saturating_add(1);
                        again.push((index, message));
                    }
                }
            }
            batch = again;
        }
        Ok(answers)
    }

    fn decode(&self, message: &mut Message) {
        let settings = &self.settings;
        message.key = settings.key.as_ref().and_then(|rule| rule.extract(message));
        if let Some(rule) = &settings.event_time
            && let Some(time) = rule.extract(&message.headers, &message.payload)
        {
            message.event_time = time;
        }
    }

    /// What would be published; `None` if the message is to be delivered again.
    fn decide(&self, message: &Message, verdict: Verdict) -> Result<Option<Publication>> {
        let rejection = match verdict {
            Verdict::Publish(results) => match self.build(message, results) {
                Ok(publication) => return Ok(Some(publication)),
                Err(reason) => Rejection::by_sink(reason),
            },
            Verdict::Dead(rejection) => *rejection,
            Verdict::Retry(retry) => match self.give_up(message, retry)? {
                Some(rejection) => rejection,
                None => return Ok(None),
            },
        };
        let publication = self
            .dead_letters
            .build(message, &self.source_id, &rejection);
        Ok(Some(publication))
    }

    fn build(
        &self,
        message: &Message,
        results: SmallVec<[Message; 1]>,
    ) -> Result<Publication, String> {
        self.outputs.build(message, &self.source_id, results)
    }

    /// The end of a message that was tried as often as it may be.
    fn give_up(&self, message: &Message, retry: Retry) -> Result<Option<Rejection>> {
        if !retry.counts {
            let Retry {
                operator, reason, ..
            } = retry;
            return Err(anyhow!(reason).context(format!("cannot go on with operator `{operator}`")));
        }
        let attempt = message.attempt;
        if attempt < self.settings.retry.max_attempts {
            return Ok(None);
        }
        let reason = format!("gave up after {attempt} attempts: {}", retry.reason);
        let rejection = self
            .chain
            .rejection(message, &retry.operator, Kind::Retries, reason);
        Ok(Some(rejection))
    }
}
