//! What a pipeline would publish for messages of its source, without publishing it.
//!
//! JetStream is missing here: if a plugin asks for a retry, the message is called again at once, as another
//! delivery, until the pipeline would give it up. `weir replay` runs stored history dry, and a shadow new
//! messages.

use super::chain::Chain;
use super::disposition::Disposition;
use super::outputs::Target;
use super::{Judged, Processor};
use crate::compare::{Outputs, outputs};
use crate::config::resolved;
use crate::message::Message;
use crate::report::ResultExt;
use anyhow::{Result, anyhow};
use bytestring::ByteString;

/// A pipeline whose answers go nowhere.
pub struct DryRun {
    processor: Processor,
    /// `<stream>@<incarnation>` of the source.
    source_id: ByteString,
}

impl DryRun {
    /// `chain` is that of the pipeline, perhaps with other versions in it.
    #[must_use]
    pub fn new(
        settings: &resolved::Pipeline,
        chain: Chain,
        source_id: &str,
        target: Target,
    ) -> Self {
        // Where there are no dead letters, it is of interest all the same what would be one.
        let dead_letters = target.dead_letters.or_else(|| Some("-".to_owned()));
        let target = Target {
            dead_letters,
            ..target
        };
        Self {
            // As in a host, also for the size of results.
            processor: Processor::new(settings, chain, &target).with_provenance(),
            source_id: ByteString::from(source_id),
        }
    }

    /// Makes and configures all instances.
    ///
    /// # Errors
    /// What a plugin that refuses said, and a plugin that keeps state: what it makes of a message depends on
    /// all messages before.
    pub async fn warm(&mut self) -> Result<()> {
        if self.processor.is_stateful() {
            return Err(anyhow!(
                "cannot run a plugin that keeps state without its state"
            ))
            .hint(|| "run it as a pipeline with a name and a sink of its own")
            .usage();
        }
        self.processor.warm().await
    }

    /// Processes a batch of messages as they are stored. The outputs of each, in order.
    ///
    /// # Errors
    /// When a plugin cannot be started any more.
    pub async fn run(&mut self, messages: Vec<Message>) -> Result<Vec<Outputs>> {
        let mut answers: Vec<Outputs> = messages.iter().map(|_| Vec::new()).collect();
        let mut batch: Vec<(usize, Message)> = messages.into_iter().enumerate().collect();
        for (_, message) in &mut batch {
            self.processor.decode(message);
        }
        let mut retries = 0;
        while !batch.is_empty() {
            let routed = batch.iter();
            let routed = routed.map(|(_, message)| self.processor.route(message.clone()));
            let verdicts = self.processor.call(routed.collect()).await;
            let mut again = Vec::new();
            for ((index, mut message), verdict) in batch.into_iter().zip(verdicts) {
                let judged = Judged {
                    message: &message,
                    source_id: &self.source_id,
                    retries,
                    timer: b"",
                };
                let (messages, dead) = match self.processor.judge(judged, verdict) {
                    Disposition::Publish(messages) => (messages, false),
                    Disposition::Drop => continue,
                    Disposition::Dead(letter) => (letter.messages, true),
                    Disposition::Retry(retry) if retry.counts => {
                        message.attempt = message.attempt.saturating_add(1);
                        again.push((index, message));
                        continue;
                    }
                    Disposition::Retry(retry) => {
                        let what = format!("cannot continue with operator `{}`", retry.operator);
                        return Err(anyhow!(retry.reason).context(what));
                    }
                };
                if let Some(answer) = answers.get_mut(index) {
                    *answer = outputs(message.sequence, messages, dead);
                }
            }
            batch = again;
            retries += 1;
        }
        Ok(answers)
    }
}
