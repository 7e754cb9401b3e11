//! What a log of the model has published, for the tests to compare. Changes nothing.

use super::{Content, Model};
use crate::outgoing::OutgoingMessage;
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::BTreeMap;

impl Model {
    /// Results and dead letters, in order.
    pub fn outputs(&self) -> Vec<OutgoingMessage> {
        let records = self.records.borrow();
        let outputs = records.iter().filter_map(|record| match &record.content {
            Content::Output(output) => Some(output.clone()),
            _ => None,
        });
        outputs.collect()
    }

    /// The last value of each key of a view.
    pub fn values(&self) -> BTreeMap<ByteString, Bytes> {
        let records = self.records.borrow();
        let values = records.iter().filter_map(|record| match &record.content {
            Content::Value(value) => Some((value.subject.clone(), value.payload.clone())),
            _ => None,
        });
        values.collect()
    }
}
