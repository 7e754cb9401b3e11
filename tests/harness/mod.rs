//! What the promises are tested with: real servers, the real binary, real components.

pub mod guests;
