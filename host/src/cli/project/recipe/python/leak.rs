//! Mends leaks of componentize-py in what it has built.
//!
//! The component has a small module of bindings, which carries values between the host's form and
//! the Python runtime's, by imported functions. Three things are never freed:
//!
//! - the copy of each `list<u8>` that a call returns: as many bytes as were returned;
//! - the allocation of each other list that comes in empty, and of each empty string: 32 bytes;
//! - the allocation of each list that is returned empty: 16 bytes.
//!
//! Here the module gets a function more for each: it does what the import does and frees what that
//! leaves, a returned list when the call is over, by the means that the runtime has for it. Every
//! call of the import becomes a call of that function.
//!
//! Only what the version below has built is touched: one that frees these itself would free them
//! twice. What is left as it is leaks, and the host replaces its instances in time.

use anyhow::{Context, Result, anyhow};
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    BlockType, Function, Instruction, InstructionSink, MemArg, RawSection, ValType,
};
use wasmparser::{Chunk, Operator, Parser, Payload, TypeRef};

/// The version that leaks.
pub(super) const LEAKING: &str = "componentize-py 0.25.1";

/// The component with the leaks mended; as it is where it has no such module.
///
/// # Errors
/// The bytes are no component.
pub(super) fn mended(component: &[u8]) -> Result<Vec<u8>> {
    let mut out = wasm_encoder::Component::new();
    let mut parser = Parser::new(0);
    let mut rest = component;
    loop {
        let Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else {
            return Err(anyhow!("it ends within a section"));
        };
        rest = rest.get(consumed..).unwrap_or_default();
        let (id, range) = match &payload {
            Payload::End(_) => return Ok(out.finish()),
            Payload::ModuleSection {
                unchecked_range: range,
                ..
            } => (1, range.clone()),
            Payload::ComponentSection {
                unchecked_range: range,
                ..
            } => (4, range.clone()),
            other => match other.as_section() {
                Some(section) => section,
                None => continue,
            },
        };
        // The parser stands at the nested bytes, and is not made to look into them.
        if matches!(id, 1 | 4) {
            rest = rest.get(range.len()..).unwrap_or_default();
        }
        let data = component.get(range).context("it ends within a section")?;
        let bindings = match id {
            1 => Bindings::find(data)?,
            _ => None,
        };
        let data = match bindings {
            Some(bindings) => &bindings.mended(data)?,
            None => data,
        };
        out.section(&RawSection { id, data });
    }
}

/// An import that leaves something behind.
#[derive(Clone, Copy)]
struct Leaking {
    name: &'static str,
    /// What does the same and frees it, from the index of the import and that of the function that
    /// frees bytes.
    tidy: fn(u32, u32) -> Function,
}

const IMPORTS: [Leaking; 4] = [
    Leaking {
        name: "cabi_realloc",
        tidy: allocate,
    },
    Leaking {
        name: "wit_dylib_pop_list",
        tidy: pop_list,
    },
    Leaking {
        name: "wit_dylib_push_list",
        tidy: push_list,
    },
    Leaking {
        name: "wit_dylib_push_string",
        tidy: push_string,
    },
];

/// What must be known of the module of bindings.
struct Bindings {
    /// What leaks, with the index of each import and of its type.
    leaking: Vec<(Leaking, u32, u32)>,
    /// Index of the function that frees bytes.
    dealloc_bytes: u32,
    /// Functions that there are, imported and its own; the index of the first that is added.
    functions: u32,
}

impl Bindings {
    /// `None` for any other module.
    fn find(module: &[u8]) -> Result<Option<Self>> {
        let (mut leaking, mut dealloc_bytes, mut functions) = (Vec::new(), None, 0);
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        let TypeRef::Func(kind) = import.ty else {
                            continue;
                        };
                        let known = IMPORTS.iter().find(|known| known.name == import.name);
                        leaking.extend(known.map(|known| (*known, functions, kind)));
                        if import.name == "wit_dylib_dealloc_bytes" {
                            dealloc_bytes = Some(functions);
                        }
                        functions += 1;
                    }
                }
                Payload::FunctionSection(own) => functions += own.count(),
                _ => {}
            }
        }
        Ok(dealloc_bytes.map(|dealloc_bytes| Self {
            leaking,
            dealloc_bytes,
            functions,
        }))
    }

    fn mended(mut self, module: &[u8]) -> Result<Vec<u8>> {
        let mut out = wasm_encoder::Module::new();
        self.parse_core_module(&mut out, Parser::new(0), module)
            .map_err(|error| anyhow!("{error}"))
            .context("cannot read its module of bindings")?;
        Ok(out.finish())
    }
}

/// `cabi_realloc(none, 0, alignment, length) -> address`, which the bindings call to return a list:
/// no allocation for one that is empty, but an address that is aligned.
fn allocate(import: u32, _: u32) -> Function {
    let (old, old_length, alignment, length) = (0, 1, 2, 3);
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.local_get(length);
    code.if_(BlockType::Result(ValType::I32));
    code.local_get(old).local_get(old_length);
    code.local_get(alignment).local_get(length);
    code.call(import);
    code.else_().local_get(alignment).end();
    code.end();
    function
}

/// `pop_list(call, type, place) -> length`, which stores the list's address at `place`, or 0 where
/// the list is to be asked for element by element.
fn pop_list(import: u32, dealloc_bytes: u32) -> Function {
    let (call, kind, place, length) = (0, 1, 2, 3);
    let address = MemArg {
        offset: 0,
        align: 2,
        memory_index: 0,
    };
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    code.local_get(call).local_get(kind).local_get(place);
    code.call(import).local_set(length);
    code.local_get(place).i32_load(address);
    code.if_(BlockType::Empty);
    // Of the call, at the address, so many bytes, aligned to one, when the call is over.
    code.local_get(call).local_get(place).i32_load(address);
    code.local_get(length).i32_const(1).i32_const(1);
    code.call(dealloc_bytes).end();
    code.local_get(length).end();
    function
}

/// `push_list(call, type, address, length) -> taken`; what is not taken the bindings free, but not
/// where it is empty.
fn push_list(import: u32, dealloc_bytes: u32) -> Function {
    let (call, kind, address, length, taken) = (0, 1, 2, 3, 4);
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    code.local_get(call).local_get(kind);
    code.local_get(address).local_get(length);
    code.call(import).local_tee(taken);
    code.local_get(length).i32_or().i32_eqz();
    free_empty(&mut code, call, address, dealloc_bytes);
    code.local_get(taken).end();
    function
}

/// `push_string(call, address, length)`, which takes over all but what is empty.
fn push_string(import: u32, dealloc_bytes: u32) -> Function {
    let (call, address, length) = (0, 1, 2);
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.local_get(call).local_get(address).local_get(length);
    code.call(import);
    code.local_get(length).i32_eqz();
    free_empty(&mut code, call, address, dealloc_bytes);
    code.end();
    function
}

/// If the condition on the stack holds: frees no bytes at `address`, which were allocated.
fn free_empty(code: &mut InstructionSink<'_>, call: u32, address: u32, dealloc_bytes: u32) {
    code.if_(BlockType::Empty);
    code.local_get(call).local_get(address);
    code.i32_const(0).i32_const(1).i32_const(0);
    code.call(dealloc_bytes).end();
}

impl Reencode for Bindings {
    type Error = std::convert::Infallible;

    /// Only calls are led elsewhere: the bindings export one of the imports, for the host's use.
    fn instruction<'a>(
        &mut self,
        operator: Operator<'a>,
    ) -> Result<Instruction<'a>, reencode::Error> {
        if let Operator::Call { function_index } = operator {
            let mut imports = self.leaking.iter().map(|(_, import, _)| *import);
            let place = imports.position(|import| import == function_index);
            if let Some(place) = place.and_then(|place| u32::try_from(place).ok()) {
                return Ok(Instruction::Call(self.functions + place));
            }
        }
        reencode::utils::instruction(self, operator)
    }

    fn parse_function_section(
        &mut self,
        functions: &mut wasm_encoder::FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_function_section(self, functions, section)?;
        for (_, _, kind) in &self.leaking {
            functions.function(*kind);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_code_section(self, code, section)?;
        for (leaking, import, _) in &self.leaking {
            code.function(&(leaking.tidy)(*import, self.dealloc_bytes));
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
mod tests {
    use super::*;

    /// A component whose module imports `imports`, calls the first four of them and exports the
    /// first.
    fn component(imports: [&str; 5]) -> Vec<u8> {
        let types = [
            "(param i32 i32 i32 i32) (result i32)",
            "(param i32 i32 i32) (result i32)",
            "(param i32 i32 i32 i32) (result i32)",
            "(param i32 i32 i32)",
            "(param i32 i32 i32 i32 i32)",
        ];
        let imports: String = std::iter::zip(imports, types)
            .map(|(name, kind)| format!(r#"(import "env" "{name}" (func {kind}))"#))
            .collect();
        let text = format!(
            r#"(component
                (core module $bindings
                    {imports}
                    (import "env" "memory" (memory 1))
                    (export "cabi_realloc" (func 0))
                    (func (export "process") (param i32) (result i32)
                        (call 3 (local.get 0) (local.get 0) (local.get 0))
                        (drop (call 2 (local.get 0) (local.get 0) (local.get 0) (local.get 0)))
                        (drop (call 1 (local.get 0) (local.get 0) (local.get 0)))
                        (call 0 (local.get 0) (local.get 0) (local.get 0) (local.get 0))))
                (component $inside (core module (func (export "f"))))
                (core type (func)))"#
        );
        wat::parse_str(text).unwrap()
    }

    /// What each function calls, function by function.
    fn calls(component: &[u8]) -> Vec<Vec<u32>> {
        let mut found = Vec::new();
        for payload in Parser::new(0).parse_all(component) {
            if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                let mut reader = body.get_operators_reader().unwrap();
                let mut calls = Vec::new();
                while !reader.eof() {
                    if let Operator::Call { function_index } = reader.read().unwrap() {
                        calls.push(function_index);
                    }
                }
                found.push(calls);
            }
        }
        found
    }

    #[test]
    fn what_an_import_leaves_is_freed_by_a_function_around_it() {
        let component = component([
            "cabi_realloc",
            "wit_dylib_pop_list",
            "wit_dylib_push_list",
            "wit_dylib_push_string",
            "wit_dylib_dealloc_bytes",
        ]);
        assert_eq!(calls(&component), [vec![3, 2, 1, 0], vec![]]);
        let mended = mended(&component).unwrap();
        let tidy = [vec![0], vec![1, 4], vec![2, 4], vec![3, 4]];
        let expected = [[vec![9, 8, 7, 6]].as_slice(), &tidy, &[vec![]]].concat();
        assert_eq!(calls(&mended), expected);
        wasmparser::validate(&mended).unwrap();
        let exported = Parser::new(0).parse_all(&mended).find_map(|payload| {
            let Payload::ExportSection(exports) = payload.unwrap() else {
                return None;
            };
            exports.into_iter().next()
        });
        assert_eq!(exported.unwrap().unwrap().index, 0);
    }

    #[test]
    fn what_has_no_such_bindings_stays_as_it_is() {
        let component = component(["cabi_realloc", "wit_dylib_pop_list", "a", "b", "c"]);
        assert_eq!(mended(&component).unwrap(), component);
        assert!(mended(b"\0asm").is_err());
    }
}
