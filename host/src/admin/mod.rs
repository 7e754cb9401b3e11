//! The HTTP pages of a running host: health and metrics for machines, status for people, views for services.
//!
//! There are two servers, so that a scraper can get access to metrics without access to the status. Both
//! listen on loopback by default, change nothing and require no credentials: the operator who configures a
//! reachable address decides who may read the pages.

mod api;
mod connections;
mod health;
mod views;

pub use api::api;
pub use health::health;

use crate::host::views::View;
use crate::report;
use anyhow::{Context, anyhow};
use axum::Router;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The content of the pages. The functions are called for each request and must not block.
pub struct AdminState {
    /// The text of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The host's status as JSON.
    pub status: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// Whether the host is ready; if not, why, with a line for each pipeline.
    pub ready: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    pub views: Vec<Arc<View>>,
}

/// Where a server listens, from the command line: `ADDRESS:PORT` or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// No server.
    Off,
    /// This address; port 0 means a free port.
    At(SocketAddr),
}

impl std::str::FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::At).map_err(|_| {
                "use an IP address with a port, such as `127.0.0.1:9464`, or `off`".to_owned()
            }),
        }
    }
}

/// A running server. Stops when dropped.
pub struct Server {
    /// The address it listens on.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts a server for `pages`. Without a requested address it listens on `usual_port` on loopback, or on a
/// free port if another host on this machine uses it. `None` if it is off.
///
/// Must be called inside a tokio runtime, on which the server then runs.
///
/// # Errors
///
/// If it cannot listen on the requested address.
pub async fn serve(
    listen: Option<Listen>,
    usual_port: u16,
    pages: Router,
) -> anyhow::Result<Option<Server>> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = match listen {
        Some(Listen::Off) => return Ok(None),
        Some(Listen::At(address)) => TcpListener::bind(address).await.map_err(|error| {
            let error = anyhow!(error).context(format!("cannot listen on `{address}`"));
            report::hint(
                error,
                "choose another address, port 0 for a free one, or `off`",
            )
        })?,
        None => match TcpListener::bind(loopback(usual_port)).await {
            Ok(listener) => listener,
            Err(error) => {
                let free = TcpListener::bind(loopback(0)).await;
                let free = free.context("cannot listen on loopback")?;
                tracing::warn!(
                    port = usual_port,
                    "cannot listen on the usual port, so a free one is taken: {error}"
                );
                free
            }
        },
    };
    let address = listener
        .local_addr()
        .context("cannot get the address of a server")?;
    let task = tokio::spawn(connections::serve(listener, pages));
    Ok(Some(Server { address, task }))
}
