//! Which contract a component was built for, told by the names of its imports and exports.
//!
//! Every interface is looked at by itself: a whole-world comparison would refuse a component for
//! lacking an optional export. Types are wasmtime's to compare, at instantiation. Pure.

use crate::report;
use anyhow::{Result, anyhow};

/// The world that this host runs.
pub(super) const OPERATOR: &str = "weir:plugin/operator@0.1.0";

/// The version of `weir:plugin` in it.
const VERSION: &str = "0.1.0";

/// Interfaces of `weir:plugin` that a component may import.
const GRANTED: [&str; 4] = ["config", "log", "metrics", "types"];

/// Packages of WASI 0.2 that are linked, with nothing behind files, sockets and the environment.
const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// Interfaces of `wasi:http` that the grant `http` links.
const HTTP: [&str; 2] = ["outgoing-handler", "types"];

/// What the operator grants, and what decides the words of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) http: bool,
    /// Whether it was built from JavaScript, whose toolchain imports `wasi:http` unasked.
    pub(super) javascript: bool,
}

/// `namespace:package/interface@version`, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name<'a> {
    package: &'a str,
    interface: &'a str,
    /// Empty where there is none.
    version: &'a str,
}

impl<'a> Name<'a> {
    /// `None` for what is not an interface: a function or an instance with a plain name.
    fn parse(text: &'a str) -> Option<Self> {
        let (path, version) = text.split_once('@').unwrap_or((text, ""));
        let (package, interface) = path.split_once('/')?;
        Some(Self {
            package,
            interface,
            version,
        })
    }
}

/// Finds the world, or says why this host cannot run the component.
///
/// # Errors
///
/// When it is no plugin, one of another version or of a world that this host does not run, or when
/// it imports what nobody may grant, or what is not granted here. Each with a hint.
pub(super) fn check(
    imports: &[String],
    exports: &[String],
    granted: Granted,
) -> Result<&'static str> {
    let exported: Vec<Name<'_>> = exports
        .iter()
        .filter_map(|name| Name::parse(name))
        .collect();
    let imported: Vec<Name<'_>> = imports
        .iter()
        .filter_map(|name| Name::parse(name))
        .collect();
    let all = || exported.iter().chain(&imported);
    if let Some(other) = all().find(|name| name.package == "weir:plugin" && name.version != VERSION)
    {
        return Err(other_version(other.version));
    }
    if all().any(|name| name.package == "weir:state") {
        return Err(other_world("stateful-operator"));
    }
    if all().any(|name| name.package == "weir:window") {
        return Err(other_world("aggregator"));
    }
    let has = |interface| {
        exported
            .iter()
            .any(|name| name.package == "weir:plugin" && name.interface == interface)
    };
    match (has("handler"), has("configurable")) {
        (true, true) => {}
        (false, false) => return Err(no_plugin(exports)),
        (handler, _) => {
            let missing = if handler { "configurable" } else { "handler" };
            let error = anyhow!("it does not export `weir:plugin/{missing}@{VERSION}`");
            return Err(report::hint(error, rebuild()));
        }
    }
    for import in imports {
        let linked = is_linked(import) || granted.http && needs_http(import);
        if !linked {
            return Err(not_granted(import, granted.javascript));
        }
    }
    Ok(OPERATOR)
}

/// Whether this import is what `grants: { http: [...] }` links.
pub(super) fn needs_http(import: &str) -> bool {
    Name::parse(import).is_some_and(|name| {
        name.package == "wasi:http"
            && HTTP.contains(&name.interface)
            && name.version.starts_with("0.2.")
    })
}

/// Whether the host links this import for every plugin.
pub(super) fn is_linked(import: &str) -> bool {
    let Some(name) = Name::parse(import) else {
        return false;
    };
    match name.package.split_once(':') {
        Some(("weir", "plugin")) => GRANTED.contains(&name.interface),
        Some(("wasi", package)) => WASI.contains(&package) && name.version.starts_with("0.2."),
        _ => false,
    }
}

/// What to add where `http` is missing.
const GRANT_HTTP: &str = "add `grants: { http: [\"https://api.example.com\"] }` to the operator, \
                          with the servers that it may reach";

fn rebuild() -> String {
    format!("build it for the world `{OPERATOR}`, with `weir plugin build`")
}

fn other_version(version: &str) -> anyhow::Error {
    let version = if version.is_empty() { "none" } else { version };
    let error = anyhow!(
        "it was built for version {version} of the contract `weir:plugin`; this host runs {VERSION}"
    );
    report::hint(error, rebuild())
}

fn other_world(world: &str) -> anyhow::Error {
    let error = anyhow!(
        "it was built for the world `{world}`, which this version of weir does not run yet"
    );
    report::hint(
        error,
        format!("run it on a version of weir that does, or {}", rebuild()),
    )
}

fn no_plugin(exports: &[String]) -> anyhow::Error {
    let error = match exports {
        [] => anyhow!("it exports nothing, so it is not a weir plugin"),
        [first, ..] => anyhow!("it is a component but not a weir plugin: it exports `{first}`"),
    };
    report::hint(error, rebuild())
}

fn not_granted(import: &str, javascript: bool) -> anyhow::Error {
    let error = anyhow!("it imports `{import}`, which is not granted");
    if needs_http(import) {
        let mut action = GRANT_HTTP.to_owned();
        if javascript {
            action += ", or, if it makes no requests, build it with `-d http -d fetch-event`";
        }
        return report::hint(error, action);
    }
    let name = Name::parse(import);
    let package = name.map_or("", |name| name.package);
    let action = match (package, name) {
        ("wasi:http", Some(name)) if name.interface == "incoming-handler" => {
            "a plugin serves no requests: build it for the world `weir:plugin/operator@0.1.0` alone"
        }
        (package, Some(name))
            if package.starts_with("wasi:") && name.version.starts_with("0.3") =>
        {
            "build it for WASI 0.2: `--target wasm32-wasip2`"
        }
        _ => {
            "a plugin may import `log`, `metrics` and `config` of `weir:plugin`, and WASI 0.2 for \
             clocks, random numbers and stdio; take out the library that needs more"
        }
    };
    report::hint(error, action)
}
