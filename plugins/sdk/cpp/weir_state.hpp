/*
 * weir_state.hpp - values that a plugin keeps for the keys of messages, and calls that the host makes
 * later. For a plugin whose `plugin.yaml` says `world: stateful-operator`.
 *
 *     #include "sdk/weir_state.hpp"
 *
 *     constexpr weir::State<int> count("count");
 *
 *     weir::Result<weir::Outputs> process(const weir::Message &message) {
 *         const auto n = WEIR_TRY(count.get(message.state_key()));
 *         WEIR_TRY(count.set(message.state_key(), n.value_or(0) + 1));
 *         return weir::drop();
 *     }
 *
 * State is there in `process` and `on_timer`, and nowhere else: a call from `configure` ends the
 * instance. A value belongs to a key and has a name below it. The key is that of the message or the
 * timer at hand; one of another partition ends the call, and its message becomes a dead letter.
 *
 * What is written is stored together with the results of the batch, and undone for a message that is
 * rejected, retried or makes the instance end.
 */
#ifndef WEIR_STATE_HPP
#define WEIR_STATE_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "weir.hpp"
#include "weir_state.h"

namespace weir {

namespace detail {

inline std::uint64_t count(std::chrono::milliseconds time) {
    return time.count() < 0 ? 0 : static_cast<std::uint64_t>(time.count());
}

}  // namespace detail

/// Values as bytes, for names that are made up while the plugin runs. Views live to the end of the call.
namespace state {

/// The bytes under a key and a name, if there are any.
[[nodiscard]] inline std::optional<std::string_view> get(std::string_view key, std::string_view name) {
    weir_text value{};
    if (!weir_state_get(text(key), text(name), &value)) return std::nullopt;
    return view(value);
}

/// Sets the bytes under a key and a name, for so long if `ttl` is given. An error is the reason why the
/// state of the partition has no room for them.
[[nodiscard]] inline Result<void> set(std::string_view key, std::string_view name,
                                      std::string_view value,
                                      std::optional<std::chrono::milliseconds> ttl = {}) {
    const std::uint64_t life = detail::count(ttl.value_or({}));
    weir_text reason{};
    const bool is_set = weir_state_try_set(text(key), text(name), text(value),
                                           ttl ? &life : nullptr, &reason);
    if (!is_set) return reject(view(reason));
    return {};
}

/// Deletes what is under a key and a name, if anything.
inline void erase(std::string_view key, std::string_view name) {
    weir_state_delete(text(key), text(name));
}

/// A name with its value.
struct Entry {
    std::string_view name;
    std::string_view value;
};

/// Up to `limit` names of a key that begin with `prefix`, with their bytes, in the order of the names;
/// those behind `after` where it is given. Fewer may come where they are large: there are no more only
/// when none comes.
[[nodiscard]] inline std::vector<Entry> scan(std::string_view key, std::string_view prefix,
                                             std::optional<std::string_view> after,
                                             std::uint32_t limit) {
    const weir_text behind = text(after.value_or(""));
    const weir_entries found =
        weir_state_scan(text(key), text(prefix), after ? &behind : nullptr, limit);
    std::vector<Entry> all;
    all.reserve(found.size);
    for (const weir_entry &entry : std::span(found.items, found.size)) {
        all.push_back({view(entry.name), view(entry.value)});
    }
    return all;
}

}  // namespace state

/// A value for each key, kept as JSON. Make it a constant of the plugin, with a name that no other value
/// of the plugin has.
///
/// A type of yours is written by `write_json` (see `JsonWriter`) and read by its own
/// `static Result<Yours> read_json(Json)`.
template <class T> class State {
   public:
    explicit constexpr State(const char *name) : name_(name) {}

    /// The value of a key, if there is one. It is an error if what is kept is no `T`.
    [[nodiscard]] Result<std::optional<T>> get(std::string_view key) const {
        const auto found = state::get(key, name_);
        if (!found) return std::optional<T>();
        return read(*found);
    }

    /// The values of several keys, in their order: one call of the host for all of them.
    template <class Keys>
    [[nodiscard]] Result<std::vector<std::optional<T>>> get_many(const Keys &keys) const {
        std::vector<weir_place> places;
        for (const auto &key : keys) places.push_back({text(key), text(name_)});
        const weir_optional_text *found = weir_state_get_many(places.data(), places.size());
        std::vector<std::optional<T>> values;
        for (const weir_optional_text &value : std::span(found, places.size())) {
            values.push_back(value.is_some ? WEIR_TRY(read(view(value.value))) : std::nullopt);
        }
        return values;
    }

    /// Sets the value of a key, for so long if `ttl` is given: setting it again begins anew, and zero
    /// deletes it. An error is the reason why the state of the partition has no room for it.
    [[nodiscard]] Result<void> set(std::string_view key, const T &value,
                                   std::optional<std::chrono::milliseconds> ttl = {}) const {
        return state::set(key, name_, JsonWriter().value(value).view(), ttl);
    }

    /// Deletes the value of a key, if there is one.
    void erase(std::string_view key) const { state::erase(key, name_); }

   private:
    [[nodiscard]] Result<std::optional<T>> read(std::string_view value) const {
        weir_text error{};
        const weir_json *json = weir_parse_json(text(value), &error);
        if (!json) return wrong(view(error));
        Result<T> made = Json(json, name_).template as<T>();
        if (!made) return wrong(made.error().reason());
        return std::optional<T>(*std::move(made));
    }

    [[nodiscard]] std::unexpected<Error> wrong(std::string_view cause) const {
        return reject("cannot read the state `", name_, "` as JSON: ", cause);
    }

    const char *name_;
};

/// Which clock a timer follows.
enum class Clock : std::uint8_t {
    /// The watermark: messages with earlier event times are not expected any more.
    event_time = WEIR_EVENT_TIME,
    /// The clock of the job. It follows the wall clock and never steps.
    processing_time = WEIR_PROCESSING_TIME,
};

/// One timer that is due. It is not set any more. A plugin that sets timers has
/// `Outputs on_timer(const Timer &)`, or a `Result` of that; what it returns has the timer's key.
class Timer {
   public:
    explicit Timer(const weir_timer &timer) : timer_(&timer) {}

    [[nodiscard]] std::string_view key() const { return view(timer_->key); }
    /// What it was set for.
    [[nodiscard]] std::string_view tag() const { return view(timer_->tag); }
    [[nodiscard]] Clock clock() const { return static_cast<Clock>(timer_->clock); }
    /// When it was set to fire, in nanoseconds since the Unix epoch.
    [[nodiscard]] std::uint64_t at() const { return timer_->at; }

   private:
    const weir_timer *timer_;
};

/// Calls that the host makes later, exactly once for each timer. A timer is known by its key and tag;
/// setting it again moves it. It is not called if the values of its key are gone when it is due.
namespace timers {

/// The time of a clock, in nanoseconds since the Unix epoch. The watermark is 0 until there is one.
[[nodiscard]] inline std::uint64_t now(Clock clock) {
    return weir_timer_now(static_cast<weir_clock>(clock));
}

/// Fires once a clock has reached `at`, in nanoseconds since the Unix epoch. An error is the reason why
/// the state of the partition has no room for it.
[[nodiscard]] inline Result<void> set(std::string_view key, std::string_view tag, Clock clock,
                                      std::uint64_t at) {
    weir_text reason{};
    if (!weir_timer_try_set(text(key), text(tag), static_cast<weir_clock>(clock), at, &reason)) {
        return reject(view(reason));
    }
    return {};
}

/// Fires after so long by the clock of the job.
[[nodiscard]] inline Result<void> set_after(std::string_view key, std::string_view tag,
                                            std::chrono::milliseconds delay) {
    return set(key, tag, Clock::processing_time, weir_timer_in(detail::count(delay)));
}

/// Cancels a timer, if it is set.
inline void cancel(std::string_view key, std::string_view tag) {
    weir_timer_cancel(text(key), text(tag));
}

}  // namespace timers
}  // namespace weir

/// Makes a class with `on_timer` the plugin that this project is: see `WEIR_PLUGIN`.
#define WEIR_STATEFUL_PLUGIN(Plugin)                                               \
    WEIR_PLUGIN(Plugin);                                                           \
    void weir_on_timer(const weir_timer *timer, weir_result *result) {             \
        auto &plugin = *weir::detail::instance<Plugin>;                            \
        weir::detail::finish(plugin.on_timer(weir::Timer(*timer)), result);        \
    }                                                                              \
    static_assert(true, "takes the semicolon behind the macro")

#endif
