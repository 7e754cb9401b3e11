//! The `operators:` list.

use super::keys::keys;
use super::rollout::rollout;
use super::values::{Context, absolute, optional};
use super::windows::windows;
use crate::config::component::Reference;
use crate::config::cursor::Cursor;
use crate::config::given::Given;
use crate::config::limits::{CompileLimits, Limits};
use crate::config::load::Located;
use crate::config::model::{self, HeadersWord};
use crate::config::resolved::{HeaderSelection, Operator};
use crate::config::schema;
use crate::config::shape::{self, Mistaken};
use crate::config::template::check_header_name;
use crate::signature::Key;
use crate::{report, standard};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The minimum memory of an instance. The stacks and statics of a guest take up to 1 MiB before it
/// allocates anything.
const LEAST_MEMORY: usize = 1 << 20;

/// The maximum memory: what a 32-bit guest can address.
const MOST_MEMORY: usize = 4 << 30;

/// The minimum address space of a process that compiles: its program, and what a small plugin needs.
const LEAST_TO_COMPILE: usize = 256 << 20;

/// `signers` are the pipeline's keys for required signatures.
pub(super) fn operators(
    models: &[model::Operator],
    signers: &[Key],
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Vec<Option<Located>> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut operators = Vec::with_capacity(models.len());
    for (index, model) in models.iter().enumerate() {
        let at = at.item(index);
        let name = context.identifier(model.name.as_deref(), &at.field("name"));
        let first = name
            .as_ref()
            .and_then(|name| seen.insert(name.clone(), index));
        if let (Some(first), Some(name)) = (first, &name) {
            let message =
                format!("two operators are called `{name}`, the other is `operators[{first}]`");
            context.findings.add(at.field("name").location(), message);
        }
        let plugin_at = at.field("plugin");
        let config_at = at.field("config");
        let (text, node) = (Arc::clone(&context.text), config_at.node().cloned());
        let placed = |(operator, mistaken)| Located {
            operator,
            plugin: plugin_at.location(),
            given: Given::new(text, node, config_at.path().to_owned(), mistaken),
            config: config_at.or(plugin_at).location(),
        };
        operators.push(operator(model, name, signers, &at, context).map(placed));
    }
    operators
}

/// The operator, and the paths of the mistakes in its `config:`, whose sound part it has.
fn operator(
    model: &model::Operator,
    name: Option<String>,
    signers: &[Key],
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<(Operator, Vec<String>)> {
    let plugin = model
        .plugin
        .as_deref()
        .and_then(|reference| plugin(reference, &at.field("plugin"), context));
    let mistaken = mistaken(plugin.as_ref(), &at.field("config"), context);
    let (config, mistaken) = match mistaken {
        Some(Mistaken { sound, paths }) => (sound, paths),
        None => (model.config.clone(), Vec::new()),
    };
    let subjects = context.filters(&model.subjects, &at.field("subjects"));
    let windows = optional(model.window.as_ref(), |model| {
        windows(model, &at.field("window"), context).map(Arc::new)
    });
    let headers = headers(&model.headers, &at.field("headers"), context);
    let grants = model.grants.resolve(&at.field("grants"), context);
    let limits = limits(model, &at.field("limits"), context);
    let trusted = trusted(model.trusted, &at.field("trusted"), context);
    let rollout = rollout(&model.rollout, &at.field("rollout"), context);
    let own = keys(
        &model.require_signature,
        &at.field("require-signature"),
        context,
    );
    let require_signature = own.map(|own| match own.is_empty() {
        true => signers.to_vec(),
        false => own,
    });
    let operator = Operator {
        name: name?,
        plugin: plugin?,
        config,
        subjects: subjects?,
        windows: windows?,
        headers: headers?,
        grants: grants?,
        limits: limits?,
        trusted: trusted?,
        rollout: rollout?,
        require_signature: require_signature?,
    };
    Some((operator, mistaken))
}

fn trusted(wanted: bool, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<bool> {
    if wanted && context.forbids_trusted {
        let message = format!(
            "`{}`: trusted plugins are forbidden on this host",
            at.path()
        );
        let hint = "remove it, or run without `--forbid-trusted` and WEIR_FORBID_TRUSTED";
        context.findings.add_hint(at.location(), message, hint);
        return None;
    }
    Some(wanted)
}

fn plugin(reference: &str, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<Reference> {
    let folder = context.path("");
    match context.parsed(Reference::parse(reference, &folder), at)? {
        Reference::File(_) => file(reference, at, context).map(Reference::File),
        Reference::Standard(standard) if context.plugins_exist => {
            let found = standard::find(&standard.name, standard.version.as_deref());
            let refused = found.err();
            if let Some(error) = &refused {
                let message = format!("`{}`: {}", at.path(), report::line(error));
                let hint = report::hints(error).join("; ");
                context.findings.add_hint(at.location(), message, hint);
            }
            refused.is_none().then_some(Reference::Standard(standard))
        }
        elsewhere => Some(elsewhere),
    }
}

/// What the schema of a standard plugin refuses in its configuration.
fn mistaken(
    plugin: Option<&Reference>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Mistaken> {
    let Some(Reference::Standard(standard)) = plugin.filter(|_| context.plugins_exist) else {
        return None;
    };
    let found = standard::find(&standard.name, None).ok()?;
    let schema = found.schema().and_then(schema::of_plugin)?;
    let place = (at.path(), at.key_location());
    shape::check_config(at.node(), place, &schema, context.findings)
}

fn file(reference: &str, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<PathBuf> {
    if context.plugins_exist && context.path(reference).is_dir() {
        context.findings.add_hint(
            at.location(),
            format!("`{}`: `{reference}` is a folder", at.path()),
            format!("name the `.wasm` file that `weir plugin build {reference}` prints"),
        );
        return None;
    }
    if context.plugins_exist {
        let otherwise = match standard::find(reference, None) {
            Ok(found) => format!("write `std:{}` for the standard plugin", found.name),
            Err(_) => "build it with `weir plugin build`, or correct the path".to_owned(),
        };
        context.existing_file(reference, &otherwise, at)
    } else {
        absolute(&context.path(reference))
    }
}

fn headers(
    model: &model::Headers,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<HeaderSelection> {
    let names = match model {
        model::Headers::Word(HeadersWord::None) => return Some(HeaderSelection::None),
        model::Headers::Word(HeadersWord::All) => return Some(HeaderSelection::All),
        model::Headers::Names(names) => names,
    };
    let names = context.each(names, at, |context, name, at| {
        let checked = check_header_name(name).map(|()| name.to_owned());
        context.parsed(checked, at)
    })?;
    Some(match names.is_empty() {
        true => HeaderSelection::None,
        false => HeaderSelection::Named(names),
    })
}

fn limits(
    operator: &model::Operator,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Limits> {
    let model = &operator.limits;
    let memory_at = at.field("memory");
    let memory = context.size(&model.memory, &memory_at).and_then(|memory| {
        let range = if memory < LEAST_MEMORY {
            Err("a guest needs at least 1MiB to start".to_owned())
        } else if memory > MOST_MEMORY {
            Err("a guest cannot address more than 4GiB".to_owned())
        } else {
            Ok(memory)
        };
        context.parsed(range, &memory_at)
    });
    let deadline = context.positive_duration(&model.deadline, &at.field("deadline"));
    let output_at = at.field("output");
    let output = context.size(&model.output, &output_at).and_then(|output| {
        let range = if output == 0 {
            Err("must be more than 0".to_owned())
        } else {
            Ok(output)
        };
        context.parsed(range, &output_at)
    });
    let response = context.size(&model.http_response, &at.field("http-response"));
    let recycle_at = at.field("recycle-memory");
    let recycle = match &model.recycle_memory {
        Some(text) => context.size(text, &recycle_at),
        None => memory.map(|memory| memory / 4 * 3),
    };
    let compile = compile(&model.compile, &at.field("compile"), context);
    let (memory, recycle) = (memory?, recycle?);
    if recycle > memory {
        let message = format!(
            "`{}` must not be more than `{}`",
            recycle_at.path(),
            memory_at.path()
        );
        context.findings.add(recycle_at.location(), message);
        return None;
    }
    Some(Limits {
        isolation: operator.isolation,
        memory_bytes: memory,
        deadline: deadline?,
        output_bytes: output?,
        http_response_bytes: response?,
        http_requests: model.http_requests,
        handles: model.handles,
        recycle_calls: model.recycle_calls,
        recycle_bytes: recycle,
        compile: compile?,
    })
}

fn compile(
    model: &model::Compile,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<CompileLimits> {
    let time = context.positive_duration(&model.time, &at.field("time"));
    let memory_at = at.field("memory");
    let memory = context.size(&model.memory, &memory_at).and_then(|memory| {
        let range = match memory < LEAST_TO_COMPILE {
            true => Err("compiling takes at least 256MiB".to_owned()),
            false => Ok(memory),
        };
        context.parsed(range, &memory_at)
    });
    Some(CompileLimits {
        time: time?,
        memory_bytes: memory?,
    })
}
