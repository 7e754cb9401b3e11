//! What a plugin emits.

const std = @import("std");
const abi = @import("abi.zig");
const arena = @import("arena.zig");
const outcome = @import("outcome.zig");

/// One message to be published. What is not set is taken over from the input, and not copied.
pub const Output = struct {
    /// Where it goes, before the pipeline's sink template is applied.
    subject: ?[]const u8 = null,
    payload: ?[]const u8 = null,
    /// `&.{}` is no headers at all.
    headers: ?[]const abi.Header = null,
    key: ?[]const u8 = null,

    /// `value` as JSON text: a struct, a number, a slice, ... Integers are exact.
    pub fn json(value: anytype) error{Rejected}!Output {
        const written = std.json.Stringify.valueAlloc(arena.allocator, value, .{});
        return .{ .payload = written catch @panic("out of memory") };
    }

    /// The same with another subject.
    pub fn to(output: Output, subject: []const u8) Output {
        var changed = output;
        changed.subject = subject;
        return changed;
    }

    /// The same with another key.
    pub fn keyed(output: Output, key: []const u8) Output {
        var changed = output;
        changed.key = key;
        return changed;
    }

    /// The same with one header more. An output with headers of its own takes over none of the
    /// input's.
    pub fn with(output: Output, name: []const u8, value: []const u8) Output {
        const before = output.headers orelse &.{};
        const headers = arena.alloc(abi.Header, before.len + 1);
        @memcpy(headers[0..before.len], before);
        headers[before.len] = .of(name, value);
        var changed = output;
        changed.headers = headers;
        return changed;
    }

    fn raw(output: Output) abi.Output {
        const headers = output.headers orelse &.{};
        return .{
            .subject = .of(output.subject),
            .payload = .of(output.payload),
            .has_headers = output.headers != null,
            .headers = .{ .ptr = abi.placed(abi.Header, headers), .len = headers.len },
            .key = .of(output.key),
        };
    }
};

/// None, one or many outputs: what becomes of one message.
pub const Outputs = struct {
    items: []const abi.Output,

    /// The message is dropped, on purpose.
    pub const none: Outputs = .{ .items = &.{} };
    /// The message as it came.
    pub const pass: Outputs = .{ .items = &.{.{}} };

    pub fn one(output: Output) Outputs {
        return .many(&.{output});
    }

    pub fn many(outputs: []const Output) Outputs {
        const items = arena.alloc(abi.Output, outputs.len);
        for (outputs, items) |output, *item| item.* = output.raw();
        return .{ .items = items };
    }
};
