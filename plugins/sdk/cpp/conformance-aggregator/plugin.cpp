/*
 * The aggregator of the conformance suite, in C++: see plugins/sdk/conformance/README.md.
 */
#include <algorithm>

#include "sdk/weir_window.hpp"

using weir::Json, weir::Message, weir::Output, weir::Outputs, weir::Pane, weir::Result;

namespace {

struct Got {
    std::uint64_t count = 0;
    std::int64_t sum = 0;
    std::optional<std::uint64_t> first;
    std::vector<std::string> words;

    static Result<Got> read_json(Json json) {
        Got got;
        got.count = WEIR_TRY(json["count"].as<std::uint64_t>());
        got.sum = WEIR_TRY(json["sum"].as<std::int64_t>());
        got.first = WEIR_TRY(json["first"].as<std::optional<std::uint64_t>>());
        got.words = WEIR_TRY(json["words"].as<std::vector<std::string>>());
        return got;
    }

    [[nodiscard]] bool told(std::string_view word) const {
        return std::ranges::find(words, word) != words.end();
    }

    void take_first(std::optional<std::uint64_t> other) {
        if (other) first = std::min(first.value_or(*other), *other);
    }
};

void write_json(weir::JsonWriter &json, const Got &got) {
    json.object({{"count", got.count}, {"sum", got.sum}, {"first", got.first}, {"words", got.words}});
}

}  // namespace

class Conformance {
   public:
    using Accumulator = Got;

    static Result<Conformance> configure(Json config) {
        const auto reason = WEIR_TRY(config["refuse"].as<std::optional<std::string>>());
        if (reason) return weir::reject(*reason);
        Conformance made;
        made.answer_ = config["answer"];
        return made;
    }

    Result<void> add(Got &got, const Message &message) {
        const Json given = WEIR_TRY(message.json());
        const std::string_view which = message.token(1);
        if (which == "reject") return weir::reject("told to reject");
        if (which == "retry") return weir::retry("told to retry");
        if (which == "raise") weir::panic("told to raise");
        if (which != "add") return weir::reject("no such case: ", which);
        got.count += 1;
        got.sum += WEIR_TRY(given["n"].as<std::int64_t>());
        got.take_first(message.event_time());
        const auto word = WEIR_TRY(given["word"].as<std::optional<std::string>>());
        if (word) got.words.push_back(*word);
        return {};
    }

    Result<Got> merge(Got left, const Got &right) {
        if (left.told("clash") && right.told("clash")) return weir::reject("told to clash");
        left.count += right.count;
        left.sum += right.sum;
        left.take_first(right.first);
        left.words.insert(left.words.end(), right.words.begin(), right.words.end());
        return left;
    }

    Result<Outputs> emit(const Pane &pane, const Got &got) {
        if (got.told("reject")) return weir::reject("told to reject a window");
        if (got.told("raise")) weir::panic("told to raise a window");
        if (got.told("none")) return weir::drop();
        if (got.told("many")) {
            return std::vector{Output::json({{"index", 0}}), Output::json({{"index", 1}})};
        }
        if (got.told("set")) {
            return Output::text("set").subject("elsewhere").key("other").header("Own", "header");
        }
        return Output::json({{"key", pane.key()},
                             {"start", pane.start()},
                             {"end", pane.end()},
                             {"timing", weir::name(pane.timing())},
                             {"index", pane.index()},
                             {"count", got.count},
                             {"sum", got.sum},
                             {"first", got.first},
                             {"words", got.words},
                             {"answer", answer_}});
    }

   private:
    Json answer_;
};

WEIR_AGGREGATOR_PLUGIN(Conformance);
