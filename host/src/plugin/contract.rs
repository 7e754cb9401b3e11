//! Which contract a component was built for, by the names of its imports and exports.
//!
//! Each interface is checked separately: a comparison of whole worlds would refuse a component that lacks an
//! optional export. wasmtime compares types at instantiation. Pure. `capability/` decides what else a
//! component may import.

use super::guest::{BUILT, CONTRACTS, Contract, STATEFUL, WINDOWED};
use crate::report;
use anyhow::{Result, anyhow};

/// The packages of the contracts that this host runs, and the world to build for in each.
static PACKAGES: [(&str, &Contract); 3] = [
    ("weir:plugin", BUILT),
    ("weir:state", STATEFUL),
    ("weir:window", WINDOWED),
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
/// When it is no plugin, or one of a version that this host does not run. Each with a hint.
pub(super) fn find(imports: &[String], exports: &[String]) -> Result<&'static Contract> {
    let names = exports.iter().chain(imports);
    let names: Vec<Interface<'_>> = names.filter_map(|name| Interface::parse(name)).collect();
    for (package, contract) in PACKAGES {
        let versions = versions(package);
        let is_unknown =
            |name: &&Interface<'_>| name.package == package && !versions.contains(&name.version);
        if let Some(other) = names.iter().find(is_unknown) {
            return Err(other_version(other, &versions, contract));
        }
    }
    let has = |export: &str| exports.iter().any(|name| name == export);
    let missing = |one: &Contract| one.exports.iter().filter(|it| !has(it)).count();
    let newest_first = CONTRACTS.iter().copied().rev();
    let possible = newest_first.filter(|one| one.exports.iter().any(|it| has(it)));
    let possible = possible.filter(|one| offers_all(one, imports));
    let nearest = possible.min_by_key(|one| missing(one));
    let nearest = nearest.ok_or_else(|| no_plugin(exports))?;
    match nearest.exports.iter().find(|it| !has(it)) {
        Some(export) => Err(lacks(export, nearest)),
        None => Ok(nearest),
    }
}

/// Refuses a contract with state where calls have none.
///
/// # Errors
///
/// With a hint that says where there is state.
pub(super) fn check_state(contract: &Contract, stateful: bool) -> Result<()> {
    if !contract.is_stateful() || stateful {
        return Ok(());
    }
    let error = anyhow!("it keeps state, which needs exactly-once delivery");
    let action = "add `delivery: exactly-once` to the pipeline";
    Err(report::hint(error, action))
}

/// Refuses a contract that is not what the operator is for: one for windows where there are none, or another
/// where there are.
///
/// # Errors
///
/// With a hint that says how to bring both together.
pub(super) fn check_window(contract: &Contract, windowed: bool) -> Result<()> {
    match (contract.is_windowed(), windowed) {
        (true, false) => {
            let error = anyhow!("it aggregates windows, but the operator has no `window:`");
            let action = "add `window: { tumbling: 1m }` to the operator, for example";
            Err(report::hint(error, action))
        }
        (false, true) => {
            let world = contract.world;
            let error = anyhow!("the operator has `window:`, and it was built for `{world}`");
            let build = rebuild(WINDOWED);
            Err(report::hint(error, format!("remove `window:`, or {build}")))
        }
        _ => Ok(()),
    }
}

/// Refuses a plugin of the contract `new` where an operator runs one of `running`, if the host would refuse it for its
/// kind: both as [`inspect`](super::inspect) names contracts. `stateful` is whether the pipeline is a job. A contract
/// that this host does not know is not judged.
///
/// # Errors
///
/// Why it cannot take over.
pub fn check_successor(new: &str, running: &str, stateful: bool) -> Result<()> {
    let find = |world: &str| CONTRACTS.iter().find(|contract| contract.world == world);
    let Some(new) = find(new) else {
        return Ok(());
    };
    check_state(new, stateful)?;
    find(running).map_or(Ok(()), |running| check_window(new, running.is_windowed()))
}

/// Whether a contract has what is imported of any contract: a plugin without `on-timer` has no state.
fn offers_all(contract: &Contract, imports: &[String]) -> bool {
    let imports = imports.iter();
    let mut imports = imports.filter_map(|import| Interface::parse(import));
    let offers = |one: &Contract, import: &Interface<'_>| {
        let mut interfaces = one.imports.interfaces.iter();
        interfaces.any(|name| import.matches(name))
    };
    imports.all(|import| {
        offers(contract, &import) || !CONTRACTS.iter().any(|other| offers(other, &import))
    })
}

/// The versions of a package that this host runs.
fn versions(package: &str) -> Vec<&'static str> {
    let exports = CONTRACTS.iter().flat_map(|contract| contract.exports);
    let ours = exports.filter_map(|export| Interface::parse(export));
    let mut versions: Vec<_> = ours
        .filter(|name| name.package == package)
        .map(|name| name.version)
        .collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

fn rebuild(contract: &Contract) -> String {
    let world = contract.world;
    format!("build it for the world `{world}`, with `weir plugin build`")
}

fn other_version(found: &Interface<'_>, runs: &[&str], contract: &Contract) -> anyhow::Error {
    let Interface {
        package, version, ..
    } = *found;
    let version = if version.is_empty() { "none" } else { version };
    let runs = runs.join(" and ");
    let error = anyhow!(
        "it was built for version {version} of the contract `{package}`; this host runs {runs}"
    );
    report::hint(error, rebuild(contract))
}

fn lacks(export: &str, contract: &Contract) -> anyhow::Error {
    report::hint(anyhow!("it does not export `{export}`"), rebuild(contract))
}

fn no_plugin(exports: &[String]) -> anyhow::Error {
    let error = match exports {
        [] => anyhow!("it exports nothing, so it is not a weir plugin"),
        [first, ..] => anyhow!("it is a component but not a weir plugin: it exports `{first}`"),
    };
    report::hint(error, rebuild(BUILT))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_refused_where_the_running_one_shows_that_the_operator_is_for_others() {
        let refusal = |new: &Contract, running: &str, stateful| {
            check_successor(new.world, running, stateful).map_err(|error| error.to_string())
        };
        let windows = "it aggregates windows, but the operator has no `window:`";
        assert_eq!(refusal(WINDOWED, STATEFUL.world, true), Err(windows.into()));
        let refused = refusal(BUILT, WINDOWED.world, true).unwrap_err();
        assert!(
            refused.starts_with("the operator has `window:`"),
            "{refused}"
        );
        let refused = refusal(STATEFUL, BUILT.world, false).unwrap_err();
        assert!(refused.starts_with("it keeps state"), "{refused}");
        assert_eq!(refusal(STATEFUL, BUILT.world, true), Ok(()));
        assert_eq!(refusal(BUILT, STATEFUL.world, true), Ok(()));
        assert_eq!(refusal(WINDOWED, "weir:later/world@9.0.0", true), Ok(()));
    }
}
