//! From bytes to a component: recognises the kind, and encodes a core module, with the contract added if a
//! language's tool omits it.
//!
//! Nothing is compiled here.

use crate::report;
use anyhow::{Context, Result, anyhow};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::ComponentEncoder;

/// How a file begins: `\0asm`, then the version and the layer.
const MAGIC: &[u8] = b"\0asm";
const MODULE: &[u8] = &[1, 0, 0, 0];
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];

/// What a `.wasm` file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Component,
    /// To be encoded by [`encode`] before anything else.
    Module,
}

/// What bytes are, by the first eight of them.
///
/// # Errors
///
/// When they are no WebAssembly that this host knows, or truncated.
pub(super) fn form(bytes: &[u8]) -> Result<Form> {
    let Some((magic, rest)) = bytes.split_at_checked(MAGIC.len()) else {
        let error = match bytes.len() {
            0 => anyhow!("it is empty"),
            length => anyhow!("it has {length} bytes, too few for WebAssembly"),
        };
        return Err(report::hint(
            error,
            "build it again with `weir plugin build`",
        ));
    };
    if magic != MAGIC {
        let text = bytes.trim_ascii_start();
        let error = if text.starts_with(b"(module") || text.starts_with(b"(component") {
            anyhow!("it is WebAssembly text, not binary")
        } else {
            anyhow!("it is not WebAssembly: it does not begin with `\\0asm`")
        };
        let action = "give the `.wasm` file that `weir plugin build` prints";
        return Err(report::hint(error, action));
    }
    let form = match rest.get(..MODULE.len()) {
        Some(MODULE) => Form::Module,
        Some(COMPONENT) => Form::Component,
        Some(_) => {
            let error = anyhow!("it is of a version of WebAssembly that this host does not know");
            return Err(report::hint(error, "build it for `wasm32-wasip2`"));
        }
        None => return Err(truncated(bytes.len())),
    };
    if ends_in_a_section(bytes) {
        return Err(truncated(bytes.len()));
    }
    Ok(form)
}

/// Whether the last section announces more bytes than there are. Sections are an identifier, a
/// length in LEB128, and so many bytes, in modules and components alike.
fn ends_in_a_section(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(MAGIC.len() + MODULE.len()..).unwrap_or_default();
    while let Some((_, after)) = rest.split_first() {
        let Some((length, contents)) = leb128(after) else {
            return true;
        };
        let Some(next) = contents.get(length..) else {
            return true;
        };
        rest = next;
    }
    false
}

/// An unsigned number of at most 32 bits, and what follows it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (position, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(position + 1..)?));
        }
    }
    None
}

fn truncated(length: usize) -> anyhow::Error {
    report::hint(
        anyhow!("it is truncated: it ends within a section, after {length} bytes"),
        "copy the file again, or build it again with `weir plugin build`",
    )
}

/// Whether the component was built from JavaScript: ComponentizeJS names itself in the section of
/// producers.
pub(super) fn is_javascript(bytes: &[u8]) -> bool {
    const SIGNATURE: &[u8] = b"ComponentizeJS";
    bytes
        .windows(SIGNATURE.len())
        .any(|window| window == SIGNATURE)
}

/// Encodes a core module that carries the contract in a `component-type` section, as `cargo build
/// --target wasm32-unknown-unknown` with the SDK makes it.
///
/// # Errors
///
/// When it has no such section, imports what has no counterpart, or is damaged.
pub(super) fn encode(module: &[u8]) -> Result<Vec<u8>> {
    let (stripped, _) =
        wit_component::metadata::decode(module).context("cannot read its sections")?;
    if stripped.is_none() {
        let error = anyhow!("it is a core module without a component-type section");
        return Err(report::hint(error, "build it with `weir plugin build`"));
    }
    ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| {
            encoder.adapter(
                WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
                WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
            )
        })
        .and_then(|mut encoder| encoder.encode())
        .context("cannot encode the core module as a component")
}

/// The files of a package of WIT: names and texts.
pub type Package = &'static [(&'static str, &'static str)];

const PLUGIN: Package = &[
    (
        "operator.wit",
        include_str!("../../../wit/deps/weir-plugin@0.1.0/operator.wit"),
    ),
    (
        "types.wit",
        include_str!("../../../wit/deps/weir-plugin@0.1.0/types.wit"),
    ),
];

const STATE: Package = &[(
    "state.wit",
    include_str!("../../../wit/deps/weir-state@0.2.0/state.wit"),
)];

const WINDOW: Package = &[(
    "window.wit",
    include_str!("../../../wit/deps/weir-window@0.2.0/window.wit"),
)];

/// `wasi:http`, behind what it uses.
const HTTP: [Package; 3] = [
    &[(
        "io.wit",
        include_str!("../../wit/deps/wasi-io@0.2.12/io.wit"),
    )],
    &[(
        "clocks.wit",
        include_str!("../../wit/deps/wasi-clocks@0.2.12/clocks.wit"),
    )],
    &[(
        "http.wit",
        include_str!("../../wit/deps/wasi-http@0.2.12/http.wit"),
    )],
];

/// The worlds of the contract that a plugin can be built for: `world:` in a `plugin.yaml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// `weir:plugin/operator@0.1.0`.
    #[default]
    Operator,
    /// `weir:state/stateful-operator@0.2.0`.
    StatefulOperator,
    /// `weir:window/aggregator@0.2.0`.
    Aggregator,
}

impl World {
    /// Its name within its package, and in a `plugin.yaml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::StatefulOperator => "stateful-operator",
            Self::Aggregator => "aggregator",
        }
    }

    /// Its package, and the packages that it uses.
    #[must_use]
    pub fn packages(self) -> (Package, &'static [Package]) {
        match self {
            Self::Operator => (PLUGIN, &[]),
            Self::StatefulOperator => (STATE, &[PLUGIN]),
            Self::Aggregator => (WINDOW, &[PLUGIN]),
        }
    }

    /// The world [`WITH_HTTP`], which is this one and requests over HTTP, as WIT, and the packages that it uses: each
    /// behind those that it uses itself.
    #[must_use]
    pub fn with_http(self) -> (String, Vec<Package>) {
        let package = match self {
            Self::Operator => "weir:plugin/operator@0.1.0",
            Self::StatefulOperator => "weir:state/stateful-operator@0.2.0",
            Self::Aggregator => "weir:window/aggregator@0.2.0",
        };
        let text = format!(
            "package weir:build;\n\nworld {WITH_HTTP} {{\n  include {package};\n  \
             import wasi:http/outgoing-handler@0.2.12;\n}}\n"
        );
        let (own, used) = self.packages();
        let packages = used.iter().copied().chain([own]).chain(HTTP);
        (text, packages.collect())
    }
}

/// The name of the world that [`World::with_http`] makes.
pub const WITH_HTTP: &str = "with-http";

/// Makes a component of what a language's tool made: a component stays as it is, a core module is
/// encoded. A core module without a component-type section, as compilers of Go, Zig and C make it, is
/// taken for one of `world`.
///
/// # Errors
///
/// When the bytes are no WebAssembly, or the module lacks exports of the contract.
pub fn componentize(bytes: &[u8], world: World) -> Result<Vec<u8>> {
    match form(bytes)? {
        Form::Component => Ok(bytes.to_vec()),
        Form::Module => {
            let (stripped, _) =
                wit_component::metadata::decode(bytes).context("cannot read its sections")?;
            if stripped.is_some() {
                return encode(bytes);
            }
            let mut module = bytes.to_vec();
            embed_contract(&mut module, world).context("cannot add the contract to it")?;
            encode(&module)
        }
    }
}

/// Adds the contract, and `wasi:http`, of which nothing is left where the module does not call it.
fn embed_contract(module: &mut Vec<u8>, world: World) -> Result<()> {
    let mut resolve = wit_parser::Resolve::default();
    let mut push = |package: &[(&str, &str)]| {
        let mut sources = wit_parser::SourceMap::default();
        for (name, text) in package {
            sources.push(std::path::Path::new(name), *text);
        }
        let group = sources.parse().map_err(|(_, error)| anyhow!("{error:#}"))?;
        Ok::<_, anyhow::Error>(resolve.push_group(group)?)
    };
    let (text, packages) = world.with_http();
    for package in packages {
        push(package)?;
    }
    let package = push(&[("build.wit", text.as_str())])?;
    let world = resolve.select_world(&[package], Some(WITH_HTTP))?;
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(module, &resolve, world, encoding)
}
