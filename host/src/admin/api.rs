//! `/status`: the pipelines of this host, as JSON, with the same data that `weir status` gets over NATS. Also
//! routes to the views.

use super::AdminState;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use std::sync::Arc;

/// The pages of `--admin-listen`.
pub fn api(state: Arc<AdminState>) -> Router {
    let views = super::views::views(&state);
    Router::new()
        .route("/status", get(status))
        .with_state(state)
        .merge(views)
        .fallback(super::views::no_page)
        .method_not_allowed_fallback(super::views::read_only)
}

async fn status(State(state): State<Arc<AdminState>>) -> Json<serde_json::Value> {
    Json((state.status)())
}
