//! `/metrics`, `/live`, `/ready`: for scrapers and orchestrators.

use super::AdminState;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;

/// The format of `/metrics`; Prometheus supports it since version 2.5.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The pages of `--metrics-listen`.
pub fn health(state: Arc<AdminState>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        // Any response means alive.
        .route("/live", get(async || "live\n"))
        .route("/ready", get(ready))
        .with_state(state)
}

async fn metrics(State(state): State<Arc<AdminState>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPENMETRICS)], (state.metrics)())
}

async fn ready(State(state): State<Arc<AdminState>>) -> (StatusCode, String) {
    match (state.ready)() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}
