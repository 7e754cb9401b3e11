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
pub use headers::headers_of;
pub use key::{LONGEST_KEY, state_key};
pub use node::Node;
pub use on_error::OnError;
pub use pointer::{Pattern, Pointer};
pub use scan::{LEVELS, NotJson, check, find};
pub use source::{Fields, Source};
pub use template::Template;
pub use wanted::{Payload, Wanted};

/// Why the payload cannot be read.
fn not_json(error: &serde_json::Error) -> String {
    format!("the payload is not JSON: {error}")
}
