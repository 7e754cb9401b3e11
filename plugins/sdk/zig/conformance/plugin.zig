//! The plugin of the conformance suite, in Zig: see plugins/sdk/conformance/README.md.

const std = @import("std");
const weir = @import("weir");
const Value = std.json.Value;

const Case = enum {
    pass,
    drop,
    echo,
    describe,
    set,
    many,
    increment,
    shout,
    retry,
    reject,
    raise,
    count,
    config,
    log,
    metrics,
    http,
};

const Conformance = struct {
    answer: Value,
    count: u64 = 0,

    pub fn configure(given: Value) !Conformance {
        const fields = if (given == .object) given.object else return .{ .answer = .null };
        if (fields.get("refuse")) |reason| return weir.refuse("{s}", .{reason.string});
        return .{ .answer = fields.get("answer") orelse .null };
    }

    pub fn process(self: *Conformance, message: *const weir.Message) !weir.Outputs {
        const word = message.token(1) orelse "";
        const case = std.meta.stringToEnum(Case, word) orelse
            return weir.reject("no such case: {s}", .{word});
        switch (case) {
            .pass => return .pass,
            .drop => return .none,
            .echo => return .one(.{ .payload = message.payload }),
            .describe => return describe(message),
            .set => return set(message),
            .many => return many(message),
            .increment => {
                const number = try message.json(struct { n: i64 });
                const next = std.math.add(i64, number.n, 1) catch
                    return weir.reject("`n` is the greatest integer", .{});
                return .one(try weir.Output.json(.{ .n = next }));
            },
            .shout => {
                const text = try message.text();
                const loud = try std.fmt.allocPrint(weir.allocator, "{s}!", .{text});
                return .one(.{ .payload = loud });
            },
            .retry => {
                const wanted = try message.json(struct { reason: []const u8, after_ms: ?u64 = null });
                if (wanted.after_ms) |after| return weir.retryAfter(after, "{s}", .{wanted.reason});
                return weir.retry("{s}", .{wanted.reason});
            },
            .reject => return weir.reject("{s}", .{message.payload}),
            .raise => @panic(message.payload),
            .count => {
                self.count += 1;
                return .one(try weir.Output.json(.{ .count = self.count }));
            },
            .config => return .one(try weir.Output.json(.{
                .pipeline = weir.config.pipeline(),
                .operator = weir.config.operator(),
                .answer = weir.config.get(Value, "/answer"),
                .configured = self.answer,
            })),
            .log => {
                inline for (comptime std.enums.values(weir.log.Level)) |level| {
                    weir.log.write(level, "{s}", .{message.payload});
                }
                return .none;
            },
            .metrics => {
                weir.metrics.add("conform_added", 3);
                weir.metrics.set("conform_set", 2.5);
                weir.metrics.observe("conform_observed", 0.5);
                return .none;
            },
            .http => return send(message),
        }
    }
};

fn describe(message: *const weir.Message) !weir.Outputs {
    const headers = try weir.allocator.alloc([2][]const u8, message.headers.len);
    for (message.headers, headers) |header, *pair| pair.* = .{ header.name(), header.value() };
    return .one(try weir.Output.json(.{
        .subject = message.subject,
        .length = message.payload.len,
        .headers = headers,
        .key = message.key,
        .event_time = message.event_time,
        .sequence = message.sequence,
        .attempt = message.attempt,
    }));
}

fn set(message: *const weir.Message) !weir.Outputs {
    const wanted = try message.json(struct {
        subject: ?[]const u8 = null,
        key: ?[]const u8 = null,
        headers: ?[]const [2][]const u8 = null,
        text: ?[]const u8 = null,
    });
    var output: weir.Output = .{
        .subject = wanted.subject,
        .key = wanted.key,
        .payload = wanted.text,
    };
    if (wanted.headers) |pairs| {
        output.headers = &.{};
        for (pairs) |pair| output = output.with(pair[0], pair[1]);
    }
    return .one(output);
}

fn many(message: *const weir.Message) !weir.Outputs {
    const wanted = try message.json(struct { count: u32 });
    const outputs = try weir.allocator.alloc(weir.Output, wanted.count);
    for (outputs, 0..) |*output, index| output.* = try weir.Output.json(.{ .index = index });
    return .many(outputs);
}

fn send(message: *const weir.Message) !weir.Outputs {
    const wanted = try message.json(struct {
        url: []const u8,
        method: []const u8 = "GET",
        headers: []const [2][]const u8 = &.{},
        body: ?[]const u8 = null,
        timeout_ms: ?u64 = null,
    });
    const headers = try weir.allocator.alloc(weir.Header, wanted.headers.len);
    for (wanted.headers, headers) |pair, *header| header.* = .of(pair[0], pair[1]);
    const response = weir.http.send(.{
        .url = wanted.url,
        .method = wanted.method,
        .headers = headers,
        .body = wanted.body,
        .timeout_ms = wanted.timeout_ms,
    }) catch |failure| {
        const kind = switch (failure) {
            error.HttpDenied => "denied",
            error.HttpTimeout => "timeout",
            error.HttpTooLarge => "too-large",
            error.HttpFailed => "failed",
        };
        return weir.reject("{s}: {s}", .{ kind, weir.http.reason() });
    };
    return .one(try weir.Output.json(.{
        .status = response.status,
        .type = response.header("Content-Type"),
        .length = response.body.len,
        .body = response.body[0..@min(response.body.len, 100)],
    }));
}

comptime {
    weir.exportPlugin(Conformance);
}
