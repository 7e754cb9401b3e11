//! A seeded generator of card payments, and an independent computation of the alerts that they lead to.
//!
//! The generator (`payments.rs`) plays a country in which people pay, and plants frauds among their payments.
//! Each payment follows from the seed and its number alone, so any of them can be made again by itself.
//!
//! The oracle ([`batch`]) sorts all payments into arrays and looks back in them, where the plugin sees one
//! payment at a time and keeps a memory. They share no code. [`compare`] compares the two, in order and exactly
//! once. Only whole numbers are used, so every machine comes to the same.

pub mod batch;
pub mod compare;
pub mod payments;

pub use payments::{Payment, payment, payments};
