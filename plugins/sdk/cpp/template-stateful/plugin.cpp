/*
 * {{name}}: reports when a sensor begins to read more than the limit, and when it falls silent.
 *
 * `weir plugin test` runs it with input.jsonl, and `weir dev` with a NATS server.
 */
#include "sdk/weir_state.hpp"

/// Whether a sensor reads more than the limit. The host stores this; the class is only a cache.
constexpr weir::State<bool> is_hot("is-hot");

/// How long a sensor may be silent.
constexpr std::chrono::minutes silent(10);

class Plugin {
   public:
    /// Called once, before any message. After an error, the pipeline does not start.
    static weir::Result<Plugin> configure(weir::Json config) {
        Plugin plugin;
        plugin.limit_ = WEIR_TRY(config["limit"].as<double>());
        weir::log::info("alerts above ", plugin.limit_, " degrees");
        return plugin;
    }

    /// Called for each message. If `WEIR_TRY` fails, the message becomes a dead letter: weir cannot read it, or the
    /// state has no room for it.
    weir::Result<weir::Outputs> process(const weir::Message &message) {
        const weir::Json reading = WEIR_TRY(message.json());
        const double above_limit = WEIR_TRY(reading["celsius"].as<double>()) - limit_;
        const std::string_view sensor = message.state_key();
        const bool was_hot = WEIR_TRY(is_hot.get(sensor)).value_or(false);
        WEIR_TRY(is_hot.set(sensor, above_limit > 0));
        WEIR_TRY(weir::timers::set_after(sensor, "silent", silent));  // setting it again moves it
        if (was_hot || above_limit <= 0) return weir::drop();         // drops the message
        return weir::Output::json({{"above_limit", above_limit}});
    }

    /// Called for each timer that is due. Its results have the timer's key.
    weir::Outputs on_timer(const weir::Timer &timer) {
        is_hot.erase(timer.key());
        return weir::Output::json({{"silent_minutes", silent.count()}});
    }

   private:
    double limit_ = 0;
};

WEIR_STATEFUL_PLUGIN(Plugin);
