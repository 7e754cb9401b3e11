//! `wasi:http/outgoing-handler` as it crosses the border. For the SDK's own files.

const abi = @import("abi.zig");

/// A resource of the host's.
pub const Handle = i32;

/// Bytes that a stream takes at once, by its contract.
pub const written = 4096;

/// Bytes to ask for at once.
pub const read = 64 << 10;

/// `method` by its name.
pub const other_method = 9;

/// `result<own<...>>`
pub const Made = extern struct { is_error: bool = false, value: Handle = 0 };

/// `result<own<...>, error-code>` and `option<error-code>`: of the error its case matters.
pub const Answer = extern struct {
    is_error: bool = false,
    value: [4]u64 = @splat(0),

    pub fn handle(answer: Answer) Handle {
        return @bitCast(@as(u32, @truncate(answer.value[0])));
    }

    pub fn code(answer: Answer) Code {
        return @enumFromInt(@as(u8, @truncate(answer.value[0])));
    }
};

/// `option<result<answer>>`
pub const Awaited = extern struct { is_some: bool = false, inner: u64 = 0, answer: Answer = .{} };

/// `result<list<u8>, stream-error>`: a list, or a case and a handle.
pub const Part = extern struct {
    is_error: bool = false,
    list: abi.Text = .{},

    pub fn isClosed(part: Part) bool {
        return @as(u8, @truncate(@intFromPtr(part.list.ptr))) == 1;
    }

    pub fn failure(part: Part) Handle {
        return @bitCast(part.list.len);
    }
};

comptime {
    const assert = @import("std").debug.assert;
    assert(@sizeOf(Answer) == 40);
    assert(@sizeOf(Awaited) == 56);
    assert(@sizeOf(Part) == 12);
}

/// `error-code`
pub const Code = enum(u8) {
    @"DNS-timeout",
    @"DNS-error",
    @"destination-not-found",
    @"destination-unavailable",
    @"destination-IP-prohibited",
    @"destination-IP-unroutable",
    @"connection-refused",
    @"connection-terminated",
    @"connection-timeout",
    @"connection-read-timeout",
    @"connection-write-timeout",
    @"connection-limit-reached",
    @"TLS-protocol-error",
    @"TLS-certificate-error",
    @"TLS-alert-received",
    @"HTTP-request-denied",
    @"HTTP-request-length-required",
    @"HTTP-request-body-size",
    @"HTTP-request-method-invalid",
    @"HTTP-request-URI-invalid",
    @"HTTP-request-URI-too-long",
    @"HTTP-request-header-section-size",
    @"HTTP-request-header-size",
    @"HTTP-request-trailer-section-size",
    @"HTTP-request-trailer-size",
    @"HTTP-response-incomplete",
    @"HTTP-response-header-section-size",
    @"HTTP-response-header-size",
    @"HTTP-response-body-size",
    @"HTTP-response-trailer-section-size",
    @"HTTP-response-trailer-size",
    @"HTTP-response-transfer-coding",
    @"HTTP-response-content-coding",
    @"HTTP-response-timeout",
    @"HTTP-upgrade-failed",
    @"HTTP-protocol-error",
    @"loop-detected",
    @"configuration-error",
    @"internal-error",
    _,
};

const Bytes = [*]const u8;

const types = struct {
    extern "wasi:http/types@0.2.12" fn @"[static]fields.from-list"(entries: [*]const abi.Header, len: usize, fields: *Made) void;
    extern "wasi:http/types@0.2.12" fn @"[method]fields.entries"(fields: Handle, entries: *abi.Headers) void;
    extern "wasi:http/types@0.2.12" fn @"[resource-drop]fields"(fields: Handle) void;
    extern "wasi:http/types@0.2.12" fn @"[constructor]outgoing-request"(fields: Handle) Handle;
    extern "wasi:http/types@0.2.12" fn @"[method]outgoing-request.set-method"(request: Handle, tag: i32, name: Bytes, len: usize) i32;
    extern "wasi:http/types@0.2.12" fn @"[method]outgoing-request.set-scheme"(request: Handle, is: bool, tag: i32, name: Bytes, len: usize) i32;
    extern "wasi:http/types@0.2.12" fn @"[method]outgoing-request.set-authority"(request: Handle, is: bool, text: Bytes, len: usize) i32;
    extern "wasi:http/types@0.2.12" fn @"[method]outgoing-request.set-path-with-query"(request: Handle, is: bool, text: Bytes, len: usize) i32;
    extern "wasi:http/types@0.2.12" fn @"[method]outgoing-request.body"(request: Handle, body: *Made) void;
    extern "wasi:http/types@0.2.12" fn @"[resource-drop]outgoing-request"(request: Handle) void;
    extern "wasi:http/types@0.2.12" fn @"[method]outgoing-body.write"(body: Handle, stream: *Made) void;
    extern "wasi:http/types@0.2.12" fn @"[static]outgoing-body.finish"(body: Handle, has_trailers: bool, trailers: Handle, finished: *Answer) void;
    extern "wasi:http/types@0.2.12" fn @"[resource-drop]outgoing-body"(body: Handle) void;
    extern "wasi:http/types@0.2.12" fn @"[constructor]request-options"() Handle;
    extern "wasi:http/types@0.2.12" fn @"[method]request-options.set-connect-timeout"(options: Handle, is: bool, nanoseconds: u64) i32;
    extern "wasi:http/types@0.2.12" fn @"[method]request-options.set-first-byte-timeout"(options: Handle, is: bool, nanoseconds: u64) i32;
    extern "wasi:http/types@0.2.12" fn @"[method]request-options.set-between-bytes-timeout"(options: Handle, is: bool, nanoseconds: u64) i32;
    extern "wasi:http/types@0.2.12" fn @"[method]future-incoming-response.subscribe"(future: Handle) Handle;
    extern "wasi:http/types@0.2.12" fn @"[method]future-incoming-response.get"(future: Handle, response: *Awaited) void;
    extern "wasi:http/types@0.2.12" fn @"[resource-drop]future-incoming-response"(future: Handle) void;
    extern "wasi:http/types@0.2.12" fn @"[method]incoming-response.status"(response: Handle) i32;
    extern "wasi:http/types@0.2.12" fn @"[method]incoming-response.headers"(response: Handle) Handle;
    extern "wasi:http/types@0.2.12" fn @"[method]incoming-response.consume"(response: Handle, body: *Made) void;
    extern "wasi:http/types@0.2.12" fn @"[resource-drop]incoming-response"(response: Handle) void;
    extern "wasi:http/types@0.2.12" fn @"[method]incoming-body.stream"(body: Handle, stream: *Made) void;
    extern "wasi:http/types@0.2.12" fn @"[resource-drop]incoming-body"(body: Handle) void;
    extern "wasi:http/types@0.2.12" fn @"http-error-code"(failure: Handle, cause: *Answer) void;
};

const outgoing = struct {
    extern "wasi:http/outgoing-handler@0.2.12" fn handle(request: Handle, has_options: bool, options: Handle, future: *Answer) void;
};

const io = struct {
    extern "wasi:io/poll@0.2.12" fn @"[method]pollable.block"(pollable: Handle) void;
    extern "wasi:io/poll@0.2.12" fn @"[resource-drop]pollable"(pollable: Handle) void;
    extern "wasi:io/error@0.2.12" fn @"[resource-drop]error"(failure: Handle) void;
    extern "wasi:io/streams@0.2.12" fn @"[method]output-stream.blocking-write-and-flush"(stream: Handle, bytes: Bytes, len: usize, result: *Part) void;
    extern "wasi:io/streams@0.2.12" fn @"[resource-drop]output-stream"(stream: Handle) void;
    extern "wasi:io/streams@0.2.12" fn @"[method]input-stream.blocking-read"(stream: Handle, len: u64, result: *Part) void;
    extern "wasi:io/streams@0.2.12" fn @"[resource-drop]input-stream"(stream: Handle) void;
};

pub const fieldsFromList = types.@"[static]fields.from-list";
pub const fieldsEntries = types.@"[method]fields.entries";
pub const dropFields = types.@"[resource-drop]fields";
pub const newRequest = types.@"[constructor]outgoing-request";
pub const setMethod = types.@"[method]outgoing-request.set-method";
pub const setScheme = types.@"[method]outgoing-request.set-scheme";
pub const setAuthority = types.@"[method]outgoing-request.set-authority";
pub const setPath = types.@"[method]outgoing-request.set-path-with-query";
pub const requestBody = types.@"[method]outgoing-request.body";
pub const dropRequest = types.@"[resource-drop]outgoing-request";
pub const bodyWrite = types.@"[method]outgoing-body.write";
pub const bodyFinish = types.@"[static]outgoing-body.finish";
pub const dropOutgoingBody = types.@"[resource-drop]outgoing-body";
pub const newOptions = types.@"[constructor]request-options";
pub const setConnectTimeout = types.@"[method]request-options.set-connect-timeout";
pub const setFirstByteTimeout = types.@"[method]request-options.set-first-byte-timeout";
pub const setBetweenBytesTimeout = types.@"[method]request-options.set-between-bytes-timeout";
pub const handle = outgoing.handle;
pub const subscribe = types.@"[method]future-incoming-response.subscribe";
pub const futureGet = types.@"[method]future-incoming-response.get";
pub const dropFuture = types.@"[resource-drop]future-incoming-response";
pub const responseStatus = types.@"[method]incoming-response.status";
pub const responseHeaders = types.@"[method]incoming-response.headers";
pub const responseConsume = types.@"[method]incoming-response.consume";
pub const dropResponse = types.@"[resource-drop]incoming-response";
pub const bodyStream = types.@"[method]incoming-body.stream";
pub const dropIncomingBody = types.@"[resource-drop]incoming-body";
pub const errorCode = types.@"http-error-code";
pub const block = io.@"[method]pollable.block";
pub const dropPollable = io.@"[resource-drop]pollable";
pub const dropError = io.@"[resource-drop]error";
pub const streamWrite = io.@"[method]output-stream.blocking-write-and-flush";
pub const dropOutput = io.@"[resource-drop]output-stream";
pub const streamRead = io.@"[method]input-stream.blocking-read";
pub const dropInput = io.@"[resource-drop]input-stream";
