//! The headers and fields that the host adds to a result of a window.

use crate::headers::{Headers, PANE, PANE_INDEX, WINDOW_END, WINDOW_START};
use crate::message::Output;
use crate::time::windows::Pane;
use bytestring::ByteString;
use jiff::Timestamp;

/// An output with the event time and the headers of its pane. It takes nothing but the key from what lets the pane be
/// emitted: that is a timer or a message, as it happens.
pub(super) fn output(output: Output, pane: Pane) -> Output {
    let lines: [(&'static str, ByteString); 4] = [
        (WINDOW_START, time(pane.window.start)),
        (WINDOW_END, time(pane.window.end)),
        (PANE, pane.timing.as_str().into()),
        (PANE_INDEX, pane.index.to_string().into()),
    ];
    let given = output.headers.unwrap_or_default();
    let lines = lines.map(|(name, value)| (ByteString::from_static(name), value));
    let headers: Headers = given.iter().cloned().chain(lines).collect();
    Output {
        subject: Some(output.subject.unwrap_or_default()),
        payload: Some(output.payload.unwrap_or_default()),
        headers: Some(headers),
        event_time: Some(u64::try_from(pane.window.end.saturating_sub(1)).unwrap_or_default()),
        ..output
    }
}

/// RFC 3339 in UTC, with a fraction of a second where there is one.
fn time(nanoseconds: i64) -> ByteString {
    let time = Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default();
    time.to_string().into()
}
