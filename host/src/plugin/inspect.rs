//! Describes a component without compiling it, for `weir plugin inspect` and for deployments.

use super::capability::{self, Grant};
use super::{component, contract};
use anyhow::{Context, Result};
use wasmtime::component::Component;
use wit_component::{DecodedWasm, WitPrinter};

/// A component, described without being compiled.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// blake3 of the bytes as they were given, in hex.
    pub digest: String,
    /// Bytes as they were given.
    pub size: u64,
    /// Whether the bytes are a core module that the host encodes on load.
    pub core_module: bool,
    /// Names of interfaces, in the component's order.
    pub imports: Vec<String>,
    /// Names of interfaces, in the component's order.
    pub exports: Vec<String>,
    /// What an operator must grant for it.
    pub grants: Vec<&'static Grant>,
    /// Imports that nobody can grant in this version of the host.
    pub ungranted: Vec<String>,
    /// The world that this host runs it as where its grants are given, or why it refuses it.
    pub contract: Result<&'static str, String>,
    /// Its world and the interfaces that it uses, as WIT.
    pub wit: String,
}

impl Inspection {
    /// Keys of `grants:` that it needs.
    #[must_use]
    pub fn grant_names(&self) -> Vec<&'static str> {
        self.grants.iter().map(|grant| grant.name).collect()
    }
}

/// Describes the bytes of a `.wasm` file. A component that is no plugin is described as well.
///
/// # Errors
///
/// When the bytes are no component, nor a core module that can be made one.
pub fn inspect(bytes: &[u8]) -> Result<Inspection> {
    let form = component::form(bytes)?;
    let encoded = match form {
        component::Form::Component => None,
        component::Form::Module => Some(component::encode(bytes)?),
    };
    let decoded = wit_component::decode(encoded.as_deref().unwrap_or(bytes))
        .context("cannot read the component's interfaces")?;
    let (resolve, world) = match &decoded {
        DecodedWasm::Component(resolve, world) => (resolve, resolve.worlds.get(*world)),
        DecodedWasm::WitPackage(resolve, _) => (resolve, None),
    };
    let names = |items: fn(&wit_parser::World) -> &wit_parser::IndexMap<_, _>| {
        let items = world.map(items).into_iter().flatten();
        items
            .map(|(key, _)| resolve.name_world_key(key))
            .collect::<Vec<_>>()
    };
    let (imports, exports) = (names(|world| &world.imports), names(|world| &world.exports));
    let package = decoded.package();
    let others: Vec<_> = resolve
        .packages
        .iter()
        .map(|(id, _)| id)
        .filter(|id| *id != package)
        .collect();
    let mut printer = WitPrinter::default();
    printer
        .print(resolve, package, &others)
        .context("cannot print its interfaces")?;
    let javascript = component::is_javascript(bytes);
    let contract = contract::find(&imports, &exports).and_then(|found| {
        capability::check(&imports, |_| true, javascript, None)?;
        Ok(found.world)
    });
    let (grants, ungranted) = capability::needed(&imports);
    Ok(Inspection {
        digest: blake3::hash(bytes).to_hex().to_string(),
        size: bytes.len() as u64,
        core_module: form == component::Form::Module,
        imports,
        exports,
        grants,
        ungranted,
        contract: contract.map_err(|error| format!("{error:#}")),
        wit: printer.output.to_string(),
    })
}

/// Names of a compiled component's imports and exports.
pub(super) fn interfaces(component: &Component) -> (Vec<String>, Vec<String>) {
    let (ty, engine) = (component.component_type(), component.engine());
    let imports = ty
        .imports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    let exports = ty
        .exports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    (imports, exports)
}
