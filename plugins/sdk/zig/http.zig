//! HTTP requests to the servers that the operator's `grants.http` names.
//!
//!     pub fn process(_: *Plugin, message: *const weir.Message) !weir.Outputs {
//!         const response = weir.http.send(.{
//!             .url = "https://api.example.com/rates",
//!             .method = "POST",
//!             .body = message.payload,
//!             .timeout_ms = 2000,
//!         }) catch return weir.retry("{s}", .{weir.http.reason()});
//!         if (response.status != 200) return weir.reject("status {d}", .{response.status});
//!         return .one(.{ .payload = response.body });
//!     }
//!
//! A request is at least once, as its message is: send the sequence as an idempotency key where a repeat
//! does harm. A plugin that calls nothing of this file imports no HTTP and needs no grant.

const std = @import("std");
const abi = @import("abi.zig");
const arena = @import("arena.zig");
const outcome = @import("outcome.zig");
const host = @import("http_host.zig");

pub const Header = abi.Header;

/// A request.
pub const Request = struct {
    /// `http://` or `https://`.
    url: []const u8,
    method: []const u8 = "GET",
    /// `.of(name, value)` makes one. `content-length` is added, and `host` is that of the address.
    headers: []const Header = &.{},
    body: ?[]const u8 = null,
    /// The most that it waits, in milliseconds, for a connection, for the answer, and between parts of the
    /// answer. Otherwise it is half of the operator's `limits.deadline`.
    timeout_ms: ?u64 = null,
};

/// A response, whatever its status. It lives until the call is over.
pub const Response = struct {
    status: u16,
    /// The names are in lower case.
    headers: []const Header,
    /// At most as many bytes as the operator's `limits.http-response`.
    body: []const u8,

    /// The first value of a header, compared without regard to case.
    pub fn header(response: Response, name: []const u8) ?[]const u8 {
        for (response.headers) |*line| {
            if (std.ascii.eqlIgnoreCase(line.name(), name)) return line.value();
        }
        return null;
    }

    /// The body as JSON. What is no `T` is a rejection, through `try`.
    pub fn json(response: Response, comptime T: type) error{Rejected}!T {
        const options: std.json.ParseOptions = .{ .ignore_unknown_fields = true };
        return std.json.parseFromSliceLeaky(T, arena.allocator, response.body, options) catch |failure| {
            return outcome.reject("cannot read the response as JSON: {s}", .{@errorName(failure)});
        };
    }
};

/// Why there is no response; [`reason`] has the words. Through `try` it is a rejection.
pub const Error = error{
    /// Not granted. The host's log says it, too.
    HttpDenied,
    HttpTimeout,
    /// The body is larger than the operator's `limits.http-response`.
    HttpTooLarge,
    /// No connection, no HTTP, or nothing that can be sent.
    HttpFailed,
};

/// Why the last request failed, in words, with the server's name.
pub fn reason() []const u8 {
    return outcome.said();
}

/// Sends a GET and waits for its response.
pub fn get(url: []const u8) Error!Response {
    return send(.{ .url = url });
}

/// Sends a request and waits for its response.
pub fn send(request: Request) Error!Response {
    const address = Address.parse(request.url) orelse {
        outcome.say("a request needs an address that begins with `https://` or `http://`", .{});
        return error.HttpFailed;
    };
    const message = try make(request, address);
    var body: host.Made = .{};
    if (request.body != null) host.requestBody(message, &body);
    var future: host.Answer = .{};
    start(message, request.timeout_ms, &future);
    if (future.is_error) {
        if (request.body != null) host.dropOutgoingBody(body.value);
        return address.explain(future.code());
    }
    if (request.body) |bytes| write(body.value, bytes);
    const head = awaited(future.handle());
    if (head.is_error) return address.explain(head.code());
    return receive(head.handle(), address);
}

/// An address, taken apart.
const Address = struct {
    is_https: bool,
    /// `scheme://host:port`: a path may hold secrets, so that errors name this alone.
    server: []const u8,
    authority: []const u8,
    path: []const u8,

    fn parse(whole: []const u8) ?Address {
        const url = whole[0 .. std.mem.findScalar(u8, whole, '#') orelse whole.len];
        const is_https = std.ascii.startsWithIgnoreCase(url, "https://");
        if (!is_https and !std.ascii.startsWithIgnoreCase(url, "http://")) return null;
        if (!std.unicode.utf8ValidateSlice(url)) return null;
        const first: usize = if (is_https) "https://".len else "http://".len;
        const end = std.mem.findAnyPos(u8, url, first, "/?") orelse url.len;
        const path = url[end..];
        return .{
            .is_https = is_https,
            .server = url[0..end],
            .authority = url[first..end],
            .path = if (std.mem.startsWith(u8, path, "/")) path else joined(&.{ "/", path }),
        };
    }

    fn explain(address: Address, code: host.Code) Error {
        const server = .{address.server};
        switch (code) {
            .@"HTTP-request-denied" => {
                outcome.say("a request to `{s}` was denied: it is not in `grants.http`", server);
                return error.HttpDenied;
            },
            .@"destination-IP-prohibited" => {
                outcome.say("a request to `{s}` was denied: it leads to an address that is not public, and it " ++
                    "is not in `grants.http-private`", server);
                return error.HttpDenied;
            },
            .@"HTTP-response-body-size" => {
                outcome.say("the response of `{s}` is larger than `limits.http-response`", server);
                return error.HttpTooLarge;
            },
            .@"DNS-timeout",
            .@"connection-timeout",
            .@"connection-read-timeout",
            .@"connection-write-timeout",
            .@"HTTP-response-timeout",
            => {
                outcome.say("a request to `{s}` timed out", server);
                return error.HttpTimeout;
            },
            else => {
                const name = std.enums.tagName(host.Code, code) orelse "unknown";
                outcome.say("a request to `{s}` failed: {s}", .{ address.server, name });
                return error.HttpFailed;
            },
        }
    }
};

fn joined(parts: []const []const u8) []const u8 {
    return std.mem.concat(arena.allocator, u8, parts) catch @panic("out of memory");
}

fn make(request: Request, address: Address) Error!host.Handle {
    const lines = arena.alloc(Header, request.headers.len + 1);
    @memcpy(lines[0..request.headers.len], request.headers);
    var count = request.headers.len;
    if (request.body) |body| {
        const length = std.fmt.allocPrint(arena.allocator, "{d}", .{body.len}) catch @panic("out of memory");
        lines[count] = .of("content-length", length);
        count += 1;
    }
    var fields: host.Made = .{ .is_error = true };
    const are_texts = for (lines[0..count]) |*line| {
        if (!std.unicode.utf8ValidateSlice(line.name())) break false;
    } else true;
    if (are_texts) host.fieldsFromList(abi.placed(Header, lines[0..count]), count, &fields);
    if (fields.is_error) {
        outcome.say("a request to `{s}` has a header that cannot be sent", .{address.server});
        return error.HttpFailed;
    }
    const message = host.newRequest(fields.value);
    const scheme: i32 = if (address.is_https) 1 else 0;
    const method = request.method;
    if (!std.unicode.utf8ValidateSlice(method) or
        host.setMethod(message, host.other_method, method.ptr, method.len) != 0 or
        host.setScheme(message, true, scheme, "", 0) != 0 or
        host.setAuthority(message, true, address.authority.ptr, address.authority.len) != 0 or
        host.setPath(message, true, address.path.ptr, address.path.len) != 0)
    {
        host.dropRequest(message);
        outcome.say("a request to `{s}` has an address or a method that is not valid", .{address.server});
        return error.HttpFailed;
    }
    return message;
}

/// Sends a request, which it takes.
fn start(message: host.Handle, timeout_ms: ?u64, future: *host.Answer) void {
    const milliseconds = timeout_ms orelse return host.handle(message, false, 0, future);
    const nanoseconds = milliseconds *| std.time.ns_per_ms;
    const options = host.newOptions();
    _ = host.setConnectTimeout(options, true, nanoseconds);
    _ = host.setFirstByteTimeout(options, true, nanoseconds);
    _ = host.setBetweenBytesTimeout(options, true, nanoseconds);
    host.handle(message, true, options, future);
}

/// Sends a body, which it takes. What goes wrong on the way is told by the response.
fn write(body: host.Handle, bytes: []const u8) void {
    var stream: host.Made = .{};
    host.bodyWrite(body, &stream);
    var rest = bytes;
    while (rest.len > 0) {
        const chunk = rest[0..@min(rest.len, host.written)];
        var result: host.Part = .{};
        host.streamWrite(stream.value, chunk.ptr, chunk.len, &result);
        if (result.is_error) {
            if (!result.isClosed()) host.dropError(result.failure());
            break;
        }
        rest = rest[chunk.len..];
    }
    host.dropOutput(stream.value);
    var finished: host.Answer = .{};
    host.bodyFinish(body, false, 0, &finished);
}

/// The head of the response to a request, which it takes.
fn awaited(future: host.Handle) host.Answer {
    const pollable = host.subscribe(future);
    host.block(pollable);
    host.dropPollable(pollable);
    var result: host.Awaited = .{};
    host.futureGet(future, &result);
    host.dropFuture(future);
    return result.answer;
}

/// Reads a response, which it takes.
fn receive(given: host.Handle, address: Address) Error!Response {
    const status = host.responseStatus(given);
    var lines: abi.Headers = .{};
    const fields = host.responseHeaders(given);
    host.fieldsEntries(fields, &lines);
    host.dropFields(fields);
    var body: host.Made = .{};
    var stream: host.Made = .{};
    host.responseConsume(given, &body);
    host.bodyStream(body.value, &stream);
    defer host.dropResponse(given);
    defer host.dropIncomingBody(body.value);
    defer host.dropInput(stream.value);
    var bytes: std.ArrayList(u8) = .empty;
    while (true) {
        var result: host.Part = .{};
        host.streamRead(stream.value, host.read, &result);
        if (!result.is_error) {
            bytes.appendSlice(arena.allocator, result.list.slice()) catch @panic("out of memory");
        } else if (result.isClosed()) {
            return .{
                .status = @intCast(status),
                .headers = lines.ptr[0..lines.len],
                .body = bytes.items,
            };
        } else {
            var cause: host.Answer = .{};
            host.errorCode(result.failure(), &cause);
            host.dropError(result.failure());
            return address.explain(if (cause.is_error) cause.code() else .@"HTTP-response-incomplete");
        }
    }
}
