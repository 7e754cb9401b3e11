//! Everything that knows wasmtime.
//!
//! A [`Runtime`] loads files into [`Plugin`]s; a [`Worker`] is one lane's warm instance of one, and
//! answers batches with outcomes or with a [`Fault`]. Nothing outside of this module imports
//! wasmtime, and nothing inside knows NATS: what belongs to a lane comes in as [`HostServices`].

mod cache;
mod capability;
mod compiler;
mod component;
mod contract;
mod engine;
mod engine_context;
mod epoch_ticker;
mod error;
mod fault;
mod guest;
mod inspect;
mod instance;
mod loaded;
mod services;
mod stdio;
mod window;
mod worker;

pub use capability::{Grant, NotGranted, sends};
pub use compiler::child::{Job as CompileJob, NOT_WRITTEN, run as compile_as_child};
pub use component::{Package, WITH_HTTP, World, componentize};
pub use contract::check_successor;
pub use fault::{Fault, FaultKind, Refusal};
pub use guest::Call;
pub use inspect::{Inspection, inspect};
pub use loaded::Plugin;
pub use services::HostServices;
pub use worker::{OperatorSettings, Worker};

use crate::config::limits::CompileLimits;
use crate::config::resolved::Grants;
use crate::report::ResultExt;
use crate::signature::{self, Key};
use crate::{standard, threads};
use anyhow::{Context, Result};
use capability::PluginGrants;
use compiler::{Compiler, Task};
use engine_context::{EngineContext, EngineContexts};
use error::from_wasmtime;
use serde_json::Value;
use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, Weak};
use wasmtime::component::Component;

/// Settings of a [`Runtime`].
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// The directory of compiled components; `None` compiles at every load. One that others may enter
    /// is not used.
    pub cache_dir: Option<PathBuf>,
    /// The most instances at once where they come from a pool: lanes times operators, over all
    /// pipelines. Each reserves 4 GiB of address space, which is not memory.
    pub max_instances: u32,
    /// This program, of which a child compiles. `None` compiles in this process, whatever that takes: for
    /// a process that is not `weir`.
    pub compiler: Option<PathBuf>,
}

impl Default for RuntimeOptions {
    /// The user's cache directory, 1,000 instances, and this program.
    fn default() -> Self {
        Self {
            cache_dir: user_cache().map(|caches| caches.join("compiled")),
            max_instances: 1000,
            compiler: Some(this_program()),
        }
    }
}

/// What weir keeps in the user's cache directory is below this one. None if the environment names none.
#[must_use]
pub fn user_cache() -> Option<PathBuf> {
    let path = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let caches = path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")))?;
    Some(caches.join("weir"))
}

/// The program that runs. Its path may lead to a newer one by now, or nowhere; on Linux there is a link
/// that does not.
fn this_program() -> PathBuf {
    match cfg!(target_os = "linux") {
        true => "/proc/self/exe".into(),
        false => env::current_exe().unwrap_or_else(|_| "weir".into()),
    }
}

/// How a plugin is loaded for an operator.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions<'a> {
    /// The operator's `grants:`; `None` grants nothing.
    pub grants: Option<&'a Grants>,
    /// A file of certificates that its HTTPS requests trust besides the system's: `nats.tls.ca`.
    pub ca: Option<&'a Path>,
    /// Whether it runs without the checks that end a call at its deadline while it computes.
    pub trusted: bool,
    /// One of these must have signed it. It need not be signed where the list is empty.
    pub keys: &'a [Key],
    /// The minisign signature that was found with it.
    pub signature: Option<&'a str>,
    /// What compiling it may take.
    pub compile: CompileLimits,
    /// Whether its calls have a state. One that keeps state is refused otherwise.
    pub stateful: bool,
    /// Whether the operator has `window:`. Only a plugin that aggregates windows is for that.
    pub windowed: bool,
    /// Loads it also without the grants that it needs, so that its `configure` can be run. A call for which the grant is
    /// missing ends the plugin.
    pub ungranted: bool,
    /// The operator's `config:`. Where a grant is missing, the hint names the servers in it.
    pub config: Option<&'a Value>,
}

/// The engines and the cache: one per process. Cheap to clone.
#[derive(Clone)]
pub struct Runtime(Arc<Shared>);

struct Shared {
    contexts: EngineContexts,
    cache: Option<cache::Cache>,
    /// Compiles one component at a time: each takes all processors. Whoever waits for it may find that
    /// the component it wants has been compiled meanwhile.
    compiler: Mutex<Compiler>,
    /// Components in use by their keys in the cache, so that one that many operators run is in memory
    /// once. An entry is dropped at the first compilation after its last use.
    in_use: Mutex<HashMap<String, Weak<Component>>>,
}

impl Runtime {
    /// Starts the engine and its ticker. A cache directory that cannot be used is a warning.
    ///
    /// # Errors
    ///
    /// When wasmtime does not support this machine.
    pub fn new(options: RuntimeOptions) -> Result<Self> {
        let contexts = EngineContexts::new(options.max_instances)?;
        let cache = options.cache_dir.and_then(|folder| {
            cache::Cache::open(&folder)
                .inspect_err(|error| tracing::warn!("compiling without a cache: {error:#}"))
                .ok()
        });
        Ok(Self(Arc::new(Shared {
            contexts,
            cache,
            compiler: Mutex::new(Compiler(options.compiler)),
            in_use: Mutex::default(),
        })))
    }

    /// Reads, compiles and checks a plugin that is granted nothing. Takes from a millisecond (cached)
    /// to seconds.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is no WebAssembly, or is no plugin that this host runs.
    pub fn load(&self, path: &Path) -> Result<Arc<Plugin>> {
        self.load_with(path, LoadOptions::default())
    }

    /// As [`Runtime::load`], for an operator.
    ///
    /// # Errors
    ///
    /// As [`Runtime::load`], and when the roots of trust are needed and cannot be read.
    pub fn load_with(&self, path: &Path, options: LoadOptions<'_>) -> Result<Arc<Plugin>> {
        let origin = path.display().to_string();
        let bytes = fs::read(path).with_context(|| format!("cannot read plugin `{origin}`"))?;
        self.load_bytes(&bytes, &origin, options)
    }

    /// As [`Runtime::load_with`], with the bytes of a file; `origin` names it in errors and logs.
    ///
    /// # Errors
    ///
    /// As [`Runtime::load_with`].
    pub fn load_bytes(
        &self,
        bytes: &[u8],
        origin: &str,
        options: LoadOptions<'_>,
    ) -> Result<Arc<Plugin>> {
        self.load_component(bytes, origin, options)
            .with_context(|| format!("cannot load plugin `{origin}`"))
            .usage()
    }

    fn load_component(
        &self,
        bytes: &[u8],
        origin: &str,
        options: LoadOptions<'_>,
    ) -> Result<Arc<Plugin>> {
        // A standard plugin is part of the host, and trusted as the host is.
        if !options.keys.is_empty() && !standard::is_one(bytes) {
            signature::check(options.keys, bytes, options.signature)?;
        }
        let context = self.0.contexts.of(options.trusted)?;
        component::form(bytes)?;
        let digest = blake3::hash(bytes).to_hex().to_string();
        if let Some(cache) = &self.0.cache
            && let Err(error) = cache.put_source(&digest, bytes)
        {
            tracing::warn!("the plugin is not kept beside its compiled form: {error:#}");
        }
        let (component, from_cache) = self.compile(&context, bytes, options.compile, &digest)?;
        let (imports, exports) = inspect::interfaces(&component);
        let contract = contract::find(&imports, &exports)?;
        contract::check_state(contract, options.stateful)?;
        contract::check_window(contract, options.windowed)?;
        let nothing = Grants::default();
        let grants = options.grants.unwrap_or(&nothing);
        let is_given = |grant: &Grant| options.ungranted || (grant.is_given)(grants);
        let javascript = component::is_javascript(bytes);
        capability::check(&imports, is_given, javascript, options.config)?;
        let grants = PluginGrants::new(grants, options.ca)?;
        let pre = context
            .linker
            .instantiate_pre(&component)
            .map_err(from_wasmtime)
            .context("an import does not match the contract")?;
        let bind = (contract.bind)(&pre).map_err(from_wasmtime)?;
        Ok(Arc::new(Plugin {
            origin: origin.to_owned(),
            digest,
            size: bytes.len() as u64,
            contract,
            imports,
            from_cache,
            trusted: options.trusted,
            signature: options.signature.map(str::to_owned),
            grants,
            _component: component,
            ticker: context.ticker.clone(),
            pre,
            bind,
            format: AtomicU32::new(0),
        }))
    }

    /// The bytes of a component that was loaded here before; `None` where there is no cache, or it
    /// was cleared.
    #[must_use]
    pub fn component(&self, digest: &str) -> Option<Vec<u8>> {
        self.0.cache.as_ref()?.source(digest)
    }

    /// The component, and whether it was compiled before.
    fn compile(
        &self,
        context: &EngineContext,
        bytes: &[u8],
        limits: CompileLimits,
        digest: &str,
    ) -> Result<(Arc<Component>, bool)> {
        let key = cache::key(&context.engine, digest);
        if let Some(found) = self.compiled(context, &key) {
            return Ok((found, true));
        }
        let compiler = threads::locked(&self.0.compiler);
        if let Some(found) = self.compiled(context, &key) {
            return Ok((found, true));
        }
        let task = Task {
            bytes,
            build: context.build,
            limits,
        };
        let component = self
            .compile_anew(context, &compiler, &task, &key)
            .context("cannot compile it")?;
        Ok((self.share(key, component), false))
    }

    /// A component that was compiled before, by this process or another.
    fn compiled(&self, context: &EngineContext, key: &str) -> Option<Arc<Component>> {
        let in_use = threads::locked(&self.0.in_use)
            .get(key)
            .and_then(Weak::upgrade);
        in_use.or_else(|| {
            let stored = self.0.cache.as_ref()?.get(&context.engine, key)?;
            Some(self.share(key.to_owned(), stored))
        })
    }

    fn share(&self, key: String, component: Component) -> Arc<Component> {
        let component = Arc::new(component);
        let mut in_use = threads::locked(&self.0.in_use);
        in_use.retain(|_, component| component.strong_count() > 0);
        in_use.insert(key, Arc::downgrade(&component));
        component
    }

    fn compile_anew(
        &self,
        context: &EngineContext,
        compiler: &Compiler,
        task: &Task<'_>,
        key: &str,
    ) -> Result<Component> {
        if let Some(cache) = &self.0.cache {
            match cache.file() {
                Ok(mut file) => {
                    let written = compiler.compile_to(task, file.as_file_mut())?;
                    match written.and_then(|()| cache.put(key, file)) {
                        Ok(()) => {
                            if let Some(component) = cache.get(&context.engine, key) {
                                return Ok(component);
                            }
                        }
                        Err(error) => not_cached(&error),
                    }
                }
                Err(error) => not_cached(&error),
            }
        }
        cache::unstored(&context.engine, &compiler.compile(task)?)
    }
}

fn not_cached(error: &anyhow::Error) {
    tracing::warn!("the compiled plugin is not cached: {error:#}");
}
