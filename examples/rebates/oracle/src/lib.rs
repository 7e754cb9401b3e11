//! A seeded generator of shop events and the rebates they earn.
