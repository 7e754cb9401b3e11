//! The arithmetic of windows: see `weir.exportAggregator`.

const std = @import("std");
const abi = @import("abi.zig");
const arena = @import("arena.zig");
const outcome = @import("outcome.zig");
const Message = @import("message.zig").Message;
const words = @import("message.zig").words;

/// Whether a result of a window comes before its end, at it or after it.
pub const Timing = enum(u8) {
    early,
    on_time,
    late,

    /// As the header `Weir-Pane` has it.
    pub fn name(timing: Timing) []const u8 {
        return switch (timing) {
            .early => "early",
            .on_time => "on-time",
            .late => "late",
        };
    }
};

/// One result of a window.
pub const Pane = struct {
    /// That of the messages, and "" if they have none.
    key: []const u8,
    /// Of the window, in nanoseconds since the Unix epoch.
    start: i64,
    /// The same; the end is not part of the window.
    end: i64,
    timing: Timing,
    /// How many panes of the window came before.
    index: u32,
};

/// The contract's exports over one plugin. For the SDK's own files.
pub fn Glue(comptime Plugin: type, comptime plugin: *Plugin) type {
    return struct {
        const Accumulator = Plugin.Accumulator;

        pub fn add(additions: [*]const abi.Addition, size: usize) callconv(.c) *const abi.Answers {
            const answers = arena.alloc(abi.Answer, size);
            for (additions[0..size], answers) |*addition, *made| made.* = kept(added(addition));
            return answer(answers);
        }

        pub fn merge(pairs: [*]const abi.Pair, size: usize) callconv(.c) *const abi.Answers {
            const answers = arena.alloc(abi.Answer, size);
            for (pairs[0..size], answers) |*pair, *made| made.* = kept(merged(pair));
            return answer(answers);
        }

        pub fn emit(panes: [*]const abi.Pane, size: usize) callconv(.c) *const abi.Answers {
            const answers = arena.alloc(abi.Answer, size);
            for (panes[0..size], answers) |*pane, *made| {
                const outputs = emitted(pane) catch |failure| {
                    made.* = refused(failure);
                    continue;
                };
                made.* = .{ .is_error = false, .body = .{ .outputs = .{
                    .ptr = abi.placed(abi.Output, outputs),
                    .len = outputs.len,
                } } };
            }
            return answer(answers);
        }

        fn added(addition: *const abi.Addition) anyerror!Accumulator {
            var accumulator = try read(addition.accumulator);
            for (addition.ptr[0..addition.len]) |*raw| {
                const message: Message = .of(raw);
                try plugin.add(&accumulator, &message);
            }
            return accumulator;
        }

        fn merged(pair: *const abi.Pair) anyerror!Accumulator {
            return plugin.merge(try read(pair.left), try read(pair.right));
        }

        fn emitted(raw: *const abi.Pane) anyerror![]const abi.Output {
            const pane: Pane = .{
                .key = raw.key.slice(),
                .start = raw.start,
                .end = raw.end,
                .timing = @fromBackingInt(@intCast(raw.timing)),
                .index = raw.index,
            };
            const outputs = try plugin.emit(&pane, try read(raw.accumulator));
            try outcome.check(outputs);
            return outputs.items;
        }

        /// Of no message yet, it is empty.
        fn read(accumulator: abi.Text) error{Rejected}!Accumulator {
            const text = accumulator.slice();
            if (text.len == 0) return .{};
            const options: std.json.ParseOptions = .{ .ignore_unknown_fields = true };
            return std.json.parseFromSliceLeaky(Accumulator, arena.allocator, text, options) catch |failure| {
                return outcome.reject("cannot read the accumulator as JSON: {s}", .{words(failure)});
            };
        }

        fn kept(result: anyerror!Accumulator) abi.Answer {
            const value = result catch |failure| return refused(failure);
            const text = std.json.Stringify.valueAlloc(arena.allocator, value, .{});
            return .{ .is_error = false, .body = .{ .text = .of(text catch @panic("out of memory")) } };
        }
    };
}

fn refused(failure: anyerror) abi.Answer {
    return .{ .is_error = true, .body = .{ .text = outcome.reasonOf(failure) } };
}

var answered: abi.Answers = undefined;

fn answer(answers: []const abi.Answer) *const abi.Answers {
    answered = .{ .ptr = abi.placed(abi.Answer, answers), .len = answers.len };
    return &answered;
}
