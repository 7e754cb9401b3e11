//! What plugins have in common that look at fields of a message: JSON pointers, values and templates, and
//! JSON of which a part changes while the rest stays as it was written.

mod headers;
mod node;
mod pointer;
mod source;
mod template;
#[cfg(test)]
mod tests;

pub use headers::headers_of;
pub use node::Node;
pub use pointer::{Pattern, Pointer};
pub use source::{Fields, Source};
pub use template::Template;

/// Why the payload cannot be read.
fn not_json(error: &serde_json::Error) -> String {
    format!("the payload is not JSON: {error}")
}
