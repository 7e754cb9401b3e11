//! Figures of the messages of a window, by the configuration alone. All of it is in the library `figures`.

#[cfg(test)]
mod schema;

weir_sdk::export_aggregator!(figures::Aggregate);
