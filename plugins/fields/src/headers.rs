//! The headers of a message that an output may have, and the names of headers in a configuration.

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

/// Checks the name of a header to read.
///
/// # Errors
/// What is wrong with it.
pub fn header_name(name: &str) -> Result<String, String> {
    if name.is_empty() {
        return Err("a header needs a name".to_owned());
    }
    let is_wrong = |character: &char| !character.is_ascii_graphic() || *character == ':';
    match name.chars().find(is_wrong) {
        None => Ok(name.to_owned()),
        Some(' ') => Err(format!(
            "the name of a header has no spaces: write `{}`",
            name.split_whitespace().collect::<Vec<_>>().join("-")
        )),
        Some(found) => Err(format!("the name of a header cannot have {found:?} in it")),
    }
}

/// Checks the name of a header to write.
///
/// # Errors
/// As for [`header_name`], and for a header of the server or of weir, which an output may not have.
pub fn header_to_write(name: &str) -> Result<String, String> {
    match is_of_the_host(name) {
        true => Err(format!(
            "`{name}` is a header of the server or of weir: use another name"
        )),
        false => header_name(name),
    }
}
