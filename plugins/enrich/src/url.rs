//! The URL of a message.

use fields::{Fields, Template};
use std::borrow::Cow;
use std::fmt::Write;
use weir_sdk::Message;

/// A template whose server is that of every message.
pub struct Url(Template);

impl Url {
    /// Parses a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (_, rest) = text
            .split_once("://")
            .filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
            .ok_or("it must begin with `http://` or `https://`")?;
        let server = rest.split(['/', '?']).next().unwrap_or_default();
        if server.is_empty() || server.contains('{') {
            return Err("its server must be written out, as in `grants.http`".into());
        }
        let template = Template::parse(text)?;
        let sample = template.sample();
        match sample
            .chars()
            .find(|letter| !letter.is_ascii_graphic() || *letter == '#')
        {
            Some(letter) => Err(format!("`{letter}` cannot be in a URL: percent-encode it")),
            None => Ok(Self(template)),
        }
    }

    /// That of a message.
    ///
    /// # Errors
    /// A value is missing, or cannot be part of a URL.
    pub fn of(&self, message: &Message) -> Result<String, String> {
        self.0
            .render_with(&mut Fields::of(message), |source, value| match &*value {
                // A server would look at another resource than the one of the template.
                "" | "." | ".." => Err(format!("{source} = `{value}` cannot be part of a URL")),
                _ => Ok(escaped(value)),
            })
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn escaped(value: Cow<'_, str>) -> Cow<'_, str> {
    let is_unreserved =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if value.bytes().all(is_unreserved) {
        return value;
    }
    let escaped = value.bytes().fold(String::new(), |mut text, byte| {
        match is_unreserved(byte) {
            true => text.push(char::from(byte)),
            // Writing to a string does not fail.
            false => drop(write!(text, "%{byte:02X}")),
        }
        text
    });
    escaped.into()
}

/// A URL as errors show it: without its query, which may hold a secret.
pub fn shown(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}
