//! A message that is kept in the state, to be passed on later by a timer.

use crate::{Error, Message, Output};
use serde::{Deserialize, Serialize};

/// What a message has besides its payload. Its key is that of the state, and of the timer.
#[derive(Serialize, Deserialize)]
struct Head {
    subject: String,
    headers: Vec<(String, String)>,
}

impl Message {
    /// The message as bytes for the [state](crate::state): [`Output::kept`] passes it on. Headers of the server
    /// (`Nats-...`) and of weir are left out, because an output may not have them.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn keep(&self) -> Result<Vec<u8>, Error> {
        let headers = self.headers.iter();
        let headers = headers.filter(|header| !is_of_the_host(&header.name));
        let head = Head {
            subject: self.subject.clone(),
            headers: headers
                .map(|header| (header.name.clone(), header.value.clone()))
                .collect(),
        };
        // JSON of one line, and the payload behind it.
        let mut bytes = serde_json::to_vec(&head)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.payload);
        Ok(bytes)
    }
}

impl Output {
    /// A message as it came, from the bytes of [`Message::keep`].
    ///
    /// # Errors
    ///
    /// Other bytes are rejected.
    pub fn kept(bytes: &[u8]) -> Result<Self, Error> {
        let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
        let head: Head = serde_json::from_slice(parts.next().unwrap_or_default())?;
        let output = Self::new(parts.next().unwrap_or_default()).subject(head.subject);
        let headers = head.headers.into_iter();
        Ok(headers.fold(output, |output, (name, value)| output.header(name, value)))
    }
}

/// Whether it is a header of the server or of weir. The host passes none of them on from an input, and refuses them
/// in an output.
fn is_of_the_host(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_kept = name.starts_with("weir-kept-");
    name.starts_with("nats-") || (name.starts_with("weir-") && !is_kept)
}

#[cfg(test)]
mod tests {
    use crate::{Message, Output};

    #[test]
    fn a_message_that_was_kept_goes_on_as_it_came_without_headers_of_the_host() {
        let message = Message::new("orders.a", "first\nsecond").with_header("Unit", "euro");
        let message = message
            .with_header("Nats-Msg-Id", "1")
            .with_header("Weir-Origin", "x");
        let output = message
            .keep()
            .and_then(|bytes| Output::kept(&bytes))
            .unwrap();
        assert_eq!(output.subject.as_deref(), Some("orders.a"));
        assert_eq!(output.payload.as_deref(), Some(&b"first\nsecond"[..]));
        let headers = output.headers.unwrap_or_default();
        let names: Vec<_> = headers.iter().map(|header| &*header.name).collect();
        assert_eq!(names, ["Unit"]);
        assert!(Output::kept(b"other").is_err());
    }
}
