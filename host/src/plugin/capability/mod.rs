//! What plugins may import: [`CAPABILITIES`] has a row for each capability, and each has a file here.
//!
//! All of them are linked, once per engine. What a plugin may import is decided by name when it is
//! loaded ([`check`]): what comes with its contract, what has no grant, and what its operator grants.
//! A new capability is a file, its row in the table, and its key in `config/grants.rs` if it has one.

pub(super) mod config;
pub(super) mod http;
pub(super) mod log;
pub(super) mod metrics;
pub(super) mod sources;
pub(super) mod state;
pub(super) mod wasi;

use super::contract::Interface;
use super::error::from_wasmtime;
use super::guest;
use super::instance::State;
use crate::config::limits::Limits;
use crate::config::resolved::Grants;
use crate::report;
use anyhow::{Result, anyhow};
use http::{Http, HttpPolicy};
use serde_json::Value;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use wasmtime::Engine;
use wasmtime::component::Linker;

/// Interfaces that are linked together, and what they need.
pub(super) struct Capability {
    /// `None` for what every plugin may import.
    pub(super) grant: Option<Grant>,
    /// As [`Interface::matches`] has them.
    pub(super) interfaces: &'static [&'static str],
    /// Adds them to a linker.
    pub(super) link: fn(&mut Linker<State>) -> wasmtime::Result<()>,
}

/// What an operator writes under `grants:` for a capability.
#[derive(Debug)]
pub struct Grant {
    /// The key.
    pub name: &'static str,
    /// A value for it, as YAML on one line.
    pub example: &'static str,
    /// What the value says, for the hint that asks for it.
    pub(super) meaning: &'static str,
    /// What a plugin sends out of the host with it, in the plural. `None` where nothing leaves it, so
    /// that a call may be repeated for a comparison.
    pub(super) sends: Option<&'static str>,
    /// Whether these grants give it.
    pub(super) is_given: fn(&Grants) -> bool,
}

/// The table, but for what comes with a version of the contract: that stands with it in `guest/`.
static CAPABILITIES: [Capability; 3] = [wasi::CAPABILITY, http::CAPABILITY, sources::CAPABILITY];

fn all() -> impl Iterator<Item = &'static Capability> {
    let of_contracts = guest::CONTRACTS.iter().map(|contract| &contract.imports);
    of_contracts.chain(&CAPABILITIES)
}

/// The capability that an import belongs to; `None` for what no operator can grant.
fn find(import: &str) -> Option<&'static Capability> {
    let interface = Interface::parse(import)?;
    all().find(|each| each.interfaces.iter().any(|name| interface.matches(name)))
}

/// A linker with all capabilities.
///
/// # Errors
///
/// When two of them define the same import, which would be a fault of the host.
pub(super) fn linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    for capability in all() {
        (capability.link)(&mut linker).map_err(from_wasmtime)?;
    }
    Ok(linker)
}

/// Refuses a component with imports that do not exist here or are not granted.
///
/// # Errors
///
/// Names the first such import, with a hint. `javascript` decides about its words; `config` is the operator's, if there
/// is one.
pub(super) fn check(
    imports: &[String],
    is_given: impl Fn(&Grant) -> bool,
    javascript: bool,
    config: Option<&Value>,
) -> Result<()> {
    for import in imports {
        let found = find(import);
        if !found.is_some_and(|each| each.grant.as_ref().is_none_or(&is_given)) {
            let grant = found.and_then(|each| each.grant.as_ref());
            return Err(refusal(import, grant, javascript, config));
        }
    }
    Ok(())
}

/// The grants that a component with these imports needs, and the imports that nobody can grant.
pub(super) fn needed(imports: &[String]) -> (Vec<&'static Grant>, Vec<String>) {
    let (mut grants, mut impossible) = (Vec::<&Grant>::new(), Vec::new());
    for import in imports {
        match find(import).map(|capability| &capability.grant) {
            Some(Some(grant)) if grants.iter().all(|known| known.name != grant.name) => {
                grants.push(grant);
            }
            Some(_) => {}
            None => impossible.push(import.clone()),
        }
    }
    (grants, impossible)
}

/// What plugins with these grants send out of the host, in the plural; `None` where a call may be
/// repeated without anybody noticing.
#[must_use]
pub fn sends(grants: &Grants) -> Option<&'static str> {
    given(grants).find_map(|grant| grant.sends)
}

fn given(grants: &Grants) -> impl Iterator<Item = &'static Grant> {
    let all = all().filter_map(|capability| capability.grant.as_ref());
    all.filter(|grant| (grant.is_given)(grants))
}

/// That a plugin imports what its operator could grant, and does not.
#[derive(Debug)]
pub struct NotGranted(String);

impl fmt::Display for NotGranted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for NotGranted {}

impl Grant {
    /// The part of a pipeline file that gives it, by way of example.
    #[must_use]
    pub fn line(&self) -> String {
        format!("grants: {{ {}: {} }}", self.name, self.example)
    }
}

fn refusal(
    import: &str,
    grant: Option<&Grant>,
    javascript: bool,
    config: Option<&Value>,
) -> anyhow::Error {
    let message = format!("it imports `{import}`, which is not granted");
    if let Some(grant) = grant {
        let error = anyhow::Error::from(NotGranted(message));
        let servers = config.filter(|_| grant.name == http::NAME);
        let mut action = match servers.and_then(http::servers) {
            Some(servers) => {
                let name = grant.name;
                format!(
                    "add `grants: {{ {name}: {servers} }}` to the operator, with the servers of its `config`"
                )
            }
            None => format!("add `{}` to the operator, {}", grant.line(), grant.meaning),
        };
        // Its toolchain imports `wasi:http` unasked.
        if javascript && grant.name == http::NAME {
            action += ", or, if it makes no requests, build it with `-d http -d fetch-event`";
        }
        return report::hint(error, action);
    }
    let error = anyhow!(message);
    let action = match Interface::parse(import) {
        Some(it) if it.package == "wasi:http" && it.name == "incoming-handler" => {
            let world = guest::BUILT.world;
            format!("a plugin cannot serve requests: build it only for the world `{world}`")
        }
        Some(it) if it.package.starts_with("wasi:") && it.version.starts_with("0.3") => {
            "build it for WASI 0.2: `--target wasm32-wasip2`".to_owned()
        }
        _ => {
            "a plugin may import `log`, `metrics` and `config` of `weir:plugin`, and WASI 0.2 for \
              clocks, random numbers and stdio; take out the library that needs more"
                .to_owned()
        }
    };
    report::hint(error, action)
}

/// What an operator grants its plugin, ready for use. One per loaded plugin.
pub(super) struct PluginGrants {
    /// Keys of `grants:`.
    pub(super) names: Vec<&'static str>,
    http: Option<Arc<HttpPolicy>>,
}

/// What one instance holds of it.
pub(super) struct InstanceGrants {
    pub(super) http: Option<Http>,
}

impl PluginGrants {
    /// `ca` is a file of certificates to trust besides the system's.
    ///
    /// # Errors
    ///
    /// When certificates are needed and cannot be read.
    pub(super) fn new(grants: &Grants, ca: Option<&Path>) -> Result<Self> {
        let http = (!grants.http.is_empty()).then(|| HttpPolicy::new(&grants.http, ca));
        Ok(Self {
            names: given(grants).map(|grant| grant.name).collect(),
            http: http.transpose()?.map(Arc::new),
        })
    }

    pub(super) fn of_instance(&self, limits: &Limits) -> InstanceGrants {
        let http = self.http.as_ref();
        InstanceGrants {
            http: http.map(|policy| Http::new(policy, limits)),
        }
    }
}
