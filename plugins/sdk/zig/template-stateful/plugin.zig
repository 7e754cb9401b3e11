//! {{name}}: tells when a sensor begins to read more than the limit, and when it falls silent.
//!
//! `weir plugin test` runs it over input.jsonl, and `weir dev` against a NATS server.

const weir = @import("weir");

/// What stands under `config:` in pipeline.yaml.
const Config = struct { limit: f64 };

/// What comes in.
const Reading = struct { celsius: f64 };

/// Whether a sensor reads more than the limit. What stands in `Plugin` is a cache; this is stored.
const is_hot: weir.State(bool) = .{ .name = "is-hot" };

/// How long a sensor may be silent.
const silent_minutes = 10;

const Plugin = struct {
    limit: f64,

    /// Called once, before any message. A refusal keeps the pipeline from starting.
    pub fn configure(config: Config) !Plugin {
        weir.log.info("alerts above {d} degrees", .{config.limit});
        return .{ .limit = config.limit };
    }

    /// Called for each message. `try` makes a message that cannot be read, or for whose state there is
    /// no room, a dead letter.
    pub fn process(self: *Plugin, message: *const weir.Message) !weir.Outputs {
        const reading = try message.json(Reading);
        const sensor = message.stateKey();
        const above_limit = reading.celsius - self.limit;
        const was_hot = try is_hot.get(sensor) orelse false;
        try is_hot.set(sensor, above_limit > 0);
        // Setting it again moves it.
        try weir.timers.setAfter(sensor, "silent", silent_minutes * 60_000);
        if (was_hot or above_limit <= 0) return .none; // dropped, on purpose
        return .one(try weir.Output.json(.{ .above_limit = above_limit }));
    }

    /// Called for each timer that is due. What it returns has the timer's key.
    pub fn onTimer(_: *Plugin, timer: *const weir.Timer) !weir.Outputs {
        is_hot.delete(timer.key);
        return .one(try weir.Output.json(.{ .silent_minutes = silent_minutes }));
    }
};

comptime {
    weir.exportStateful(Plugin);
}
