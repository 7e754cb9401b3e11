//! The contract as Rust: all `bindgen!` calls, one for every version that the host supports.
//!
//! Parameters borrow, so that a batch is lowered from messages where they lie; results own, because
//! wasmtime frees the guest's copy before the call returns.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "weir:worlds/operator",
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});
