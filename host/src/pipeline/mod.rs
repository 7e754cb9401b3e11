//! The corridor.

pub mod message;
