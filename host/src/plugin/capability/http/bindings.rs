//! `wasi:http` as Rust: the interfaces that the grant links, with the host's own types for their
//! resources.

wasmtime::component::bindgen!({
    path: "wit",
    world: "weir:grants/http",
    imports: { default: trappable },
    require_store_data_send: true,
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:http/types.fields": super::fields::Fields,
        "wasi:http/types.outgoing-request": super::request::OutgoingRequest,
        "wasi:http/types.request-options": super::request::RequestOptions,
        "wasi:http/types.outgoing-body": super::body::OutgoingBody,
        "wasi:http/types.future-incoming-response": super::response::FutureIncomingResponse,
        "wasi:http/types.incoming-response": super::response::IncomingResponse,
        "wasi:http/types.incoming-body": super::body::IncomingBody,
        "wasi:http/types.future-trailers": super::body::FutureTrailers,
    },
});

pub(super) use wasi::http::{outgoing_handler, types};
