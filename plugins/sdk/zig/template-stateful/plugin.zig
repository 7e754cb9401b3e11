//! {{name}}: reports when a sensor begins to read more than the limit, and when it falls silent.
//!
//! `weir plugin test` runs it with input.jsonl, and `weir dev` with a NATS server.

const weir = @import("weir");

/// The keys of `config:` in pipeline.yaml.
const Config = struct { limit: f64 };

/// The payload of an input.
const Reading = struct { celsius: f64 };

/// Whether a sensor reads more than the limit. The host stores this; `Plugin` is only a cache.
const is_hot: weir.State(bool) = .{ .name = "is-hot" };

/// How long a sensor may be silent.
const silent_minutes = 10;

const Plugin = struct {
    limit: f64,

    /// Called once, before any message. After an error, the pipeline does not start.
    pub fn configure(config: Config) !Plugin {
        weir.log.info("alerts above {d} degrees", .{config.limit});
        return .{ .limit = config.limit };
    }

    /// Called for each message. If `try` fails, the message becomes a dead letter: weir cannot read it, or the
    /// state has no room for it.
    pub fn process(self: *Plugin, message: *const weir.Message) !weir.Outputs {
        const reading = try message.json(Reading);
        const sensor = message.stateKey();
        const above_limit = reading.celsius - self.limit;
        const was_hot = try is_hot.get(sensor) orelse false;
        try is_hot.set(sensor, above_limit > 0);
        // Setting the timer again moves it.
        try weir.timers.setAfter(sensor, "silent", silent_minutes * 60_000);
        if (was_hot or above_limit <= 0) return .none; // drops the message
        return .one(try weir.Output.json(.{ .above_limit = above_limit }));
    }

    /// Called for each timer that is due. Its results have the timer's key.
    pub fn onTimer(_: *Plugin, timer: *const weir.Timer) !weir.Outputs {
        is_hot.delete(timer.key);
        return .one(try weir.Output.json(.{ .silent_minutes = silent_minutes }));
    }
};

comptime {
    weir.exportStateful(Plugin);
}
