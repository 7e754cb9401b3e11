//! `/status`: what runs on this host, as JSON. The same data that `weir status` gets over NATS.

use super::AdminState;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use std::sync::Arc;

/// The pages of `--admin-listen`.
pub fn api(state: Arc<AdminState>) -> Router {
    Router::new()
        .route("/status", get(status))
        .with_state(state)
}

async fn status(State(state): State<Arc<AdminState>>) -> Json<serde_json::Value> {
    Json((state.status)())
}
