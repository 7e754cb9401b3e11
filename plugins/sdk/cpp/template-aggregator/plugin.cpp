/*
 * {{name}}: computes the mean reading of a sensor per minute, and the number of readings above the limit.
 *
 * `weir plugin test` runs it with input.jsonl, and `weir dev` with a NATS server.
 */
#include "sdk/weir_window.hpp"

/// The accumulator: the readings of a sensor in a window. The host stores it; the class is only a cache.
struct Sum {
    std::uint64_t readings = 0;
    double celsius = 0;
    std::uint64_t hot = 0;

    static weir::Result<Sum> read_json(weir::Json json) {
        return Sum{
            .readings = WEIR_TRY(json["readings"].as<std::uint64_t>()),
            .celsius = WEIR_TRY(json["celsius"].as<double>()),
            .hot = WEIR_TRY(json["hot"].as<std::uint64_t>()),
        };
    }
};

void write_json(weir::JsonWriter &json, const Sum &sum) {
    json.object({{"readings", sum.readings}, {"celsius", sum.celsius}, {"hot", sum.hot}});
}

class Plugin {
   public:
    using Accumulator = Sum;

    /// Called once, before any message. After an error, the pipeline does not start.
    static weir::Result<Plugin> configure(weir::Json config) {
        Plugin plugin;
        plugin.limit_ = WEIR_TRY(config["limit"].as<double>());
        weir::log::info("counts readings above ", plugin.limit_, " degrees");
        return plugin;
    }

    /// Called for each message. If `WEIR_TRY` fails, the message becomes a dead letter; other messages still count.
    weir::Result<void> add(Sum &sum, const weir::Message &message) {
        const weir::Json reading = WEIR_TRY(message.json());
        const double celsius = WEIR_TRY(reading["celsius"].as<double>());
        sum.readings += 1;
        sum.celsius += celsius;
        sum.hot += celsius > limit_;
        return {};
    }

    /// Called to merge two parts of a window. It must give the same as adding the readings of both.
    weir::Result<Sum> merge(Sum left, Sum right) {
        left.readings += right.readings;
        left.celsius += right.celsius;
        left.hot += right.hot;
        return left;
    }

    /// Called when a window ends. Its results have the key of the window, and headers that describe the window.
    weir::Result<weir::Outputs> emit(const weir::Pane &, Sum sum) {
        const double mean = sum.celsius / static_cast<double>(sum.readings);
        return weir::Output::json({{"mean", mean}, {"readings", sum.readings}, {"hot", sum.hot}});
    }

   private:
    double limit_ = 0;
};

WEIR_AGGREGATOR_PLUGIN(Plugin);
