//! {{name}}: the mean of what a sensor reads in a minute, and how often that was more than the limit.
//!
//! `weir plugin test` runs it over input.jsonl, and `weir dev` against a NATS server.

const weir = @import("weir");

/// What stands under `config:` in pipeline.yaml.
const Config = struct { limit: f64 };

/// What comes in.
const Reading = struct { celsius: f64 };

/// What is kept of the readings of a sensor in a window. What stands in `Plugin` is a cache; this is stored.
const Sum = struct { readings: u64 = 0, celsius: f64 = 0, hot: u64 = 0 };

const Plugin = struct {
    limit: f64,

    pub const Accumulator = Sum;

    /// Called once, before any message. A refusal keeps the pipeline from starting.
    pub fn configure(config: Config) !Plugin {
        weir.log.info("counts readings above {d} degrees", .{config.limit});
        return .{ .limit = config.limit };
    }

    /// Called for each message. `try` makes one that cannot be read a dead letter; the others count.
    pub fn add(self: *Plugin, sum: *Sum, message: *const weir.Message) !void {
        const reading = try message.json(Reading);
        sum.readings += 1;
        sum.celsius += reading.celsius;
        sum.hot += @intFromBool(reading.celsius > self.limit);
    }

    /// Called where two parts of a window come together. The same as adding the readings of both.
    pub fn merge(_: *Plugin, left: Sum, right: Sum) !Sum {
        return .{
            .readings = left.readings + right.readings,
            .celsius = left.celsius + right.celsius,
            .hot = left.hot + right.hot,
        };
    }

    /// Called when a window ends. What it returns has the key of the window, and headers that name it.
    pub fn emit(_: *Plugin, _: *const weir.Pane, sum: Sum) !weir.Outputs {
        const mean = sum.celsius / @as(f64, @floatFromInt(sum.readings));
        return .one(try weir.Output.json(.{ .mean = mean, .readings = sum.readings, .hot = sum.hot }));
    }
};

comptime {
    weir.exportAggregator(Plugin);
}
