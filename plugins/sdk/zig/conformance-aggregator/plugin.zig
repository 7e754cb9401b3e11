//! The aggregator of the conformance suite, in Zig: see plugins/sdk/conformance/README.md.

const std = @import("std");
const weir = @import("weir");

const Config = struct {
    refuse: ?[]const u8 = null,
    answer: std.json.Value = .null,
};

const Got = struct {
    count: u64 = 0,
    sum: i64 = 0,
    first: ?u64 = null,
    words: []const []const u8 = &.{},

    fn told(got: *const Got, word: []const u8) bool {
        for (got.words) |one| {
            if (std.mem.eql(u8, one, word)) return true;
        }
        return false;
    }
};

/// The payload of every case.
const Given = struct { n: i64, word: ?[]const u8 = null };

const Conformance = struct {
    answer: std.json.Value,

    pub const Accumulator = Got;

    pub fn configure(config: Config) !Conformance {
        if (config.refuse) |reason| return weir.refuse("{s}", .{reason});
        return .{ .answer = config.answer };
    }

    pub fn add(_: *Conformance, got: *Got, message: *const weir.Message) !void {
        const given = try message.json(Given);
        const which = message.token(1) orelse "";
        if (std.mem.eql(u8, which, "reject")) return weir.reject("told to reject", .{});
        if (std.mem.eql(u8, which, "retry")) return weir.retry("told to retry", .{});
        if (std.mem.eql(u8, which, "raise")) @panic("told to raise");
        if (!std.mem.eql(u8, which, "add")) return weir.reject("no such case: {s}", .{which});
        got.count += 1;
        got.sum += given.n;
        got.first = least(got.first, message.event_time);
        if (given.word) |word| got.words = try concat(got.words, &.{word});
    }

    pub fn merge(_: *Conformance, left: Got, right: Got) !Got {
        if (left.told("clash") and right.told("clash")) return weir.reject("told to clash", .{});
        return .{
            .count = left.count + right.count,
            .sum = left.sum + right.sum,
            .first = least(left.first, right.first),
            .words = try concat(left.words, right.words),
        };
    }

    pub fn emit(self: *Conformance, pane: *const weir.Pane, got: Got) !weir.Outputs {
        if (got.told("reject")) return weir.reject("told to reject a window", .{});
        if (got.told("raise")) @panic("told to raise a window");
        if (got.told("none")) return .none;
        if (got.told("many")) return .many(&.{
            try weir.Output.json(.{ .index = 0 }),
            try weir.Output.json(.{ .index = 1 }),
        });
        if (got.told("set")) {
            const output: weir.Output = .{ .payload = "set", .subject = "elsewhere", .key = "other" };
            return .one(output.with("Own", "header"));
        }
        return .one(try weir.Output.json(.{
            .key = pane.key,
            .start = pane.start,
            .end = pane.end,
            .timing = pane.timing.name(),
            .index = pane.index,
            .count = got.count,
            .sum = got.sum,
            .first = got.first,
            .words = got.words,
            .answer = self.answer,
        }));
    }
};

fn concat(left: []const []const u8, right: []const []const u8) ![]const []const u8 {
    return std.mem.concat(weir.allocator, []const u8, &.{ left, right });
}

fn least(one: ?u64, other: ?u64) ?u64 {
    return @min(one orelse return other, other orelse return one);
}

comptime {
    weir.exportAggregator(Conformance);
}
