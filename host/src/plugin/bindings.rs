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

/// What `grants.http` links besides.
pub(super) mod http {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "weir:grants/http",
        imports: { default: trappable },
        require_store_data_send: true,
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:http/types.fields": crate::plugin::capability::http::fields::Fields,
            "wasi:http/types.outgoing-request": crate::plugin::capability::http::request::OutgoingRequest,
            "wasi:http/types.request-options": crate::plugin::capability::http::request::RequestOptions,
            "wasi:http/types.outgoing-body": crate::plugin::capability::http::body::OutgoingBody,
            "wasi:http/types.future-incoming-response": crate::plugin::capability::http::response::FutureIncomingResponse,
            "wasi:http/types.incoming-response": crate::plugin::capability::http::response::IncomingResponse,
            "wasi:http/types.incoming-body": crate::plugin::capability::http::body::IncomingBody,
            "wasi:http/types.future-trailers": crate::plugin::capability::http::body::FutureTrailers,
        },
    });

    pub(in crate::plugin) use wasi::http::{outgoing_handler, types};
}
