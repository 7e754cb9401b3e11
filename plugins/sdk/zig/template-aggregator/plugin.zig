//! {{name}}: computes the mean reading of a sensor per minute, and the number of readings above the limit.
//!
//! `weir plugin test` runs it with input.jsonl, and `weir dev` with a NATS server.

const weir = @import("weir");

/// The keys of `config:` in pipeline.yaml.
const Config = struct { limit: f64 };

/// The payload of an input.
const Reading = struct { celsius: f64 };

/// The accumulator: the readings of a sensor in a window. The host stores it; `Plugin` is only a cache.
const Sum = struct { readings: u64 = 0, celsius: f64 = 0, hot: u64 = 0 };

const Plugin = struct {
    limit: f64,

    pub const Accumulator = Sum;

    /// Called once, before any message. After an error, the pipeline does not start.
    pub fn configure(config: Config) !Plugin {
        weir.log.info("counts readings above {d} degrees", .{config.limit});
        return .{ .limit = config.limit };
    }

    /// Called for each message. If `try` fails, the message becomes a dead letter; other messages still count.
    pub fn add(self: *Plugin, sum: *Sum, message: *const weir.Message) !void {
        const reading = try message.json(Reading);
        sum.readings += 1;
        sum.celsius += reading.celsius;
        sum.hot += @intFromBool(reading.celsius > self.limit);
    }

    /// Called to merge two parts of a window. It must give the same as adding the readings of both.
    pub fn merge(_: *Plugin, left: Sum, right: Sum) !Sum {
        return .{
            .readings = left.readings + right.readings,
            .celsius = left.celsius + right.celsius,
            .hot = left.hot + right.hot,
        };
    }

    /// Called when a window ends. Its results have the key of the window, and headers that describe the window.
    pub fn emit(_: *Plugin, _: *const weir.Pane, sum: Sum) !weir.Outputs {
        const mean = sum.celsius / @as(f64, @floatFromInt(sum.readings));
        return .one(try weir.Output.json(.{ .mean = mean, .readings = sum.readings, .hot = sum.hot }));
    }
};

comptime {
    weir.exportAggregator(Plugin);
}
