//! Which contract a component was built for, told by the names of its imports and exports.
//!
//! Every interface is looked at by itself: a whole-world comparison would refuse a component for
//! lacking an optional export. Types are wasmtime's to compare, at instantiation. Pure. What a
//! component may import besides is decided in `capability/`.

use super::guest::{BUILT, CONTRACTS, Contract};
use crate::report;
use anyhow::{Result, anyhow};

/// The package whose version is that of the contract.
const PACKAGE: &str = "weir:plugin";

/// Worlds that are published and not run yet, by the package that only they use.
const NOT_RUN_YET: [(&str, &str); 2] = [
    ("weir:state", "stateful-operator"),
    ("weir:window", "aggregator"),
];

/// `namespace:package/name@version`, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interface<'a> {
    pub(super) package: &'a str,
    pub(super) name: &'a str,
    /// Empty where there is none.
    pub(super) version: &'a str,
}

impl<'a> Interface<'a> {
    /// `None` for what is not an interface: a function or an instance with a plain name.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (path, version) = text.split_once('@').unwrap_or((text, ""));
        let (package, name) = path.split_once('/')?;
        Some(Self {
            package,
            name,
            version,
        })
    }

    /// Whether `pattern` covers it: `package/name@version`, or `package@version` for all interfaces of
    /// a package. `0.2` covers every `0.2.x`.
    pub(super) fn matches(&self, pattern: &str) -> bool {
        let (path, version) = pattern.split_once('@').unwrap_or((pattern, ""));
        let (package, name) = path.split_once('/').unwrap_or((path, self.name));
        let rest = self.version.strip_prefix(version);
        (self.package, self.name) == (package, name)
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// Finds the contract, or says why this host cannot run the component.
///
/// # Errors
///
/// When it is no plugin, or one of another version or of a world that this host does not run. Each
/// with a hint.
pub(super) fn find(imports: &[String], exports: &[String]) -> Result<&'static Contract> {
    let names = exports.iter().chain(imports);
    let names: Vec<Interface<'_>> = names.filter_map(|name| Interface::parse(name)).collect();
    let versions = versions();
    let is_unknown =
        |name: &&Interface<'_>| name.package == PACKAGE && !versions.contains(&name.version);
    if let Some(other) = names.iter().find(is_unknown) {
        return Err(other_version(other.version, &versions));
    }
    for (package, world) in NOT_RUN_YET {
        if names.iter().any(|name| name.package == package) {
            return Err(other_world(world));
        }
    }
    let has = |export: &str| exports.iter().any(|name| name == export);
    let newest_first = || CONTRACTS.iter().copied().rev();
    if let Some(found) = newest_first().find(|one| one.exports.iter().all(|it| has(it))) {
        return Ok(found);
    }
    // It has not all of the exports of any contract; where it has some, another is missing.
    let nearest = newest_first().find(|one| one.exports.iter().any(|it| has(it)));
    let missing = nearest.and_then(|one| one.exports.iter().find(|it| !has(it)));
    Err(missing.map_or_else(|| no_plugin(exports), |export| lacks(export)))
}

/// The versions of the contract that this host runs.
fn versions() -> Vec<&'static str> {
    let exports = CONTRACTS.iter().flat_map(|contract| contract.exports);
    let ours = exports.filter_map(|export| Interface::parse(export));
    let mut versions: Vec<_> = ours
        .filter(|name| name.package == PACKAGE)
        .map(|name| name.version)
        .collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

fn rebuild() -> String {
    format!(
        "build it for the world `{}`, with `weir plugin build`",
        BUILT.world
    )
}

fn other_version(version: &str, runs: &[&str]) -> anyhow::Error {
    let version = if version.is_empty() { "none" } else { version };
    let runs = runs.join(" and ");
    let error = anyhow!(
        "it was built for version {version} of the contract `{PACKAGE}`; this host runs {runs}"
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

fn lacks(export: &str) -> anyhow::Error {
    report::hint(anyhow!("it does not export `{export}`"), rebuild())
}

fn no_plugin(exports: &[String]) -> anyhow::Error {
    let error = match exports {
        [] => anyhow!("it exports nothing, so it is not a weir plugin"),
        [first, ..] => anyhow!("it is a component but not a weir plugin: it exports `{first}`"),
    };
    report::hint(error, rebuild())
}
