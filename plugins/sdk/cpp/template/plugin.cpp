/*
 * {{name}}: reports when a sensor reads more than the limit.
 *
 * `weir plugin test` runs it with input.jsonl, and `weir dev` with a NATS server.
 */
#include "sdk/weir.hpp"

class Plugin {
   public:
    /// Called once, before any message. After an error, the pipeline does not start.
    static weir::Result<Plugin> configure(weir::Json config) {
        Plugin plugin;
        plugin.limit_ = WEIR_TRY(config["limit"].as<double>());
        if (plugin.limit_ < -273.15) {
            return weir::reject("`limit` is ", plugin.limit_, ", which is below absolute zero");
        }
        weir::log::info("alerts above ", plugin.limit_, " degrees");
        return plugin;
    }

    /// Called for each message. If `WEIR_TRY` fails, the message becomes a dead letter.
    weir::Result<weir::Outputs> process(const weir::Message &message) {
        const weir::Json reading = WEIR_TRY(message.json());
        const auto sensor = WEIR_TRY(reading["sensor"].as<std::string_view>());
        const double above_limit = WEIR_TRY(reading["celsius"].as<double>()) - limit_;
        if (above_limit <= 0) return weir::drop();  // drops the message
        return weir::Output::json({{"sensor", sensor}, {"above_limit", above_limit}});
    }

   private:
    double limit_ = 0;
};

WEIR_PLUGIN(Plugin);
