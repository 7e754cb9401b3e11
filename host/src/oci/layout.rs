//! The layout of a component as an OCI artifact: one layer of `application/wasm`, and a configuration that
//! lists the imports and exports of the component.

use crate::plugin::Inspection;
use crate::report::ResultExt;
use anyhow::{Context, Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oci_client::client::{Config, ImageLayer};
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use serde::Serialize;
use std::collections::BTreeMap;

/// Media type of the configuration.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// Media type of the layer.
const LAYER: &str = "application/wasm";
/// Media type of the layer that older clients use.
const OLD_LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";
/// The annotation of the layer with the text of a `.minisig` file. It is in base64 because the text has
/// several lines, and many tools rewrite manifests.
const SIGNATURE: &str = "vnd.weir.signature.minisign";

/// A component that is ready to be pushed.
pub(super) struct Artifact {
    pub(super) layer: ImageLayer,
    pub(super) config: Config,
    pub(super) manifest: OciImageManifest,
}

/// The configuration. Readers require every field, so unknown ones are null.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a> {
    /// RFC 3339.
    created: String,
    author: Option<&'a str>,
    architecture: &'a str,
    os: &'a str,
    layer_digests: [String; 1],
    /// Null for a core module.
    component: Option<Interfaces<'a>>,
}

#[derive(Serialize)]
struct Interfaces<'a> {
    exports: &'a [String],
    imports: &'a [String],
    /// The world.
    target: Option<&'a str>,
}

/// Wraps a component.
///
/// # Errors
/// None is known: serialising text as JSON does not fail.
pub(super) fn artifact(
    bytes: Vec<u8>,
    found: &Inspection,
    signature: Option<String>,
) -> Result<Artifact> {
    let annotations =
        signature.map(|text| BTreeMap::from([(SIGNATURE.to_owned(), STANDARD.encode(text))]));
    let layer = ImageLayer::new(bytes, LAYER.to_owned(), annotations);
    let interfaces = Interfaces {
        exports: &found.exports,
        imports: &found.imports,
        target: found.contract.as_ref().ok().copied(),
    };
    let described = Described {
        // The same bytes are the same manifest, whenever they are pushed.
        created: jiff::Timestamp::UNIX_EPOCH.to_string(),
        author: None,
        architecture: "wasm",
        os: if found.core_module {
            "wasip1"
        } else {
            "wasip2"
        },
        layer_digests: [layer.sha256_digest()],
        component: (!found.core_module).then_some(interfaces),
    };
    let described = serde_json::to_vec(&described).context("cannot describe it")?;
    let config = Config::new(described, CONFIG.to_owned(), None);
    let layers = std::slice::from_ref(&layer);
    let manifest = OciImageManifest {
        media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
        ..OciImageManifest::build(layers, &config, None)
    };
    Ok(Artifact {
        layer,
        config,
        manifest,
    })
}

impl Artifact {
    /// Whether a manifest is for the same component with the same signature. Two pushes differ in their
    /// creation time.
    pub(super) fn is(&self, other: &OciImageManifest) -> bool {
        let layers = |manifest: &OciImageManifest| {
            let layers = manifest.layers.iter();
            let layers = layers.map(|layer| {
                (
                    layer.media_type.clone(),
                    layer.digest.clone(),
                    signature(layer),
                )
            });
            layers.collect::<Vec<_>>()
        };
        layers(&self.manifest) == layers(other) && other.config.media_type == CONFIG
    }
}

/// The layer with the component.
///
/// # Errors
/// If there is none, or there are several.
pub(super) fn component_of(manifest: &OciImageManifest) -> Result<&OciDescriptor> {
    let mut layers = manifest.layers.iter();
    let is_component = |layer: &&OciDescriptor| [LAYER, OLD_LAYER].contains(&&*layer.media_type);
    let first = layers.by_ref().find(is_component);
    let why = match (first, layers.find(is_component)) {
        (Some(layer), None) => return Ok(layer),
        (Some(_), Some(_)) => "it contains several components".to_owned(),
        (None, _) => {
            let types = manifest
                .layers
                .iter()
                .map(|layer| format!("`{}`", layer.media_type));
            let types = types.collect::<Vec<_>>().join(", ");
            format!("it does not contain a component, but {types}")
        }
    };
    Err(anyhow!(why)).hint(|| "push the component with `weir plugin push`, or with `wkg oci push`")
}

/// The text of a layer's signature, if it has one. Text that cannot be decoded is returned unchanged, and
/// refused if a signature is required.
pub(super) fn signature(layer: &OciDescriptor) -> Option<String> {
    let encoded = layer.annotations.as_ref()?.get(SIGNATURE)?;
    let decoded = STANDARD.decode(encoded).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    Some(text.unwrap_or_else(|| encoded.clone()))
}
