//! The headers of a message that an output may have.

use weir_sdk::{Header, Message};

/// The headers of the input, of those that the operator's `headers:` asks for, without those of the server
/// (`Nats-...`) and of weir, which an output may not have.
#[must_use]
pub fn headers_of(message: &Message) -> Vec<Header> {
    let headers = message.headers.iter();
    let headers = headers.filter(|header| !is_of_the_host(&header.name));
    headers.cloned().collect()
}

fn is_of_the_host(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("nats-") || (name.starts_with("weir-") && !name.starts_with("weir-kept-"))
}
