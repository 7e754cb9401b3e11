//! What plugins have in common that look at fields of a message: JSON pointers, values and templates, JSON of
//! which a part changes while the rest stays as it was written, and JSON of which only a part is read.

mod depth;
mod headers;
mod key;
mod node;
mod on_error;
mod pointer;
mod scan;
mod source;
mod template;
#[cfg(test)]
mod tests;
mod wanted;

pub use depth::{DEPTH, check_depth, too_deep};
pub use headers::{header_name, header_to_write, headers_of};
pub use key::{LONGEST_KEY, state_key};
pub use node::Node;
pub use on_error::OnError;
pub use pointer::{Pattern, Pointer};
pub use scan::{NotJson, check, find};
pub use source::{Fields, Source};
pub use template::Template;
pub use wanted::{Payload, Wanted};

/// Why the payload cannot be read.
fn not_json(error: &serde_json::Error) -> String {
    format!("the payload is not JSON: {error}")
}

/// The same for an error in one text of the payload, whose place in it is not that in the payload.
fn not_text(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = message.strip_suffix(&place).unwrap_or(&message);
    format!("the payload is not JSON: {what} in a text")
}
