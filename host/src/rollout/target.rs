//! The target of a rollout: a pipeline, as the rollout sees it.
//!
//! The host shares it with those who deploy to the pipeline. It holds no lane: lanes take their swaps
//! from their [`crate::process::changeover::Changeover`].

use crate::config::resolved;
use crate::nats::attachment::Attachment;
use crate::process::plugin_set::PluginSet;
use crate::rollout::versions::Versions;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::watch;

/// A pipeline that takes new versions of its plugins.
pub(crate) struct RolloutTarget {
    pub(crate) settings: Arc<resolved::Pipeline>,
    pub(crate) versions: Versions,
    /// `None` until the host has found the streams; another after each restart of the pipeline.
    attachment: watch::Sender<Option<Arc<Attachment>>>,
}

impl RolloutTarget {
    pub(crate) fn new(settings: Arc<resolved::Pipeline>, plugins: PluginSet) -> Self {
        Self {
            settings,
            versions: Versions::new(plugins),
            attachment: watch::Sender::default(),
        }
    }

    /// The operators, for `weir status`.
    pub(crate) fn status(&self) -> Vec<Value> {
        let mut operators = self.versions.status();
        for (shown, operator) in operators.iter_mut().zip(&self.settings.operators) {
            if let Value::Object(fields) = shown {
                let required = !operator.require_signature.is_empty();
                fields.insert("requires_signature".to_owned(), required.into());
            }
        }
        operators
    }

    /// The pipeline on its server; `None` before the host has found the streams.
    pub(crate) fn attachment(&self) -> Option<Arc<Attachment>> {
        self.attachment.borrow().clone()
    }

    /// The same, as soon as there is one.
    pub(crate) async fn attached(&self) -> Arc<Attachment> {
        let mut attachments = self.attachment.subscribe();
        loop {
            if let Some(attachment) = attachments.borrow_and_update().clone() {
                return attachment;
            }
            // The sender lives as long as `self`.
            let _ = attachments.changed().await;
        }
    }

    /// The host has found the streams, at the start or again.
    pub(crate) fn attach(&self, attachment: &Arc<Attachment>) {
        self.attachment.send_replace(Some(Arc::clone(attachment)));
    }
}
