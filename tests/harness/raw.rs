//! Messages of any bytes: what no client would send, and what clients cannot read.

use super::NatsServer;
use super::client::Client;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// A message as its stream has it.
pub struct RawMessage {
    /// The whole block, or nothing.
    pub headers: Vec<u8>,
    pub payload: Vec<u8>,
}

impl RawMessage {
    /// Whether the header block has a line of these bytes.
    pub fn has_line(&self, line: &[u8]) -> bool {
        self.headers
            .split(|byte| *byte == b'\n')
            .any(|found| found.strip_suffix(b"\r").unwrap_or(found) == line)
    }
}

impl NatsServer {
    /// Publishes messages with whole header blocks, and waits until the server has read them.
    #[track_caller]
    pub fn publish_raw(&self, messages: &[(&[u8], &[u8], &[u8])]) {
        let mut server = TcpStream::connect(("127.0.0.1", self.port())).expect("cannot connect");
        let mut text = b"CONNECT {\"verbose\":false,\"headers\":true}\r\n".to_vec();
        for (subject, headers, payload) in messages {
            text.extend_from_slice(if headers.is_empty() {
                b"PUB "
            } else {
                b"HPUB "
            });
            text.extend_from_slice(subject);
            if !headers.is_empty() {
                text.extend_from_slice(format!(" {}", headers.len()).as_bytes());
            }
            let total = headers.len() + payload.len();
            text.extend_from_slice(format!(" {total}\r\n").as_bytes());
            text.extend_from_slice(&[headers, payload, &b"\r\n"[..]].concat());
        }
        text.extend_from_slice(b"PING\r\n");
        server.write_all(&text).expect("cannot write");
        let mut answers = BufReader::new(server).split(b'\n').map_while(Result::ok);
        let heard = answers.find(|line| line.starts_with(b"PONG") || line.starts_with(b"-ERR"));
        assert_eq!(
            heard.as_deref(),
            Some(&b"PONG\r"[..]),
            "the server refused a message"
        );
    }
}

impl Client {
    /// A message of a stream, as it was stored.
    #[track_caller]
    pub fn raw(&self, stream: &str, sequence: u64) -> RawMessage {
        let subject = format!("STREAM.MSG.GET.{stream}");
        let answer = self.run(self.jetstream.request(subject, &json!({ "seq": sequence })));
        let answer: Value = answer.expect("the stream does not answer");
        let bytes = |name: &str| {
            let text = answer["message"][name].as_str().unwrap_or_default();
            BASE64_STANDARD.decode(text).expect("no base64")
        };
        RawMessage {
            headers: bytes("hdrs"),
            payload: bytes("data"),
        }
    }
}
