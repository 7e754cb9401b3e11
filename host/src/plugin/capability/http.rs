//! `wasi:http/outgoing-handler`: requests to the servers that the operator's `grants.http` names.
//!
//! Every request of a plugin passes [`HttpPolicy::admit`], also one that follows a redirect: the host
//! follows none. A granted name is resolved here, its addresses are checked, and the connection is made
//! to one that passed (`call.rs`). Each request has a connection of its own. None is repeated: only the
//! plugin knows whether that is safe.
//!
//! The resources of `wasi:http/types` are implemented here rather than by wasmtime-wasi-http, and
//! only the client's half of them: see `docs/adr/0010-grants-for-outgoing-http.md`.

mod address;
mod bindings;
mod body;
mod call;
mod fields;
mod request;
mod response;

use super::{Capability, Grant};
use crate::config::limits::Limits;
use crate::config::origin::{Host, Origin, Scheme};
use crate::plugin::instance::State;
use address::Reach;
use anyhow::Context;
use bindings::types::ErrorCode;
use bindings::{outgoing_handler, types};
use call::{CallLog, HttpCall};
use request::{OutgoingRequest, RequestOptions, Target};
use response::{FutureIncomingResponse, Reply};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

/// The key of `grants:`.
pub(super) const NAME: &str = "http";

/// The servers of the URLs in a configuration, as `grants.http` lists them; `None` if there is none.
pub(super) fn servers(config: &Value) -> Option<String> {
    let mut found = BTreeSet::new();
    collect(config, &mut found);
    let found: Vec<_> = found.iter().map(|server| format!("\"{server}\"")).collect();
    (!found.is_empty()).then(|| format!("[{}]", found.join(", ")))
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let host = text.find("://").map_or(0, |at| at + 3);
            let behind = text.get(host..).unwrap_or_default();
            let length = behind.find(['/', '?', '#']).unwrap_or(behind.len());
            let server = text.get(..host + length).unwrap_or_default();
            if Origin::parse(server, false).is_ok() {
                found.insert(server.to_owned());
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(values) => values.values().for_each(|value| collect(value, found)),
        _ => {}
    }
}

pub(super) const CAPABILITY: Capability = Capability {
    grant: Some(Grant {
        name: NAME,
        example: "[\"https://api.example.com\"]",
        meaning: "with the servers that it may reach",
        sends: Some("HTTP requests"),
        is_given: |grants| !grants.http.is_empty(),
    }),
    interfaces: &["wasi:http/types@0.2", "wasi:http/outgoing-handler@0.2"],
    link,
};

/// What an operator's plugin may reach. One per loaded plugin, shared by its instances.
pub(super) struct HttpPolicy {
    origins: Vec<Origin>,
    /// Set where an `https` server is granted.
    tls: Option<TlsConnector>,
}

/// What one instance may use of it.
pub(in crate::plugin) struct Http {
    policy: Arc<HttpPolicy>,
    /// A permit for each request that may be open at once.
    open: Arc<Semaphore>,
}

impl HttpPolicy {
    /// Reads the roots of trust where they are needed: the system's, and those in `ca`.
    ///
    /// # Errors
    ///
    /// When there are none, or `ca` cannot be read.
    pub(super) fn new(origins: &[Origin], ca: Option<&Path>) -> anyhow::Result<Self> {
        let secure = origins.iter().any(|origin| origin.scheme == Scheme::Https);
        let tls = secure
            .then(|| call::tls(ca))
            .transpose()
            .context("cannot use TLS for `grants.http`")?;
        Ok(Self {
            origins: origins.to_vec(),
            tls,
        })
    }

    /// Which addresses a request to this target may reach; `None` when it is not granted.
    fn admit(&self, target: &Target) -> Option<Reach> {
        let mut granting = self
            .origins
            .iter()
            .filter(|origin| origin.grants(target.scheme, &target.host, target.port))
            .peekable();
        granting.peek()?;
        Some(match target.host {
            Host::Address(_) => Reach::Anywhere,
            _ if granting.any(|origin| origin.private) => Reach::Private,
            _ => Reach::Public,
        })
    }
}

impl Http {
    pub(super) fn new(policy: &Arc<HttpPolicy>, limits: &Limits) -> Self {
        Self {
            policy: Arc::clone(policy),
            open: Arc::new(Semaphore::new(limits.http_requests)),
        }
    }

    /// Sends a request, if it is granted.
    fn send(
        &self,
        request: OutgoingRequest,
        options: RequestOptions,
        log: &CallLog,
    ) -> Result<AbortOnDropJoinHandle<Reply>, ErrorCode> {
        let target = request.target()?;
        let Some(reach) = self.policy.admit(&target) else {
            log.denied(&target, "it is not in `grants.http`");
            return Err(ErrorCode::HttpRequestDenied);
        };
        let permit = Arc::clone(&self.open).try_acquire_owned();
        let call = HttpCall {
            times: options.times(log.limits().deadline),
            max_body: log.limits().http_response_bytes as u64,
            tls: self.policy.tls.clone(),
            permit: permit.map_err(|_| ErrorCode::ConnectionLimitReached)?,
            log: log.clone(),
            reach,
        };
        let message = request.into_message(&target)?;
        Ok(spawn(call.run(target, message)))
    }
}

fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let options = bindings::LinkOptions::default();
    outgoing_handler::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    types::add_to_linker::<_, HasSelf<State>>(linker, &(&options).into(), |state| state)
}

impl outgoing_handler::Host for State {
    fn handle(
        &mut self,
        request: Resource<OutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> wasmtime::Result<Result<Resource<FutureIncomingResponse>, ErrorCode>> {
        let request = self.table.delete(request)?;
        let options = match options {
            Some(options) => self.table.delete(options)?,
            None => RequestOptions::default(),
        };
        let Some(http) = &self.grants.http else {
            wasmtime::bail!("`http` is not granted");
        };
        let log = CallLog::new(&self.settings, &self.services);
        log.started();
        match http.send(request, options, &log) {
            Ok(task) => {
                let future = FutureIncomingResponse::new(task);
                Ok(Ok(self.table.push(future)?))
            }
            Err(error) => {
                log.failed(&error);
                Ok(Err(error))
            }
        }
    }
}
