//! How messages end that are not published, and what is handed to the host for each.
//!
//! An error in Zig has a name and nothing more, so the words go aside while the error travels. There
//! is one thread and one message at a time.

const std = @import("std");
const abi = @import("abi.zig");
const arena = @import("arena.zig");
const Outputs = @import("output.zig").Outputs;

var reason: []const u8 = "";
var after_ms: ?u64 = null;

/// Puts words aside for an error that is on its way.
pub fn say(comptime format: []const u8, args: anytype) void {
    reason = std.fmt.allocPrint(arena.allocator, format, args) catch @panic("out of memory");
}

/// The words that were put aside last.
pub fn said() []const u8 {
    return reason;
}

/// It is never going to work: `return weir.reject("no `{s}`", .{name})` makes it a dead letter.
pub fn reject(comptime format: []const u8, args: anytype) error{Rejected} {
    say(format, args);
    return error.Rejected;
}

/// A passing fault: delivers the message again, with the pipeline's backoff.
pub fn retry(comptime format: []const u8, args: anytype) error{Retried} {
    say(format, args);
    after_ms = null;
    return error.Retried;
}

/// The same, not before so many milliseconds.
pub fn retryAfter(milliseconds: u64, comptime format: []const u8, args: anytype) error{Retried} {
    say(format, args);
    after_ms = milliseconds;
    return error.Retried;
}

/// The configuration will not do: keeps the pipeline from starting, and `weir check` prints why.
pub fn refuse(comptime format: []const u8, args: anytype) error{Refused} {
    say(format, args);
    return error.Refused;
}

/// What becomes of one message. Any error but ours is a rejection with its name.
pub fn of(result: anyerror!Outputs) abi.Outcome {
    const outputs = result catch |failure| return switch (failure) {
        error.Retried => .{ .tag = .retry, .body = .{ .retry = .{
            .has_after = after_ms != null,
            .after_ms = after_ms orelse 0,
            .reason = reasonOf(failure),
        } } },
        else => .{ .tag = .reject, .body = .{ .reject = reasonOf(failure) } },
    };
    check(outputs) catch |failure| return of(failure);
    return .{ .tag = .emit, .body = .{ .emit = .{
        .ptr = abi.placed(abi.Output, outputs.items),
        .len = outputs.items.len,
    } } };
}

/// A rejection where something cannot cross the border.
pub fn check(outputs: Outputs) error{Rejected}!void {
    for (outputs.items) |*output| {
        const field = unspeakable(output) orelse continue;
        return reject("the {s} of an output is not UTF-8", .{field});
    }
}

/// What cannot cross the border, by name. The host would end the instance.
fn unspeakable(output: *const abi.Output) ?[]const u8 {
    if (!isText(output.subject.slice())) return "subject";
    if (!isText(output.key.slice())) return "key";
    for (output.headers.ptr[0..output.headers.len]) |header| {
        if (!isText(header.name()) or !isText(header.value())) return "header";
    }
    return null;
}

fn isText(bytes: ?[]const u8) bool {
    return std.unicode.utf8ValidateSlice(bytes orelse "");
}

/// The bytes with a replacement character for each that is not UTF-8.
pub fn printable(bytes: []const u8) []const u8 {
    if (isText(bytes)) return bytes;
    const shown = std.fmt.allocPrint(arena.allocator, "{f}", .{std.unicode.fmtUtf8(bytes)});
    return shown catch @panic("out of memory");
}

var answered: abi.Outcomes = undefined;

pub fn answer(outcomes: []const abi.Outcome) *const abi.Outcomes {
    answered = .{ .ptr = abi.placed(abi.Outcome, outcomes), .len = outcomes.len };
    return &answered;
}

/// The plugin as its configuration makes it. `null`, no `config:` at all, is read as `{}` where the
/// type is a struct, so that one of defaults needs none.
pub fn configured(comptime Plugin: type, text: []const u8) anyerror!Plugin {
    if (!@hasDecl(Plugin, "configure")) return .{};
    const Config = @typeInfo(@TypeOf(Plugin.configure)).@"fn".param_types[0].?;
    const given = if (Config != std.json.Value and std.mem.eql(u8, text, "null")) "{}" else text;
    const config = std.json.parseFromSliceLeaky(Config, arena.allocator, given, .{}) catch |failure| {
        return refuse("the configuration does not fit: {s}", .{@errorName(failure)});
    };
    return Plugin.configure(config);
}

/// Why it failed, where there is no retry. Any error but ours is named.
pub fn reasonOf(failure: anyerror) abi.Text {
    return switch (failure) {
        error.Rejected, error.Retried, error.Refused => .of(printable(reason)),
        error.HttpDenied, error.HttpTimeout, error.HttpTooLarge, error.HttpFailed => .of(printable(reason)),
        error.OutOfMemory => @panic("out of memory"),
        else => .of(@errorName(failure)),
    };
}

var configuration: abi.Configured = undefined;

pub fn taken() *const abi.Configured {
    configuration = .{ .is_error = false, .reason = .{} };
    return &configuration;
}

pub fn refused(failure: anyerror) *const abi.Configured {
    configuration = .{ .is_error = true, .reason = reasonOf(failure) };
    return &configuration;
}
