//! The plugin with state of the conformance suite, in Zig: see plugins/sdk/conformance/README.md.

const std = @import("std");
const weir = @import("weir");

const Note = struct { text: []const u8, n: i64 };

const counts: weir.State(u64) = .{ .name = "count" };
const notes: weir.State(Note) = .{ .name = "note" };

/// The payload of every case; each has the fields that it needs.
const Given = struct {
    note: Note = .{ .text = "", .n = 0 },
    name: []const u8 = "",
    text: []const u8 = "",
    ttl_ms: ?u64 = null,
    keys: []const []const u8 = &.{},
    prefix: []const u8 = "",
    after: ?[]const u8 = null,
    limit: u32 = 0,
    bytes: usize = 0,
    tag: []const u8 = "",
    event_time: ?u64 = null,
    after_ms: u64 = 0,
};

const Case = enum { count, counts, note, read, forget, put, fill, remove, scan, timer, cancel, now };

const Conformance = struct {
    pub fn process(_: *Conformance, message: *const weir.Message) !weir.Outputs {
        const word = message.token(1) orelse "";
        const key = message.stateKey();
        const given = try message.json(Given);
        const case = std.meta.stringToEnum(Case, word) orelse return end(word, key);
        switch (case) {
            .count => return .one(try weir.Output.json(.{ .count = try count(key) })),
            .counts => return .one(try weir.Output.json(.{ .counts = try counts.getMany(given.keys) })),
            .note => if (given.ttl_ms) |ttl_ms| {
                try notes.setFor(key, given.note, ttl_ms);
            } else {
                try notes.set(key, given.note);
            },
            .read => return .one(try weir.Output.json(.{ .note = try notes.get(key) })),
            .forget => {
                counts.delete(key);
                notes.delete(key);
            },
            .put => try weir.state.setBytes(key, given.name, given.text, given.ttl_ms),
            .fill => {
                const bytes = try weir.allocator.alloc(u8, given.bytes);
                @memset(bytes, 'x');
                try weir.state.setBytes(key, given.name, bytes, null);
            },
            .remove => weir.state.deleteBytes(key, given.name),
            .scan => return scan(key, given),
            .timer => if (given.event_time) |at| {
                try weir.timers.set(key, given.tag, .event_time, at);
            } else {
                try weir.timers.setAfter(key, given.tag, given.after_ms);
            },
            .cancel => weir.timers.cancel(key, given.tag),
            .now => return .one(try weir.Output.json(.{
                .event = weir.timers.now(.event_time),
                .processing = weir.timers.now(.processing_time),
            })),
        }
        return .none;
    }

    pub fn onTimer(_: *Conformance, timer: *const weir.Timer) !weir.Outputs {
        if (!std.mem.eql(u8, timer.tag, "count")) return end(timer.tag, timer.key);
        return .one(try weir.Output.json(.{
            .count = try count(timer.key),
            .key = timer.key,
            .clock = if (timer.clock == .event_time) "event" else "processing",
            .at = timer.at,
        }));
    }
};

fn scan(key: []const u8, given: Given) !weir.Outputs {
    const entries = weir.state.scan(key, given.prefix, given.after, given.limit);
    const found = try weir.allocator.alloc([2][]const u8, entries.len);
    for (entries, found) |entry, *pair| pair.* = .{ entry.name(), entry.value() };
    return .one(try weir.Output.json(.{ .found = found }));
}

/// Counts, and ends badly.
fn end(word: []const u8, key: []const u8) !weir.Outputs {
    _ = try count(key);
    if (std.mem.eql(u8, word, "reject")) return weir.reject("told to reject", .{});
    if (std.mem.eql(u8, word, "retry")) return weir.retry("told to retry", .{});
    if (std.mem.eql(u8, word, "raise")) @panic("told to raise");
    return weir.reject("no such case: {s}", .{word});
}

fn count(key: []const u8) !u64 {
    const next = (try counts.get(key) orelse 0) + 1;
    try counts.set(key, next);
    return next;
}

comptime {
    weir.exportStateful(Conformance);
}
