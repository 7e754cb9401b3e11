/*
 * The plugin with state of the conformance suite, in C++: see plugins/sdk/conformance/README.md.
 */
#include <array>

#include "sdk/weir_state.hpp"

using weir::Clock, weir::Json, weir::Message, weir::Output, weir::Outputs, weir::Result, weir::Timer;
using std::chrono::milliseconds;

namespace {

struct Note {
    std::string text;
    std::int64_t n = 0;

    static Result<Note> read_json(Json json) {
        auto text = WEIR_TRY(json["text"].as<std::string>());
        return Note{std::move(text), WEIR_TRY(json["n"].as<std::int64_t>())};
    }
};

void write_json(weir::JsonWriter &json, const Note &note) {
    json.object({{"text", note.text}, {"n", note.n}});
}

constexpr weir::State<std::uint64_t> counts("count");
constexpr weir::State<Note> notes("note");

/// So many, or the most that there are.
milliseconds life(std::uint64_t number) {
    constexpr auto most = static_cast<std::uint64_t>(milliseconds::max().count());
    return milliseconds(std::min(number, most));
}

Result<std::uint64_t> count(std::string_view key) {
    const std::uint64_t next = WEIR_TRY(counts.get(key)).value_or(0) + 1;
    WEIR_TRY(counts.set(key, next));
    return next;
}

/// Counts, and ends badly.
Result<Outputs> end(std::string_view word, std::string_view key) {
    WEIR_TRY(count(key));
    if (word == "reject") return weir::reject("told to reject");
    if (word == "retry") return weir::retry("told to retry");
    if (word == "raise") weir::panic("told to raise");
    return weir::reject("no such case: ", word);
}

Outputs scan(std::string_view key, std::string_view prefix, std::optional<std::string_view> after,
             std::uint32_t limit) {
    std::vector<std::array<std::string_view, 2>> found;
    for (const auto [name, value] : weir::state::scan(key, prefix, after, limit)) {
        found.push_back({name, value});
    }
    return Output::json({{"found", found}});
}

}  // namespace

class Conformance {
   public:
    Result<Outputs> process(const Message &message) {
        const std::string_view word = message.token(1), key = message.state_key();
        const Json given = WEIR_TRY(message.json());
        const auto ttl_ms = WEIR_TRY(given["ttl_ms"].as<std::optional<std::uint64_t>>());
        const auto ttl = ttl_ms.transform(life);
        const auto text = [&](const char *name) {
            return given[name].as<std::optional<std::string_view>>();
        };
        const auto name = WEIR_TRY(text("name")).value_or("");
        const auto tag = WEIR_TRY(text("tag")).value_or("");
        if (word == "count") return Output::json({{"count", WEIR_TRY(count(key))}});
        if (word == "counts") {
            const auto keys = WEIR_TRY(given["keys"].as<std::vector<std::string_view>>());
            return Output::json({{"counts", WEIR_TRY(counts.get_many(keys))}});
        }
        if (word == "note") {
            WEIR_TRY(notes.set(key, WEIR_TRY(given["note"].as<Note>()), ttl));
            return weir::drop();
        }
        if (word == "read") return Output::json({{"note", WEIR_TRY(notes.get(key))}});
        if (word == "forget") {
            counts.erase(key);
            notes.erase(key);
            return weir::drop();
        }
        if (word == "put") {
            WEIR_TRY(weir::state::set(key, name, WEIR_TRY(text("text")).value_or(""), ttl));
            return weir::drop();
        }
        if (word == "fill") {
            const std::string bytes(WEIR_TRY(given["bytes"].as<std::size_t>()), 'x');
            WEIR_TRY(weir::state::set(key, name, bytes));
            return weir::drop();
        }
        if (word == "remove") {
            weir::state::erase(key, name);
            return weir::drop();
        }
        if (word == "scan") {
            const auto prefix = WEIR_TRY(text("prefix")).value_or("");
            const auto after = WEIR_TRY(text("after"));
            return scan(key, prefix, after, WEIR_TRY(given["limit"].as<std::uint32_t>()));
        }
        if (word == "timer") {
            const auto at = WEIR_TRY(given["event_time"].as<std::optional<std::uint64_t>>());
            if (at) {
                WEIR_TRY(weir::timers::set(key, tag, Clock::event_time, *at));
                return weir::drop();
            }
            const auto after = WEIR_TRY(given["after_ms"].as<std::uint64_t>());
            WEIR_TRY(weir::timers::set_after(key, tag, life(after)));
            return weir::drop();
        }
        if (word == "cancel") {
            weir::timers::cancel(key, tag);
            return weir::drop();
        }
        if (word == "now") {
            return Output::json({{"event", weir::timers::now(Clock::event_time)},
                                 {"processing", weir::timers::now(Clock::processing_time)}});
        }
        return end(word, key);
    }

    Result<Outputs> on_timer(const Timer &timer) {
        if (timer.tag() != "count") return end(timer.tag(), timer.key());
        const bool is_event = timer.clock() == Clock::event_time;
        return Output::json({{"count", WEIR_TRY(count(timer.key()))},
                             {"key", timer.key()},
                             {"clock", is_event ? "event" : "processing"},
                             {"at", timer.at()}});
    }
};

WEIR_STATEFUL_PLUGIN(Conformance);
